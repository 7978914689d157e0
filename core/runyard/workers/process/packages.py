"""What is installed where Python imports from: a launcher that loaded some of it is stale once it changes."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# What an installer adds, replaces or takes away with every package, also with an editable one.
_MARKS = (".dist-info", ".egg-info", ".egg-link", ".pth")
# So often at most each of them is looked at.
_LOOK_SECONDS = 0.05
_FOLDERS = ("site-packages", "dist-packages")


class Packages:
    """The packages of this interpreter, as they are when this object is made."""

    def __init__(self) -> None:
        self._folders = sorted({path for path in sys.path if os.path.basename(path) in _FOLDERS})
        self._times = _times(self._folders)
        self._marks = self._read()
        self._looked_at = 0.0

    def changed(self) -> bool:
        """Whether packages came, went or were replaced since the last call; below a millisecond if not."""
        times = _times(self._folders)
        if times == self._times and not self._marks_changed():
            return False
        before, self._times, self._marks = self._marks, times, self._read()
        return self._marks != before

    def _marks_changed(self) -> bool:
        """Whether one was written in place, such as a .pth file, which leaves the time of its folder."""
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
                continue  # it is gone, or being changed: the next look sees it
        return _times(found)


def _times(paths: Iterable[str]) -> dict[str, int]:
    """When each was changed last, in nanoseconds; 0: it is not there."""
    times = {}
    for path in paths:
        try:
            times[path] = os.stat(path).st_mtime_ns
        except OSError:
            times[path] = 0
    return times
