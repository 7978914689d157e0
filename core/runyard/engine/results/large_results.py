"""Results that are too large for the database: files in the results folder, named by their keys.

The row of a result contains the path of its file, because processes may use different folders. The author of
a row cannot choose the file: its name is a digest of the key, and a process deletes files only in its own
folder.
"""

from __future__ import annotations

import hashlib
import os
import stat

from runyard.base import private_files
from runyard.base.exceptions import UnreadableResult

# Imported inside functions: filesystems (0.13 s with pydantic), for results that need a file.


def write(key: str, data: bytes) -> str:
    """Write the file of a result; returns its path."""
    from runyard.blocks.filesystems import storage_of

    path = _path(key)
    private_files.make_folder(os.path.dirname(path))
    storage_of(None).write_path(os.path.basename(path), data, _sync=True)
    return path


def read(key: str, place: str | None) -> bytes | None:
    """Read the file of a result; None if it does not exist.

    Args:
        key: the key of the result.
        place: the path that `write` returned.

    Raises:
        UnreadableResult: `place` is not the file of this key.
    """
    if place is None or os.path.basename(place) != _name(key):
        raise UnreadableResult(f"the result stored under {key!r} names a file that is not its own: {place}")
    try:
        with open(place, "rb", opener=_open_without_waiting) as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except FileNotFoundError:
        return None


def remove(key: str, place: str) -> None:
    """Delete the file of a result, if it is in this process's folder; other machines delete their own."""
    if place != _path(key):
        return
    try:
        os.remove(place)
    except OSError:
        return  # deleted already


def _path(key: str) -> str:
    from runyard.blocks.filesystems import storage_of

    folder = os.path.abspath(os.path.expanduser(str(storage_of(None).basepath)))
    return os.path.join(folder, _name(key))


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
