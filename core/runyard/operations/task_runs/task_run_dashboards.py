"""What dashboards ask about task runs: counts by interval and by state, and one with its flow run's name."""

from __future__ import annotations

from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.operations.filters import query
from runyard.operations.operation import operation
from runyard.operations.runs.run_intervals import (
    RunHistory,
    RunHistoryRequest,
    count_runs,
    history_of,
    intervals_of,
)
from runyard.operations.runs.state_columns import TERMINAL_SQL
from runyard.operations.schemas import Filter, Model
from runyard.operations.task_runs.task_runs import TaskRun, read_task_run
from runyard.store.database import Transaction

_PARTS = 20
_MINUTE = 60_000_000
_FAILED = "('FAILED', 'CRASHED')"


class TaskRunCount(Model):
    """How many task runs of a part of a time range ended, and how many of them failed or crashed."""

    completed: int = 0
    failed: int = 0


class CountByState(Model):
    """The number of runs in each state."""

    COMPLETED: int = 0
    PENDING: int = 0
    RUNNING: int = 0
    FAILED: int = 0
    CANCELLED: int = 0
    CRASHED: int = 0
    PAUSED: int = 0
    CANCELLING: int = 0
    SCHEDULED: int = 0


class TaskRunOfFlowRun(TaskRun):
    """A task run with the name of its flow run."""

    flow_run_name: str | None = None


@operation("POST", "/task_runs/history", write=False)
def read_task_run_history(tx: Transaction, body: RunHistoryRequest) -> list[RunHistory]:
    """Count the task runs that a filter matches in each state, by interval; at most 500 intervals.

    Raises:
        InvalidInput: a filter or an operator is unknown, or the interval is less than a second.
    """
    start, interval, number = intervals_of(body)
    where, values = query.conditions(tx, "task_runs", body.filters())
    where += [
        "t.state_type IS NOT NULL",
        "t.expected_start_time >= :begin",
        "t.expected_start_time < :end",
    ]
    stop = start + number * interval
    counts = count_runs(tx, "task_runs", start, interval, where, start, stop, values)
    return history_of(counts, start, interval, number)


@operation("POST", "/ui/task_runs/count", write=False)
def count_task_runs_by_state(tx: Transaction, body: Filter) -> CountByState:
    """Count the task runs that a filter matches in each state.

    Raises:
        InvalidInput: a filter or an operator is unknown.
    """
    where, values = query.conditions(tx, "task_runs", body.model_dump())
    rows = tx.all(
        "SELECT t.state_type AS type, count(*) AS number FROM task_runs t "  # noqa: S608  # closed lists, values bound
        f"WHERE {' AND '.join([*where, 't.state_type IS NOT NULL'])} GROUP BY t.state_type",
        values,
    )
    return CountByState(**{row["type"]: int(row["number"]) for row in rows})


@operation("POST", "/ui/task_runs/dashboard/counts", write=False)
def read_task_run_counts(tx: Transaction, body: Filter) -> list[TaskRunCount]:
    """Count the ended task runs that a filter matches, in 20 equal parts of the time range of their starts.

    The range is from the minute of `task_runs.start_time.after_` to the end of the minute of `before_`, by
    default now.

    Raises:
        InvalidInput: a filter or an operator is unknown, or `task_runs.start_time.after_` is missing.
    """
    where, values = query.conditions(tx, "task_runs", body.model_dump())
    started = (body.task_runs or {}).get("start_time") or {}
    if started.get("after_") is None:
        raise InvalidInput("task_runs.start_time.after_ is required")
    before = started.get("before_")
    start = query.microseconds_of(started["after_"]) // _MINUTE * _MINUTE
    last = clock.now_us() if before is None else query.microseconds_of(before)
    stop = (last // _MINUTE + 1) * _MINUTE
    parts = [TaskRunCount() for _ in range(_PARTS)]
    if stop <= start:
        return parts
    where += [f"t.state_type IN {TERMINAL_SQL}", "t.start_time >= :begin", "t.start_time < :end"]
    rows = tx.all(
        f"SELECT (t.start_time - :begin) * {_PARTS} / (:end - :begin) AS part, count(*) AS number, "  # noqa: S608  # closed lists, values bound
        f"sum(CASE WHEN t.state_type IN {_FAILED} THEN 1 ELSE 0 END) AS failed FROM task_runs t "
        f"WHERE {' AND '.join(where)} GROUP BY part",
        {**values, "begin": start, "end": stop},
    )
    for row in rows:
        failed = int(row["failed"])
        parts[int(row["part"])] = TaskRunCount(completed=int(row["number"]) - failed, failed=failed)
    return parts


@operation("GET", "/ui/task_runs/{task_run_id}")
def read_task_run_of_flow_run(tx: Transaction, task_run_id: str) -> TaskRunOfFlowRun:
    """Read a task run with its state and the name of its flow run.

    Raises:
        NotFound: the task run is not found.
    """
    task_run = read_task_run(tx, task_run_id)
    name = tx.value("SELECT name FROM flow_runs WHERE id = :id", {"id": task_run.flow_run_id})
    return TaskRunOfFlowRun(flow_run_name=name, **dict(task_run))
