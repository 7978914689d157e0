"""What is installed where Python imports from: a launcher that loaded some of it is stale once it changes."""

from __future__ import annotations

import os
import sys

# What an installer adds, replaces or takes away with every package, also with an editable one.
_MARKS = (".dist-info", ".egg-info", ".egg-link", ".pth")
_FOLDERS = ("site-packages", "dist-packages")

Marks = frozenset[tuple[str, str, int]]


class Packages:
    """The packages of this interpreter, as they are when this object is made."""

    def __init__(self) -> None:
        self._folders = sorted({path for path in sys.path if os.path.basename(path) in _FOLDERS})
        self._times = self._changed_at()
        self._marks = self._read()

    def changed(self) -> bool:
        """Whether packages came, went or were replaced since the last call; some microseconds if not."""
        times = self._changed_at()
        if times == self._times:
            return False
        before, self._times, self._marks = self._marks, times, self._read()
        return self._marks != before

    def _changed_at(self) -> list[int]:
        times = []
        for folder in self._folders:
            try:
                times.append(os.stat(folder).st_mtime_ns)
            except OSError:
                times.append(0)
        return times

    def _read(self) -> Marks:
        found = set()
        for folder in self._folders:
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name.endswith(_MARKS):
                            found.add((folder, entry.name, entry.stat().st_mtime_ns))
            except OSError:
                continue  # it is gone, or being changed: the next look sees it
        return frozenset(found)
