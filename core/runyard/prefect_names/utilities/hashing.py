"""The names of `prefect.utilities.hashing` that scripts use."""

from __future__ import annotations

import hashlib
from typing import Any

from runyard.engine.hashing.digests import hash_objects

__all__ = ["file_hash", "hash_objects", "stable_hash"]


def stable_hash(*args: str | bytes, hash_algo: Any = hashlib.md5) -> str:
    """The hexadecimal digest of strings or bytes, concatenated."""
    digest = hash_algo()
    for value in args:
        digest.update(value.encode() if isinstance(value, str) else value)
    return str(digest.hexdigest())


def file_hash(path: Any, hash_algo: Any = hashlib.md5) -> str:
    """The hexadecimal digest of a file."""
    with open(path, "rb") as file:
        return stable_hash(file.read(), hash_algo=hash_algo)
