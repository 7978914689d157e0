"""Counts of runs by interval of their expected start and by state, for flow runs and task runs alike."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.operations.filters.query_fields import TABLES
from runyard.operations.runs.state_columns import TERMINAL_SQL
from runyard.operations.schemas import Filter, Model, Seconds, StateType, Time

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runyard.store.database import Row, Transaction

# The same number as in Prefect.
_MOST_INTERVALS = 500
_LONGEST = 1e16  # 317 years, in microseconds
# By interval and state: the number of runs, their run time and their lateness, in microseconds.
Counts = dict[int, dict[tuple[str, str], list[int]]]


class RunHistoryRequest(Filter):
    """Which runs to count: filters, and the intervals of the expected start time."""

    history_start: Time
    history_end: Time
    history_interval_seconds: float

    def filters(self) -> dict[str, Any]:
        """The filters by kind."""
        return self.model_dump(include=set(Filter.model_fields))


class RunHistoryState(Model):
    """The runs of an interval in one state. Durations are in seconds, summed over the runs."""

    state_type: StateType
    state_name: str
    count_runs: int
    sum_estimated_run_time: Seconds
    sum_estimated_lateness: Seconds


class RunHistory(Model):
    """An interval, from its start until just before its end."""

    interval_start: Time
    interval_end: Time
    states: list[RunHistoryState]


def intervals_of(body: RunHistoryRequest) -> tuple[int, int, int]:
    """The start and the length of the intervals, in microseconds, and their number.

    Raises:
        InvalidInput: the interval is less than a second.
    """
    if not body.history_interval_seconds >= 1:
        raise InvalidInput("History interval must not be less than 1 second.")
    start, end = clock.to_us(body.history_start), clock.to_us(body.history_end)
    interval = int(min(body.history_interval_seconds * 1e6, _LONGEST))
    number = min(max(-((start - end) // interval), 1), _MOST_INTERVALS)
    return start, interval, number


def lateness_of(alias: str) -> str:
    """The SQL of the lateness of a run, in microseconds, with the parameter `now`."""
    started, expected = f"{alias}.start_time", f"{alias}.expected_start_time"
    return (
        f"CASE WHEN {started} > {expected} THEN {started} - {expected} "
        f"WHEN {started} IS NULL AND {alias}.state_type NOT IN {TERMINAL_SQL} "
        f"AND :now > {expected} THEN :now - {expected} ELSE 0 END"
    )


def count_runs(
    tx: Transaction,
    kind: str,
    start: int,
    interval: int,
    conditions: list[str],
    begin: int,
    end: int,
    values: dict[str, Any] | None = None,
) -> Counts:
    """Count the flow runs or task runs (`kind`) from `begin` to `end` that match the conditions."""
    table, alias = TABLES[kind]
    run_us = (
        f"CASE WHEN {alias}.state_type = 'RUNNING' AND :now > {alias}.state_timestamp "
        f"THEN {alias}.total_run_time + :now - {alias}.state_timestamp ELSE {alias}.total_run_time END"
    )
    rows: list[Row] = tx.all(
        f"SELECT ({alias}.expected_start_time - :start) / :interval AS bucket, {alias}.state_type, "  # noqa: S608  # ours, values bound
        f"{alias}.state_name, count(*) AS runs, sum({run_us}) AS run_us, "
        f"sum({lateness_of(alias)}) AS late_us "
        f"FROM {table} {alias} WHERE {' AND '.join(conditions)} "
        f"GROUP BY bucket, {alias}.state_type, {alias}.state_name",
        {
            **(values or {}),
            "start": start,
            "interval": interval,
            "begin": begin,
            "end": end,
            "now": clock.now_us(),
        },
    )
    found: Counts = defaultdict(dict)
    for row in rows:
        numbers = [int(row[name] or 0) for name in ("runs", "run_us", "late_us")]
        add(found, row["bucket"], (row["state_type"], row["state_name"]), numbers)
    return found


def history_of(counts: Counts, start: int, interval: int, number: int) -> list[RunHistory]:
    """The counts of each interval, oldest first."""
    return [
        RunHistory(
            interval_start=clock.from_us(start + at * interval),
            interval_end=clock.from_us(start + (at + 1) * interval),
            states=[
                RunHistoryState(
                    state_type=kind,
                    state_name=name,
                    count_runs=runs,
                    sum_estimated_run_time=clock.span_of(run),
                    sum_estimated_lateness=clock.span_of(late),
                )
                for (kind, name), (runs, run, late) in sorted(counts.get(at, {}).items())
            ],
        )
        for at in range(number)
    ]


def merge(found: Counts, more: Counts) -> None:
    """Add all counts of `more`."""
    for at, states in more.items():
        for state, numbers in states.items():
            add(found, at, state, numbers)


def add(found: Counts, at: int, state: tuple[str, str], numbers: Iterable[int]) -> None:
    """Add the numbers of a state to an interval."""
    before = found[at].get(state)
    found[at][state] = (
        list(numbers) if before is None else [a + b for a, b in zip(before, numbers, strict=True)]
    )
