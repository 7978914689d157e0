"""Entering a state: what changes in the row of a flow run or a task run, and its history."""

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
    """Add to a run's history.

    Args:
        table: `flow_run` or `task_run`.
        states: pairs of a run's id and a state that it entered.
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
    """The state itself, its time moved just past the run's previous one where it is not later.

    Times of one run's states are unique and never go back, whatever clocks say.
    """
    if previous_us is not None and state.timestamp_us <= previous_us:
        state.timestamp_us = previous_us + 1
    return state


def entered(run: Row, state: State, resuming: bool = False) -> dict[str, Any]:
    """The STATE_COLUMNS of a run that enters a state.

    Args:
        run: its row, with the columns as they were; an empty dict for a new run.
        state: the state, with its final time.
        resuming: it goes on after a pause, which is no further run.
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
