"""Stored results: the value of a small result, the location of a large one. Without pydantic.

A result has a storage key. It belongs to a root run and is deleted with it, or it is a cache entry that any
run may use until it expires.
"""

from __future__ import annotations

from typing import Any

from runyard.base import clock
from runyard.operations.operation import operation
from runyard.operations.runs.run_records import RESULTS, ResultRow
from runyard.store.database import Transaction

_READ = f"SELECT {', '.join(ResultRow._fields)} FROM results WHERE key = :key"  # noqa: S608  # constants


@operation("POST", "/runyard/results/read", write=False, single=True)
def read_result(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Read the result of a storage key.

    Args:
        body: `key`.

    Returns:
        `key`, `created`, `expires` (microseconds, or null), `serializer`, `data`, `place`. Empty if the
        result does not exist or has expired.
    """
    row = tx.one(_READ, {"key": body["key"]})
    if row is None or (row["expires"] is not None and row["expires"] <= clock.now_us()):
        return {}
    return row


@operation("POST", "/runyard/results")
def write_result(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Store a result. It replaces the result that has the same key.

    Args:
        body: `row`, a ResultRow.
    """
    RESULTS.write(tx, [body["row"]])
    return {}


@operation("POST", "/runyard/results/delete")
def delete_result(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Delete the result of a storage key, if it exists.

    Args:
        body: `key`.
    """
    tx.execute("DELETE FROM results WHERE key = :key", {"key": body["key"]})
    return {}
