"""Returns runs that were marked as lost to their attempt, if it renews its lease again."""

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

# The state detail in which recovery stores the lost lease, in case the attempt renews it again.
_LOST = "lost_lease"


def lost_lease_details(lease: Row, run: Row) -> dict[str, Any]:
    state = state_of(run)
    lost = {name: lease[name] for name in ("attempt", "owner", "worker_id", "work_pool_id", "place", "proof")}
    if state is not None:
        lost["state"] = {"type": state.type, "name": state.name, "state_details": state.state_details}
    return {_LOST: lost}


def take_again(tx: Transaction, flow_run_id: str, attempt: int, lease_seconds: float) -> bool:
    """Return a run to an attempt that was marked as lost but still lives.

    This happens after an outage of the database, or when a machine slept. The run gets its previous state
    again, unless another attempt claimed it, it ended in another way, or a client changed it.

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
    # `take` increments the attempt: start from the previous number to get the same number.
    run["attempt"] = attempt - 1
    identity = (lost.get("place"), lost.get("proof"))
    leases.take(tx, run, lost["owner"], lease_seconds, lost["worker_id"], lost["work_pool_id"], identity)
    back = State(
        before["type"],
        before["name"],
        f"{lost['owner']!r} was marked as lost, and has renewed its lease again.",
        state_details=dict(before["state_details"]),
    )
    change_flow_run_state(tx, flow_run_id, back, force=True, attempt=attempt)
    # It is still the same attempt: undo the counts of the crash and of another start.
    tx.execute(
        """UPDATE flow_runs SET run_count = :run_count, crash_count = CASE WHEN :started = 1 AND
               crash_count > 0 THEN crash_count - 1 ELSE crash_count END WHERE id = :id""",
        {"run_count": run["run_count"], "started": int(before["type"] != PENDING), "id": flow_run_id},
    )
    return True
