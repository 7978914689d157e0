"""When a schedule is due next, and which due instants are still unhandled when it changes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from runyard.base import clock, ids
from runyard.base.errors import ScheduleError
from runyard.domain.schedules import instants as rules
from runyard.operations.schemas import dump, load
from runyard.store.database import Row, Transaction

# The states of runs that have not ended, as in the index flow_runs_open_by_schedule.
OPEN_STATES = "('SCHEDULED', 'PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')"


def prepare_deployment(tx: Transaction, deployment_id: str, *_args: Any, **_given: Any) -> None:
    """Compute when the schedules of a deployment are due next, before the transaction that needs it."""
    now = clock.now_us()
    for row in tx.all("SELECT * FROM deployment_schedules WHERE deployment_id = :id", {"id": deployment_id}):
        with suppress(ScheduleError):
            due_after({**row, "active": 1}, False, now)


def owe(tx: Transaction, row: Row, now: int) -> None:
    """Store the instants that are due already, before a schedule is updated or deleted.

    The scheduler handles them in its next turn.

    Args:
        row: the row of the schedule before the change.
        now: the present time, in microseconds.
    """
    if row["active"] and row["next_due"] is not None and row["next_due"] <= now:
        tx.execute(
            """INSERT INTO schedule_debts (id, created, deployment_id, schedule)
               VALUES (:id, :now, :deployment_id, :schedule)""",
            {"id": ids.new_id(), "now": now, "deployment_id": row["deployment_id"], "schedule": dump(row)},
        )


def due_after(row: Row | dict[str, Any], paused: int | bool, after_us: int) -> int | None:
    """When a schedule is due next after `after_us`. None if never, or if it is paused."""
    if paused or not row["active"]:
        return None
    instant = rules.next_instant(load(row["spec"], {}), clock.from_us(after_us))
    return None if instant is None else clock.to_us(instant)
