"""The id of a flow by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base import clock, ids

if TYPE_CHECKING:
    from runyard.store.database import Transaction


def flow_id_of(tx: Transaction, name: str) -> str:
    """The id of the flow with that name. A missing flow is created."""
    found = tx.value("SELECT id FROM flows WHERE name = :name", {"name": name})
    if found is None:
        now = clock.now_us()
        tx.execute(
            """INSERT INTO flows (id, created, updated, name) VALUES (:id, :now, :now, :name)
               ON CONFLICT (name) DO NOTHING""",
            {"id": ids.new_id(), "now": now, "name": name},
        )
        found = tx.value("SELECT id FROM flows WHERE name = :name", {"name": name})
    return found
