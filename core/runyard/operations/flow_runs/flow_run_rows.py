"""Reads and locks the row of a flow run. Without pydantic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.errors import NotFound
from runyard.operations.runs.state_outcome import Outcome

if TYPE_CHECKING:
    from runyard.store.database import Row, Transaction


def flow_run_row(tx: Transaction, flow_run_id: str) -> Row:
    """Read the row of a flow run.

    Raises:
        NotFound: the flow run is not found.
    """
    row = tx.one("SELECT * FROM flow_runs WHERE id = :id", {"id": flow_run_id})
    if row is None:
        raise NotFound(f"flow run {flow_run_id} not found; see: runyard flow-run ls")
    return row


def described(outcome: Outcome) -> dict[str, Any]:
    """Convert the outcome of a proposed state to a plain response."""
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "delay_seconds": outcome.delay_seconds,
        "state": outcome.state.to_json() if outcome.state is not None else None,
    }


def lock_flow_run(tx: Transaction, flow_run_id: str) -> None:
    """Lock a run until the transaction ends. SQLite does not need it, because it has one writer."""
    if tx.dialect == "postgresql":
        tx.one("SELECT id FROM flow_runs WHERE id = :id FOR UPDATE", {"id": flow_run_id})
