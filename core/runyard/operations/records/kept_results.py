"""Results kept in the database: small ones whole, of large ones the place. Without pydantic.

A result has a storage key. It belongs to a root run, and goes away with it, or is a cache entry
that any run may use until it expires.
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
    """The kept result of a storage key.

    Args:
        body: `key`.

    Returns:
        `key`, `created`, `expires` (microseconds, or null), `serializer`, `data`, `place`; empty
        where there is none, or it has expired.
    """
    row = tx.one(_READ, {"key": body["key"]})
    if row is None or (row["expires"] is not None and row["expires"] <= clock.now_us()):
        return {}
    return row


@operation("POST", "/runyard/results")
def write_result(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Keep a result, in place of what its key held before.

    Args:
        body: `row`, a ResultRow.
    """
    RESULTS.write(tx, [body["row"]])
    return {}


@operation("POST", "/runyard/results/delete")
def delete_result(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Forget the result of a storage key, if there is one.

    Args:
        body: `key`.
    """
    tx.execute("DELETE FROM results WHERE key = :key", {"key": body["key"]})
    return {}
