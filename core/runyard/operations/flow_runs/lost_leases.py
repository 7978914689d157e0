"""Runs that were taken for lost, and are given back to an attempt that is heard from again."""

from __future__ import annotations

from typing import Any

from runyard.domain.states import (
    PENDING,
    State,
)
from runyard.operations.flow_runs import leases
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.runs.state_columns import state_of
from runyard.store.database import Row, Transaction

# Where the states that recovery writes keep what the lost attempt was, for when it is heard from again.
_LOST = "lost_lease"


def lost_lease_details(lease: Row, run: Row) -> dict[str, Any]:
    state = state_of(run)
    lost = {name: lease[name] for name in ("attempt", "owner", "worker_id", "work_pool_id", "place", "proof")}
    if state is not None:
        lost["state"] = {"type": state.type, "name": state.name, "state_details": state.state_details}
    return {_LOST: lost}


def take_again(tx: Transaction, flow_run_id: str, attempt: int, lease_seconds: float) -> bool:
    """Give a run back to the attempt that was taken for lost and is not.

    That is so after an outage of the database, or when a machine slept. The run is put back into the
    state that it was in, unless it was claimed again, ended in another way or was changed by somebody.

    Returns:
        Whether the attempt holds the run again.
    """
    sql = "SELECT * FROM flow_runs WHERE id = :id"
    run = tx.one(sql + (" FOR UPDATE" if tx.dialect == "postgresql" else ""), {"id": flow_run_id})
    state = state_of(run) if run is not None else None
    lost = state.state_details.get(_LOST) if state is not None else None
    if run is None or not lost or lost["attempt"] != attempt or run["attempt"] != attempt:
        return False
    before = lost.get("state")
    if before is None or leases.holder(tx, flow_run_id) is not None:
        return False
    # `take` counts the attempt up: from the one before, to the very same number.
    run["attempt"] = attempt - 1
    identity = (lost.get("place"), lost.get("proof"))
    leases.take(tx, run, lost["owner"], lease_seconds, lost["worker_id"], lost["work_pool_id"], identity)
    back = State(
        before["type"],
        before["name"],
        f"{lost['owner']!r} was taken for lost and is there again.",
        state_details=dict(before["state_details"]),
    )
    change_flow_run_state(tx, flow_run_id, back, force=True, attempt=attempt)
    # It is the same run of the same attempt: it neither crashed nor started once more.
    tx.execute(
        """UPDATE flow_runs SET run_count = :run_count, crash_count = CASE WHEN :started = 1 AND
               crash_count > 0 THEN crash_count - 1 ELSE crash_count END WHERE id = :id""",
        {"run_count": run["run_count"], "started": int(before["type"] != PENDING), "id": flow_run_id},
    )
    return True
