"""What flow runs and task runs share: states as columns, and the bookkeeping of entering one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base import clock, ids, texts
from runyard.base.errors import InvalidInput
from runyard.domain.flow_run_rules import keeps_lease, scheduled_us
from runyard.domain.states import PAUSED, RUNNING, SCHEDULED, STATE_TYPES, TERMINAL, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.store.database import Row, Transaction

# The columns that entering a state changes, in flow_runs and task_runs alike.
STATE_COLUMNS = (
    "updated",
    "state_id",
    "state_type",
    "state_name",
    "state_timestamp",
    "state",
    "run_count",
    "expected_start_time",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
)
SET_STATE_COLUMNS = ", ".join(f"{name} = :{name}" for name in STATE_COLUMNS)
TERMINAL_SQL = "('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')"


def to_json(value: Any) -> str:
    """The compact JSON of a column.

    Raises:
        InvalidInput: it is nested so deep that the API could not answer with it.
    """
    return shallow(value, lambda: json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def shallow(value: Any, write: Callable[[], str]) -> str:
    """The JSON of a value that `write` gives, if the API can answer with it later.

    Raises:
        InvalidInput: it is nested too deep.
    """
    try:
        text = write()
        deep = texts.is_too_deep(value, text)
    except RecursionError:
        deep = True
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"a value cannot be written as JSON: {error}") from error
    if deep:
        raise InvalidInput(f"a value is nested more than {texts.DEPTH} deep, which cannot be stored")
    return text


def encode_state(state: State) -> str:
    """What the `state` column holds for a state."""
    return to_json(state.to_json())


def decode_state(text: str | None) -> State | None:
    """The state in a `state` column; None where it is null. See `state_of`."""
    if text is None:
        return None
    return State.from_json(texts.with_storable_keys(json.loads(text), text))


def state_of(row: Row) -> State | None:
    """The state that a run's row shows: of one that cannot be read, what its own columns tell."""
    try:
        state = decode_state(row["state"])
        if state is not None and texts.is_too_deep(state.data, row["state"]):
            state.data = None
        return state
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        kind, name, moment, id = (row.get(f"state_{part}") for part in ("type", "name", "timestamp", "id"))
        if kind not in STATE_TYPES:
            return None
        return State(kind, name, "The rest of this state cannot be read.", None, moment, None, id)


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


_FLOW_RUN_COLUMNS = (
    "id", "created", "name", "flow_id", "deployment_id", "deployment_version", "work_queue_id",
    "schedule_id", "flow_version", "parameters", "idempotency_key", "context", "empirical_policy", "tags",
    "labels", "parent_task_run_id", "root_flow_run_id", "auto_scheduled", "created_by", "job_variables",
    *STATE_COLUMNS,
)  # fmt: skip
_FLOW_RUN_JSON: dict[str, Any] = {
    "parameters": {},
    "context": {},
    "empirical_policy": {},
    "tags": [],
    "labels": {},
}
_INSERT_FLOW_RUN = (
    f"INSERT INTO flow_runs ({', '.join(_FLOW_RUN_COLUMNS)}) "  # noqa: S608  # fixed names
    f"VALUES ({', '.join(':' + name for name in _FLOW_RUN_COLUMNS)}) "
    "ON CONFLICT (flow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
)


def insert_flow_run(tx: Transaction, fields: dict[str, Any], state: State) -> tuple[str, bool]:
    """Add a flow run in its first state.

    Args:
        fields: columns of `flow_runs` by name; `flow_id` is needed. JSON columns hold Python values.
        state: its first state.

    Returns:
        The run's id, and whether it is new: with an `idempotency_key` that the flow has a run of
        already, that run's id and False.
    """
    run_id = fields.get("id") or ids.new_id()
    state.state_details["flow_run_id"] = run_id
    row = dict.fromkeys(_FLOW_RUN_COLUMNS)
    row.update(fields, id=run_id, created=clock.now_us(), name=fields.get("name") or ids.new_name())
    for name, default in _FLOW_RUN_JSON.items():
        row[name] = to_json(default if row[name] is None else row[name])
    for name in ("created_by", "job_variables"):
        row[name] = None if row[name] is None else to_json(row[name])
    row["auto_scheduled"] = int(bool(row["auto_scheduled"]))
    row.update(entered({}, state))
    if tx.execute(_INSERT_FLOW_RUN, row):
        insert_states(tx, "flow_run", [(run_id, state)])
        return run_id, True
    same = "SELECT id FROM flow_runs WHERE flow_id = :flow_id AND idempotency_key = :idempotency_key"
    return str(tx.value(same, {name: row[name] for name in ("flow_id", "idempotency_key")})), False
