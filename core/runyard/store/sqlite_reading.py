"""SQLite files that this process may only read: of other users, on file systems that cannot be written."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote


def can_only_read(path: str) -> bool:
    """Whether a file is there that this process can read, and SQLite cannot write."""
    if not os.access(path, os.R_OK):
        return False
    # SQLite makes files beside the database, unless they are there.
    beside = os.access(os.path.dirname(path), os.W_OK) or os.path.exists(f"{path}-wal")
    return not (beside and os.access(path, os.W_OK))


def uri(path: str) -> str:
    """The URI that opens a file for reading, without a trace where it cannot be written.

    Whoever reads a file with a log needs the index of the log, which a process that cannot write does not
    get without the file of it. Where nobody has the file open there is no log: it is read as a file that
    does not change, and `mark` says when that is not so any more.
    """
    return f"file:{quote(os.fsencode(path))}?{'immutable=1' if is_still(path) else 'mode=ro'}"


def is_still(path: str) -> bool:
    """Whether a file that can only be read has no log: no process that writes has it open."""
    return can_only_read(path) and not _has_log(path)


def mark(path: str) -> Any:
    """What differs once a file without a log has changed, or has got one."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_ino, status.st_size, status.st_mtime_ns, _has_log(path))


def _has_log(path: str) -> bool:
    try:
        # An empty log that nobody has open any more is left behind by a process that was killed.
        return os.path.getsize(f"{path}-wal") > 0 or os.path.exists(f"{path}-shm")
    except OSError:
        return False
