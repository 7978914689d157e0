"""Notices saved files of a project: its prefect.yaml, and the Python files below its folder."""

from __future__ import annotations

import os
import time

_SKIPPED = frozenset(("__pycache__", "node_modules", "site-packages", "venv", "build", "dist"))
# Looking may take this part of the time: a large project is looked at less often.
_SHARE = 0.1


class SavedFiles:
    """The files of a project, as they were when they were looked at last.

    Args:
        project_file: the prefect.yaml, which may not exist; the Python files below its folder belong to it.
    """

    def __init__(self, project_file: str) -> None:
        self._file = os.path.abspath(project_file)
        self._seen = stamps(self._file)
        self._next_look = 0.0

    def changed(self) -> list[str]:
        """The files that were saved, created or deleted since the last call, relative to this folder."""
        started = time.monotonic()
        if started < self._next_look:
            return []
        now = stamps(self._file)
        self._next_look = time.monotonic() + (time.monotonic() - started) / _SHARE
        names = sorted(name for name in {*now, *self._seen} if now.get(name) != self._seen.get(name))
        self._seen = now
        return [os.path.relpath(name) for name in names]


def stamps(project_file: str) -> dict[str, tuple[int, int]]:
    """When each file of the project was last changed, and its size.

    A file that is looked at while it is written may get its end in the same tick of the file system's clock.
    """
    folder = os.path.dirname(os.path.abspath(project_file))
    names = [os.path.abspath(project_file)]
    for base, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_skipped(base, name)]
        names += [os.path.join(base, name) for name in files if name.endswith(".py")]
    found: dict[str, tuple[int, int]] = {}
    for name in names:
        try:
            told = os.stat(name)
        except OSError:
            continue
        found[name] = (told.st_mtime_ns, told.st_size)
    return found


def _is_skipped(base: str, name: str) -> bool:
    return name[0] == "." or name in _SKIPPED or os.path.exists(os.path.join(base, name, "pyvenv.cfg"))
