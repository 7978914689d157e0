"""Resolves what people type for an object: its id, a unique beginning of the id, or its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runyard.base.errors import Conflict, NotFound

if TYPE_CHECKING:
    from runyard.store.database import Transaction

_MIN_PREFIX = 4
_SHOWN = 5
_HEX = re.compile(r"[0-9a-f-]+")
_LENGTHS = (8, 4, 4, 4, 12)


def resolve(tx: Transaction, table: str, reference: str, what: str, command: str) -> str:
    """Find the id of the object that `reference` names.

    Args:
        table: a table with an id and a name.
        reference: a full id, its first 4 or more characters, or a name.
        what: the kind of object for messages, such as `flow run`.
        command: the command that lists such objects.

    Raises:
        NotFound: the object is not found.
        Conflict: several objects match. The message lists them.
    """
    text = reference.strip()
    bounds = id_bounds(text.lower())
    found = []
    if bounds is not None:
        found = tx.all(
            f"SELECT id, name FROM {table} WHERE id BETWEEN :low AND :high ORDER BY id LIMIT {_SHOWN + 1}",  # noqa: S608  # the caller's constant
            {"low": bounds[0], "high": bounds[1]},
        )
    if not found:
        found = tx.all(
            f"SELECT id, name FROM {table} WHERE name = :name ORDER BY id DESC LIMIT {_SHOWN + 1}",  # noqa: S608  # the caller's constant
            {"name": text},
        )
    if not found:
        raise NotFound(f"no {what} {text!r}; see: {command}")
    if len(found) > 1:
        shown = ", ".join(f"{row['id']} ({row['name']})" for row in found[:_SHOWN])
        more = ", ..." if len(found) > _SHOWN else ""
        raise Conflict(f"{text!r} is several {what}s: {shown}{more}; give more of the id")
    return str(found[0]["id"])


def id_bounds(prefix: str) -> tuple[str, str] | None:
    """The least and the greatest id that start with `prefix`. None if no id can start with it.

    A search between bounds uses the index on every database and with every collation. LIKE does not.
    """
    digits = prefix.replace("-", "")
    if len(digits) < _MIN_PREFIX or len(digits) > 32 or not _HEX.fullmatch(prefix):
        return None
    low, high = _dashed(digits.ljust(32, "0")), _dashed(digits.ljust(32, "f"))
    if "-" in prefix and not low.startswith(prefix):
        return None
    return low, high


def _dashed(digits: str) -> str:
    parts, start = [], 0
    for length in _LENGTHS:
        parts.append(digits[start : start + length])
        start += length
    return "-".join(parts)
