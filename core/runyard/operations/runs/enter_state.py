"""Entering a state: what changes in the row of a flow run or a task run, and its history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.domain.flow_run_rules import keeps_lease, scheduled_us
from runyard.domain.states import PAUSED, RUNNING, SCHEDULED, TERMINAL, State
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
    moment = state.timestamp_us
    kind, previous = state.type, run.get("state_type")
    run_time = run.get("total_run_time") or 0
    if previous == RUNNING:
        run_time += moment - run["state_timestamp"]
    due = scheduled_us(state) if kind == SCHEDULED else None
    started = run.get("start_time")
    expected = run.get("expected_start_time")
    count = run.get("run_count") or 0
    if kind == RUNNING and not (resuming or previous == PAUSED):
        count += 1
    if expected is None:
        expected = moment if due is None else due
    return {
        "updated": clock.now_us(),
        "state_id": state.id,
        "state_type": kind,
        "state_name": state.name,
        "state_timestamp": moment,
        "state": encode_state(state),
        "run_count": count,
        "expected_start_time": expected,
        # Who retries within his process waits himself: nobody else may take the run meanwhile.
        "next_scheduled_start_time": None if keeps_lease(state) else due,
        "start_time": moment if started is None and kind == RUNNING else started,
        "end_time": moment if kind in TERMINAL else None,
        "total_run_time": run_time,
    }
