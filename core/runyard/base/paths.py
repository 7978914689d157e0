"""Paths below a base folder, atomic writes, and ignore files."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from runyard.base.errors import InvalidInput


def inside(base: str, path: str) -> str:
    """The absolute path of a file below `base`.

    Raises:
        InvalidInput: the path is outside of `base`.
    """
    full = os.path.normpath(os.path.join(base, path))
    if full != base and not full.startswith(base.rstrip(os.sep) + os.sep):
        raise InvalidInput(f"{path!r} is outside of {base}; give a path relative to it")
    return full


def object_key(path: str) -> str:
    """The key of an object below a base.

    Raises:
        InvalidInput: the path is outside of the base.
    """
    key = os.path.normpath(path.strip("/")).replace(os.sep, "/") if path.strip("/") else ""
    if key == ".." or key.startswith("../"):
        raise InvalidInput(f"{path!r} is outside of the storage; give a path relative to its base")
    return "" if key == "." else key


def write_whole(file: str, content: bytes) -> None:
    """Write a file atomically and sync it to disk."""
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(file), prefix=".partial-")
    try:
        with os.fdopen(handle, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(partial, file)
    except BaseException:
        os.unlink(partial)
        raise


def patterns_of(ignore_file: str | None) -> Any:
    """Read a file such as `.prefectignore`, in the syntax of .gitignore; None if it does not exist."""
    if ignore_file is None:
        return None
    from pathspec import GitIgnoreSpec

    with open(ignore_file, encoding="utf-8") as file:
        return GitIgnoreSpec.from_lines(file)


def is_left_out(path: str, patterns: Any) -> bool:
    """Whether the patterns exclude a path, which has forward slashes and is relative to their folder."""
    return patterns is not None and patterns.match_file(path)
