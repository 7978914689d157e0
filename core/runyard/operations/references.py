"""What people type for an object: its id, a unique beginning of the id, or its name."""

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
    """The id of the object that `reference` means.

    Args:
        table: one of the tables that have an id and a name.
        reference: a full id, the first 4 or more characters of one, or a name.
        what: how people call the object, such as `flow run`.
        command: what lists such objects.

    Raises:
        NotFound: there is none.
        Conflict: it means several; the message lists them.
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
    """The least and the greatest id that start with `prefix`; None when no id can.

    As bounds they use the index on every database and under every collation; a LIKE does not.
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
