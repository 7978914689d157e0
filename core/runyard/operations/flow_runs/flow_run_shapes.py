"""The models of flow runs, and the conversion of a row to its model."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from runyard.base import clock
from runyard.domain.states import RUNNING, TERMINAL
from runyard.operations.operation import Answer
from runyard.operations.runs.state_columns import state_of
from runyard.operations.runs.state_outcome import Outcome
from runyard.operations.schemas import (
    Input,
    Model,
    Seconds,
    StateCreate,
    StateModel,
    StateType,
    Time,
    load,
    moment,
)

if TYPE_CHECKING:
    from runyard.store.database import Row


class FlowRunPolicy(Model):
    """How often and after how many seconds a failed run is retried, and how a paused run resumes."""

    max_retries: int = 0
    retry_delay_seconds: float = 0
    retries: int | None = None
    retry_delay: float | list[float] | None = None
    pause_keys: list[str] | None = None
    resuming: bool | None = False
    retry_type: Literal["in_process", "reschedule"] | None = None


class FlowRun(Model):
    """A flow run. `attempt` is the number of times that it was claimed."""

    id: str
    created: Time
    updated: Time
    name: str
    flow_id: str
    state_id: str | None = None
    deployment_id: str | None = None
    deployment_version: str | None = None
    work_queue_id: str | None = None
    work_queue_name: str | None = None
    schedule_id: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    idempotency_key: str | None = None
    context: dict[str, Any] = Field(default_factory=dict)
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: dict[str, Any] = Field(default_factory=dict)
    parent_task_run_id: str | None = None
    root_flow_run_id: str | None = None
    state_type: StateType | None = None
    state_name: str | None = None
    run_count: int = 0
    attempt: int = 0
    crash_count: int = 0
    expected_start_time: Time | None = None
    next_scheduled_start_time: Time | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    total_run_time: Seconds = timedelta()
    estimated_run_time: Seconds = timedelta()
    estimated_start_time_delta: Seconds = timedelta()
    auto_scheduled: bool = False
    infrastructure_document_id: str | None = None
    infrastructure_pid: str | None = None
    created_by: dict[str, Any] | None = None
    work_pool_id: str | None = None
    work_pool_name: str | None = None
    state: StateModel | None = None
    job_variables: dict[str, Any] | None = None


class FlowRunCreate(Input):
    """A flow run to create. The default state is PENDING. Without a name it gets a generated name."""

    flow_id: str
    name: str | None = None
    deployment_id: str | None = None
    deployment_version: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] = Field(default_factory=dict)
    parent_task_run_id: str | None = None
    infrastructure_document_id: str | None = None
    empirical_policy: FlowRunPolicy = Field(default_factory=FlowRunPolicy)
    tags: list[str] = Field(default_factory=list)
    labels: dict[str, Any] | None = None
    idempotency_key: str | None = None
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None
    state: StateCreate | None = None
    created_by: dict[str, Any] | None = None


class FlowRunUpdate(Input):
    """Changes to a flow run. Only the given fields change."""

    name: str | None = None
    flow_version: str | None = None
    parameters: dict[str, Any] | None = None
    empirical_policy: FlowRunPolicy | None = None
    tags: list[str] | None = None
    infrastructure_pid: str | None = None
    job_variables: dict[str, Any] | None = None


class SetState(Input):
    """A state to propose.

    `force` skips the rules. The process that executes the run gives its `attempt`. The request is rejected
    if that attempt has lost its lease.
    """

    state: StateCreate
    force: bool = False
    attempt: int | None = None


class OrchestrationResult(Model):
    """The outcome of a proposed state: ACCEPT, REJECT, WAIT or ABORT, and the present state."""

    state: StateModel | None = None
    status: Literal["ACCEPT", "REJECT", "WAIT", "ABORT"]
    details: dict[str, Any] = Field(default_factory=dict)


def result_of(status: str, state: Any, reason: str | None, delay_seconds: int) -> OrchestrationResult:
    """The response of the API for an outcome of the rules."""
    details: dict[str, Any] = {"type": f"{status.lower()}_details"}
    if status != "ACCEPT":
        details["reason"] = reason
    if status == "WAIT":
        details["delay_seconds"] = delay_seconds
    return OrchestrationResult.model_validate(
        {"state": StateModel.of(state), "status": status, "details": details}
    )


def answer_of(outcome: Outcome) -> Answer[OrchestrationResult]:
    """The answer to a proposed state: 201 where one was written."""
    result = result_of(outcome.status, outcome.state, outcome.reason, outcome.delay_seconds)
    return Answer(result, 201 if outcome.written else 200)


# The columns and joins that `flow_run_of` needs.
VIEW_COLUMNS = "r.*, jq.name AS work_queue_name, jp.id AS work_pool_id, jp.name AS work_pool_name"
VIEW_JOINS = (
    "LEFT JOIN work_queues jq ON jq.id = r.work_queue_id LEFT JOIN work_pools jp ON jp.id = jq.work_pool_id"
)


def flow_run_of(row: Row) -> FlowRun:
    """Convert a row of VIEW_COLUMNS to its model."""
    state = state_of(row)
    times: dict[str, Any] = {
        name: moment(row[name])
        for name in (
            "created",
            "updated",
            "expected_start_time",
            "next_scheduled_start_time",
            "start_time",
            "end_time",
        )
    }
    run_time, delta = estimates(row)
    return FlowRun(
        **{name: row[name] for name in _PLAIN},
        **times,
        parameters=load(row["parameters"], {}),
        context=load(row["context"], {}),
        empirical_policy=load(row["empirical_policy"], {}),
        tags=load(row["tags"], []),
        labels=load(row["labels"], {}),
        created_by=load(row["created_by"]),
        job_variables=load(row["job_variables"]),
        auto_scheduled=bool(row["auto_scheduled"]),
        total_run_time=clock.span_of(row["total_run_time"]),
        estimated_run_time=run_time,
        estimated_start_time_delta=delta,
        state=None if state is None else StateModel.of(state),
    )


def estimates(row: Row) -> tuple[timedelta, timedelta]:
    """The run time of a run until now, and the delay of its start."""
    try:
        return _estimates(row)
    except (OverflowError, TypeError):  # invalid times, not written by Runyard
        return timedelta(), timedelta()


def _estimates(row: Row) -> tuple[timedelta, timedelta]:
    now = clock.now_us()
    run_time = row["total_run_time"]
    if row["state_type"] == RUNNING:
        run_time += max(0, now - row["state_timestamp"])
    expected, started = row["expected_start_time"], row["start_time"]
    late = 0
    if expected is not None:
        if started is not None:
            late = started - expected
        elif row["state_type"] not in TERMINAL:
            late = now - expected
    return timedelta(microseconds=run_time), timedelta(microseconds=max(0, late))


_PLAIN = (
    "id", "name", "flow_id", "state_id", "deployment_id", "deployment_version", "work_queue_id",
    "work_queue_name", "schedule_id", "flow_version", "idempotency_key", "parent_task_run_id",
    "root_flow_run_id", "state_type", "state_name", "run_count", "attempt", "crash_count",
    "infrastructure_pid", "work_pool_id", "work_pool_name",
)  # fmt: skip
