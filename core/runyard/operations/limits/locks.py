"""Named locks between processes and machines: a row with a holder and an expiry. Without pydantic."""

from __future__ import annotations

from typing import Any

from runyard.operations import lease_clock
from runyard.operations.operation import operation
from runyard.store.database import Transaction


@operation("POST", "/runyard/locks/acquire")
def acquire_lock(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Acquire a lock, or renew it.

    Args:
        body: `name`, `holder`, and `lease_seconds`: after how many seconds the lock expires.

    Returns:
        `acquired`: false if another holder has the lock.
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
    """Release a lock.

    Args:
        body: `name`, `holder`.

    Returns:
        `released`: false if this holder does not have the lock.
    """
    values = {"name": body["name"], "holder": body["holder"]}
    gone = tx.one("DELETE FROM locks WHERE name = :name AND owner = :holder RETURNING name", values)
    return {"released": gone is not None}


@operation("POST", "/runyard/locks/read", write=False)
def read_lock(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Read the holder of a lock.

    Args:
        body: `name`.

    Returns:
        `holder`: null if the lock is free.
    """
    row = tx.one("SELECT owner, expires FROM locks WHERE name = :name", {"name": body["name"]})
    held = row is not None and row["expires"] > lease_clock.now(tx)
    return {"holder": row["owner"] if row is not None and held else None}
