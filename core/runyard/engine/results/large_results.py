"""Kept results that are too large for the database: files in the folder of results, named by their keys.

A row says where its file is, since processes may use different folders. Who writes the row does not choose
the file: its name is made of the key, and nothing is deleted outside of this process's own folder.
"""

from __future__ import annotations

import hashlib
import os
import stat

from runyard.base import private_files
from runyard.base.exceptions import UnreadableResult

# Imported inside functions: filesystems (0.13 s with pydantic), for results that need a file.


def write(key: str, data: bytes) -> str:
    """Write the file of a result; its path."""
    from runyard.blocks.filesystems import storage_of

    path = _path(key)
    private_files.make_folder(os.path.dirname(path))
    storage_of(None).write_path(os.path.basename(path), data, _sync=True)
    return path


def read(key: str, place: str | None) -> bytes | None:
    """What `write` wrote; None where it is not there.

    Args:
        key: of the result.
        place: the path that `write` returned.

    Raises:
        UnreadableResult: `place` is not the file of this key.
    """
    if place is None or os.path.basename(place) != _name(key):
        raise UnreadableResult(f"the result kept under {key!r} names a file that is not its own: {place}")
    try:
        with open(place, "rb", opener=_open_without_waiting) as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except FileNotFoundError:
        return None


def remove(key: str, place: str) -> None:
    """Delete the file of a result, if it is in this process's folder; another machine's is left to it."""
    if place != _path(key):
        return
    try:
        os.remove(place)
    except OSError:
        return  # gone already


def _path(key: str) -> str:
    from runyard.blocks.filesystems import storage_of

    folder = os.path.abspath(os.path.expanduser(str(storage_of(None).basepath)))
    return os.path.join(folder, _name(key))


def _name(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
