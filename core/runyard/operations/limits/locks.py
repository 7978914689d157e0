"""Named locks that processes and machines share: a row with a holder and an expiry. Without pydantic."""

from __future__ import annotations

from typing import Any

from runyard.operations import lease_clock
from runyard.operations.operation import operation
from runyard.store.database import Transaction


@operation("POST", "/runyard/locks/acquire")
def acquire_lock(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Take a lock, or hold it longer.

    Args:
        body: `name`, `holder`, and `lease_seconds`: how long it is held without another call.

    Returns:
        `acquired`; false where somebody else holds it.
    """
    now = lease_clock.tick(tx)
    values = {
        "name": body["name"],
        "holder": body["holder"],
        "expires": now + int(body["lease_seconds"] * 1e6),
        "now": now,
    }
    taken = tx.one(
        """INSERT INTO locks (name, owner, expires) VALUES (:name, :holder, :expires)
           ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires = excluded.expires
           WHERE locks.owner = :holder OR locks.expires <= :now
           RETURNING name""",
        values,
    )
    return {"acquired": taken is not None}


@operation("POST", "/runyard/locks/release")
def release_lock(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Give a lock back.

    Args:
        body: `name`, `holder`.

    Returns:
        `released`; false where that holder does not hold it.
    """
    values = {"name": body["name"], "holder": body["holder"]}
    gone = tx.one("DELETE FROM locks WHERE name = :name AND owner = :holder RETURNING name", values)
    return {"released": gone is not None}


@operation("POST", "/runyard/locks/read", write=False)
def read_lock(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Who holds a lock.

    Args:
        body: `name`.

    Returns:
        `holder`, null where nobody does.
    """
    row = tx.one("SELECT owner, expires FROM locks WHERE name = :name", {"name": body["name"]})
    held = row is not None and row["expires"] > lease_clock.now(tx)
    return {"holder": row["owner"] if row is not None and held else None}
