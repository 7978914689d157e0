"""Resolves what people type for an object: its id, a unique beginning of the id, or its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runyard.base.errors import Conflict, NotFound
from runyard.base.suggestions import did_you_mean

if TYPE_CHECKING:
    from runyard.store.database import Transaction

LAST = "-"
_MIN_PREFIX = 4
_SHOWN = 5
# How many of the newest names are compared with a misspelt one.
_SUGGESTED = 500
_HEX = re.compile(r"[0-9a-f-]+")
_LENGTHS = (8, 4, 4, 4, 12)


def resolve(tx: Transaction, table: str, reference: str, what: str, command: str) -> str:
    """Find the id of the run that `reference` names.

    Args:
        table: flow_runs or task_runs.
        reference: a full id, its first 4 or more characters, a name, or `-` for the last run that was not
            created by a schedule or inside another run.
        what: the kind of object for messages, such as `flow run`.
        command: the command that lists such objects.

    Raises:
        NotFound: the object is not found.
        Conflict: several objects match. The message lists them.
    """
    text = reference.strip()
    if text == LAST:
        return _last(tx, table, what)
    bounds = id_bounds(text.lower())
    found, by_name = [], False
    if bounds is not None:
        found = tx.all(
            f"SELECT id, name FROM {table} WHERE id BETWEEN :low AND :high ORDER BY id LIMIT {_SHOWN + 1}",  # noqa: S608  # the caller's constant
            {"low": bounds[0], "high": bounds[1]},
        )
    if not found:
        by_name = True
        found = tx.all(
            f"SELECT id, name FROM {table} WHERE name = :name ORDER BY id DESC LIMIT {_SHOWN + 1}",  # noqa: S608  # the caller's constant
            {"name": text},
        )
    if not found:
        raise NotFound(f"{what} {text!r} not found{_suggestion(tx, table, text, f'see: {command}')}")
    if len(found) > 1:
        many = f"more than {_SHOWN}" if len(found) > _SHOWN else str(len(found))
        if by_name:
            ids = ", ".join(row["id"] for row in found[:_SHOWN])
            raise Conflict(f"{many} {what}s are named {text!r}; give the id of one, the newest first: {ids}")
        shown = ", ".join(f"{row['id']} ({row['name']})" for row in found[:_SHOWN])
        raise Conflict(f"the ids of {many} {what}s begin with {text!r}; give more of the id: {shown}")
    return str(found[0]["id"])


def of_beginning(tx: Transaction, table: str, reference: str, what: str) -> str | None:
    """Find the id that starts with `reference`.

    Args:
        table: a table with ids.
        reference: a full id, or its first 4 or more characters.
        what: the kind of object for messages.

    Returns:
        The id; None if no id starts with it.

    Raises:
        Conflict: several ids start with it. The message lists them.
    """
    bounds = id_bounds(reference.strip().lower())
    if bounds is None:
        return None
    rows = tx.all(
        f"SELECT id FROM {table} WHERE id BETWEEN :low AND :high ORDER BY id LIMIT {_SHOWN + 1}",  # noqa: S608  # the caller's constant
        {"low": bounds[0], "high": bounds[1]},
    )
    if len(rows) > 1:
        many = f"more than {_SHOWN}" if len(rows) > _SHOWN else str(len(rows))
        shown = ", ".join(row["id"] for row in rows[:_SHOWN])
        raise Conflict(f"the ids of {many} {what}s begin with {reference!r}; give more of the id: {shown}")
    return str(rows[0]["id"]) if rows else None


def _last(tx: Transaction, table: str, what: str) -> str:
    """The id of the newest run that a person, a script or a program created."""
    own = "WHERE auto_scheduled = 0 AND root_flow_run_id IS NULL " if table == "flow_runs" else ""
    # Ids are in the order of their creation.
    found = tx.value(f"SELECT id FROM {table} {own}ORDER BY id DESC LIMIT 1")  # noqa: S608  # the caller's constant
    if found is None:
        raise NotFound(f"no {what} exists yet")
    return str(found)


def _suggestion(tx: Transaction, table: str, text: str, otherwise: str) -> str:
    rows = tx.all(f"SELECT name FROM {table} ORDER BY id DESC LIMIT {_SUGGESTED}")  # noqa: S608  # the caller's constant
    return did_you_mean(text, dict.fromkeys(str(row["name"]) for row in rows), otherwise)


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
