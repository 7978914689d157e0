"""Task runs: create, read, list, update, delete, and propose states."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import NotFound
from runyard.domain.states import PENDING, State
from runyard.operations.filters import query
from runyard.operations.flow_runs.flow_run_shapes import (
    OrchestrationResult,
    SetState,
    answer_of,
    estimates,
)
from runyard.operations.operation import Answer, operation
from runyard.operations.references import resolve
from runyard.operations.runs import enter_state, removal, state_columns
from runyard.operations.schemas import (
    Filter,
    Input,
    Listing,
    Model,
    Page,
    Paging,
    Seconds,
    StateCreate,
    StateModel,
    StateType,
    Time,
    dump,
    load,
    micros,
    moment,
    state_of_row,
)
from runyard.operations.task_runs import change_task_run_state
from runyard.store.database import Row, Transaction


class TaskRunPolicy(Model):
    """How often and after how many seconds a failed task run is retried."""

    max_retries: int = 0
    retry_delay_seconds: float = 0
    retries: int | None = None
    retry_delay: float | list[float] | None = None
    retry_jitter_factor: float | None = None


class TaskRun(Model):
    """A task run. Durations are in seconds."""

    id: str
    created: Time
    updated: Time
    name: str
    flow_run_id: str | None = None
    task_key: str
    dynamic_key: str
    cache_key: str | None = None
    cache_expiration: Time | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = Field(default_factory=TaskRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: dict[str, Any] = Field(default_factory=dict)
    task_inputs: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    state_id: str | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    flow_run_run_count: int = 0
    expected_start_time: Time | None = None
    next_scheduled_start_time: Time | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    total_run_time: Seconds = timedelta()
    estimated_run_time: Seconds = timedelta()
    estimated_start_time_delta: Seconds = timedelta()
    state: StateModel | None = None


class TaskRunPage(Page):
    """A page of task runs."""

    results: list[TaskRun]


class TaskRunCreate(Input):
    """A task run to create. The default state is PENDING."""

    task_key: str
    dynamic_key: str
    id: str | None = None
    name: str | None = None
    flow_run_id: str | None = None
    cache_key: str | None = None
    cache_expiration: Time | None = None
    task_version: str | None = None
    empirical_policy: TaskRunPolicy = Field(default_factory=TaskRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: dict[str, Any] | None = None
    task_inputs: dict[str, list[dict[str, Any]]] = Field(default_factory=dict)
    state: StateCreate | None = None


class TaskRunUpdate(Input):
    """Changes to a task run. Only the given fields change."""

    name: str | None = None


_TIMES = (
    "created", "updated", "cache_expiration", "expected_start_time", "next_scheduled_start_time",
    "start_time", "end_time",
)  # fmt: skip
_JSON = ("empirical_policy", "tags", "labels", "task_inputs")
_PLAIN = (
    "id", "name", "flow_run_id", "task_key", "dynamic_key", "cache_key", "task_version", "state_id",
    "state_type", "state_name", "run_count", "flow_run_run_count",
)  # fmt: skip
_COLUMNS = (
    "id", "created", "name", "flow_run_id", "task_key", "dynamic_key", "cache_key", "cache_expiration",
    "task_version", *_JSON, *state_columns.STATE_COLUMNS,
)  # fmt: skip
_INSERT = (
    f"INSERT INTO task_runs ({', '.join(_COLUMNS)}) "  # noqa: S608  # fixed names
    f"VALUES ({', '.join(':' + name for name in _COLUMNS)}) ON CONFLICT DO NOTHING"
)


def _task_run(row: Row) -> TaskRun:
    state = state_columns.state_of(row)
    run_time, delta = estimates(row)
    times: dict[str, Any] = {name: moment(row[name]) for name in _TIMES}
    return TaskRun(
        **{name: row[name] for name in _PLAIN},
        **times,
        **{name: load(row[name]) for name in _JSON},
        total_run_time=clock.span_of(row["total_run_time"]),
        estimated_run_time=run_time,
        estimated_start_time_delta=delta,
        state=None if state is None else StateModel.of(state),
    )


def _row(tx: Transaction, task_run_id: str) -> Row:
    row = tx.one("SELECT * FROM task_runs WHERE id = :id", {"id": task_run_id})
    if row is None:
        raise NotFound(f"task run {task_run_id} not found; see: runyard task-run ls")
    return row


@operation("POST", "/task_runs/", status=201)
def create_task_run(tx: Transaction, body: TaskRunCreate) -> Answer[TaskRun]:
    """Create a task run, or return the one with the same flow run, task key and dynamic key, or the same id.

    Raises:
        NotFound: the flow run is not found.
    """
    if body.flow_run_id is not None:
        known = tx.one("SELECT id FROM flow_runs WHERE id = :id", {"id": body.flow_run_id})
        if known is None:
            raise NotFound(f"flow run {body.flow_run_id} not found; see: runyard flow-run ls")
    state = body.state.to_state() if body.state else State(PENDING)
    run_id = body.id or ids.new_id()
    state.state_details["task_run_id"] = run_id
    if body.flow_run_id is not None:
        state.state_details["flow_run_id"] = body.flow_run_id
    policy = body.empirical_policy.model_dump(exclude_unset=True)
    if body.empirical_policy.retries is None and body.empirical_policy.max_retries:
        policy["retries"] = body.empirical_policy.max_retries
    values = {
        **body.model_dump(include={name for name in _COLUMNS if name in TaskRunCreate.model_fields}),
        **enter_state.entered({}, state),
        "id": run_id,
        "created": clock.now_us(),
        "name": body.name or f"{body.task_key.rpartition('.')[2]}-{body.dynamic_key[:8]}",
        "cache_expiration": micros(body.cache_expiration),
        "empirical_policy": dump(policy),
        "tags": dump(body.tags),
        "labels": dump(body.labels or {}),
        "task_inputs": dump(body.task_inputs),
    }
    if tx.execute(_INSERT, values):
        enter_state.insert_states(tx, "task_run", [(run_id, state)])
        return Answer(_task_run(_row(tx, run_id)), 201)
    existing = tx.value(
        "SELECT id FROM task_runs WHERE flow_run_id = :flow_run_id AND task_key = :task_key "
        "AND dynamic_key = :dynamic_key",
        {name: values[name] for name in ("flow_run_id", "task_key", "dynamic_key")},
    )
    return Answer(_task_run(_row(tx, existing or run_id)), 200)


@operation("GET", "/task_runs/{task_run_id}")
def read_task_run(tx: Transaction, task_run_id: str) -> TaskRun:
    """Read a task run with its state.

    Raises:
        NotFound: the task run is not found.
    """
    return _task_run(_row(tx, task_run_id))


@operation("GET", "/runyard/task_runs/find")
def find_task_run(tx: Transaction, reference: str = "") -> TaskRun:
    """Find a task run by its id, the beginning of its id, or its name.

    Raises:
        NotFound: the task run is not found.
        Conflict: several task runs match. The message lists them.
    """
    found = resolve(tx, "task_runs", reference, "task run", "runyard task-run ls")
    return _task_run(_row(tx, found))


@operation("POST", "/task_runs/filter")
def filter_task_runs(tx: Transaction, body: Listing) -> list[TaskRun]:
    """List task runs, newest first unless `sort` is given.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or a limit is out of range.
    """
    return [_task_run(row) for row in query.search(tx, "task_runs", body.model_dump())]


@operation("POST", "/task_runs/paginate")
def paginate_task_runs(tx: Transaction, body: Paging) -> TaskRunPage:
    """List a page of task runs, with the number of all that match.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or `limit` or `page` is out of range.
    """
    rows, place = query.paginate(tx, "task_runs", body.model_dump())
    return TaskRunPage(results=[_task_run(row) for row in rows], **place)


@operation("POST", "/task_runs/count")
def count_task_runs(tx: Transaction, body: Filter) -> int:
    """Count the task runs that a filter matches.

    Raises:
        InvalidInput: a filter or an operator is unknown.
    """
    return query.count(tx, "task_runs", body.model_dump())


@operation("PATCH", "/task_runs/{task_run_id}", status=204)
def update_task_run(tx: Transaction, task_run_id: str, body: TaskRunUpdate) -> None:
    """Rename a task run.

    Raises:
        NotFound: the task run is not found.
    """
    _row(tx, task_run_id)
    if body.name is not None:
        tx.execute(
            "UPDATE task_runs SET name = :name, updated = :now WHERE id = :id",
            {"name": body.name, "now": clock.now_us(), "id": task_run_id},
        )


@operation("DELETE", "/task_runs/{task_run_id}", status=204)
def delete_task_run(tx: Transaction, task_run_id: str) -> None:
    """Delete a task run with its states, logs and artifacts.

    Raises:
        NotFound: the task run is not found.
    """
    _row(tx, task_run_id)
    removal.remove_runs(tx, (), [task_run_id], clock.now_us())


@operation("POST", "/task_runs/{task_run_id}/set_state", status=201)
def set_task_run_state(tx: Transaction, task_run_id: str, body: SetState) -> Answer[OrchestrationResult]:
    """Propose a state for a task run. The response tells whether the state was accepted.

    Raises:
        NotFound: the task run is not found.
        StaleAttempt: the reporting attempt lost the lease of the flow run.
    """
    outcome = change_task_run_state.set_task_run_state(
        tx, task_run_id, body.state.to_state(), force=body.force, attempt=body.attempt
    )
    return answer_of(outcome)


@operation("GET", "/task_run_states/")
def read_task_run_states(tx: Transaction, task_run_id: str = "") -> list[StateModel]:
    """List all states of a task run, oldest first."""
    rows = tx.all(
        "SELECT * FROM task_run_states WHERE task_run_id = :id ORDER BY timestamp, id", {"id": task_run_id}
    )
    return [state_of_row(row) for row in rows]


@operation("GET", "/task_run_states/{state_id}")
def read_task_run_state(tx: Transaction, state_id: str) -> StateModel:
    """Read a state of a task run.

    Raises:
        NotFound: the state is not found.
    """
    row = tx.one("SELECT * FROM task_run_states WHERE id = :id", {"id": state_id})
    if row is None:
        raise NotFound(f"state {state_id} of a task run not found; see: GET /task_run_states/?task_run_id=ID")
    return state_of_row(row)
