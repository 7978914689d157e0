"""SQLite files that this process may only read: files of other users, or on read-only file systems."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote


def can_only_read(path: str) -> bool:
    """Whether a file exists that this process can read and SQLite cannot write."""
    if not os.access(path, os.R_OK):
        return False
    # SQLite creates files beside the database, unless they exist.
    beside = os.access(os.path.dirname(path), os.W_OK) or os.path.exists(f"{path}-wal")
    return not (beside and os.access(path, os.W_OK))


def uri(path: str) -> str:
    """The URI that opens a file for reading, without creating files beside it.

    Reading a file with a log needs the index of the log, which a process without write permission only gets
    from
    an existing file. If no process has the database open, there is no log: then it is opened as immutable,
    and
    `mark` shows when that is not true any more.
    """
    return f"file:{quote(os.fsencode(path))}?{'immutable=1' if is_still(path) else 'mode=ro'}"


def is_still(path: str) -> bool:
    """Whether a read-only file has no log: no writing process has it open."""
    return can_only_read(path) and not _has_log(path)


def mark(path: str) -> Any:
    """A value that changes when a file without a log has changed or has got one."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, _has_log(path))


def _has_log(path: str) -> bool:
    try:
        # A killed process leaves an empty log that no process has open.
        return os.path.getsize(f"{path}-wal") > 0 or os.path.exists(f"{path}-shm")
    except OSError:
        return False
