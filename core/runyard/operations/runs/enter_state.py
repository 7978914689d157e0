"""Entering a state: the changed columns of a flow run or a task run, and its state history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.domain.run_progress import RunProgress
from runyard.domain.states import PAUSED, RUNNING, State
from runyard.operations.json_columns import to_json
from runyard.operations.runs.state_columns import encode_state

if TYPE_CHECKING:
    from runyard.store.database import Row, Transaction


def insert_states(tx: Transaction, table: str, states: list[tuple[str, State]]) -> None:
    """Add states to the state history of runs.

    Args:
        table: `flow_run` or `task_run`.
        states: pairs of the id of a run and a state that it entered.
    """
    sql = (
        f"INSERT INTO {table}_states (id, {table}_id, type, name, timestamp, message, data, state_details) "  # noqa: S608  # two tables
        "VALUES (:id, :run_id, :type, :name, :timestamp, :message, :data, :state_details)"
    )
    rows = [
        {
            "id": state.id,
            "run_id": run_id,
            "type": state.type,
            "name": state.name,
            "timestamp": state.timestamp_us,
            "message": state.message,
            "data": None if state.data is None else to_json(state.data),
            "state_details": to_json(state.state_details),
        }
        for run_id, state in states
    ]
    if len(rows) == 1:
        tx.execute(sql, rows[0])
    else:
        tx.many(sql, rows)


def after(state: State, previous_us: int | None) -> State:
    """Return the state. If its time is not later than the previous state's time, it is moved just after it.

    The times of a run's states are unique and never decrease, even if clocks do.
    """
    if previous_us is not None and state.timestamp_us <= previous_us:
        state.timestamp_us = previous_us + 1
    return state


def entered(run: Row, state: State, resuming: bool = False) -> dict[str, Any]:
    """The values of STATE_COLUMNS for a run that enters a state.

    Args:
        run: the row of the run before the change; an empty dict for a new run.
        state: the state, with its final time.
        resuming: the run continues after a pause, which does not count as another run.
    """
    progress = RunProgress(run.get("expected_start_time"))
    progress.run_count = run.get("run_count") or 0
    progress.start_us, progress.total_us = run.get("start_time"), run.get("total_run_time") or 0
    previous = run.get("state_type")
    progress.running_since_us = run["state_timestamp"] if previous == RUNNING else None
    progress.was_paused = previous == PAUSED
    progress.enter(state, resuming)
    return {
        "updated": clock.now_us(),
        "state_id": state.id,
        "state_type": state.type,
        "state_name": state.name,
        "state_timestamp": state.timestamp_us,
        "state": encode_state(state),
        "run_count": progress.run_count,
        "expected_start_time": progress.expected_us,
        "next_scheduled_start_time": progress.next_scheduled_us,
        "start_time": progress.start_us,
        "end_time": progress.end_us,
        "total_run_time": progress.total_us,
    }
