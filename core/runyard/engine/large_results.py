"""Results that are too large for the database: one file each in the storage of the home."""

from __future__ import annotations

import hashlib
import os
import stat

from runyard.exceptions import UnreadableResult


def write(key: str, data: bytes) -> str:
    """Write a result that is too large for the database into the home; its path."""
    from runyard.filesystems import storage_of

    name = _name_of(key)
    storage = storage_of(None)
    storage.write_path(name, data, _sync=True)
    return os.path.join(os.path.abspath(os.path.expanduser(str(storage.basepath))), name)


def _name_of(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read(key: str, place: str | None) -> bytes | None:
    """What `write` wrote; None where it is not there.

    Who writes the row does not choose the file: it has the name that `write` gives it.
    """
    if place is None or os.path.basename(place) != _name_of(key):
        raise UnreadableResult(f"the result kept under {key!r} names a file that is not its own: {place}")
    try:
        with open(place, "rb", opener=_open_without_waiting) as file:
            return file.read() if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
    except FileNotFoundError:
        return None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
