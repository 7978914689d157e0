"""A database before its online steps."""

from __future__ import annotations

from runyard.store import online_steps
from runyard.store.database import get_database


def undo_steps(url=None):
    """Remove what the online steps of the schema create."""
    database = get_database(url)
    with database.transaction() as tx:
        for step in online_steps.steps(tx.dialect):
            if step.is_index:
                tx.execute(f"DROP INDEX IF EXISTS {step.name}")
                continue
            for trigger in ("insert", "update", "delete"):
                of = " ON flow_runs" if tx.dialect == "postgresql" else ""
                tx.execute(f"DROP TRIGGER IF EXISTS {step.name}_{trigger}{of}")
            tx.execute(f"DROP TABLE IF EXISTS {step.name}")
    return database


def left(database):
    """The names of the steps that are not done yet."""
    with database.transaction(write=False) as tx:
        return [step.name for step in online_steps.pending(tx)]
