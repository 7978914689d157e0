"""Detects changes of installed packages: a launcher that has loaded old versions must be replaced."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Files that an installer adds, replaces or removes with every package, also an editable one.
_MARKS = (".dist-info", ".egg-info", ".egg-link", ".pth")
# The shortest interval between two checks of these files.
_LOOK_SECONDS = 0.05
_FOLDERS = ("site-packages", "dist-packages")


class Packages:
    """The installed packages of this interpreter when this object was created."""

    def __init__(self) -> None:
        self._folders = sorted({path for path in sys.path if os.path.basename(path) in _FOLDERS})
        self._times = _times(self._folders)
        self._marks = self._read()
        self._looked_at = 0.0

    def changed(self) -> bool:
        """Whether packages were added, removed or replaced since the last call; takes under a millisecond."""
        times = _times(self._folders)
        if times == self._times and not self._marks_changed():
            return False
        before, self._times, self._marks = self._marks, times, self._read()
        return self._marks != before

    def _marks_changed(self) -> bool:
        """Whether a file was changed in place, such as a .pth file: its folder's time stays the same."""
        now = time.monotonic()
        if now < self._looked_at + _LOOK_SECONDS:
            return False
        self._looked_at = now
        return _times(self._marks) != self._marks

    def _read(self) -> dict[str, int]:
        found: list[str] = []
        for folder in self._folders:
            try:
                found += [os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(_MARKS)]
            except OSError:
                continue  # missing or being changed: the next check sees it
        return _times(found)


def _times(paths: Iterable[str]) -> dict[str, int]:
    """The modification time of each path in nanoseconds; 0 if it does not exist."""
    times = {}
    for path in paths:
        try:
            times[path] = os.stat(path).st_mtime_ns
        except OSError:
            times[path] = 0
    return times
