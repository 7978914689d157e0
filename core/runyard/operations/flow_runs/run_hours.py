"""Counts of flow runs by hour and state, for charts, and Prefect's history of runs.

A run belongs to the hour of its expected start. The ended runs of a past hour are counted once, and the
counts are stored in a row of `flow_run_hours`. Database triggers delete that row in the transaction that
changes one of its runs (the run ends late, is retried, or is deleted). So an existing row is correct. Hours
without a row, and runs that have not ended, are counted at each request.
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.operations.filters import query
from runyard.operations.operation import Settled, operation
from runyard.operations.runs.run_intervals import (
    Counts,
    RunHistory,
    RunHistoryRequest,
    add,
    count_runs,
    history_of,
    intervals_of,
    lateness_of,
    merge,
)
from runyard.operations.runs.state_columns import TERMINAL_SQL
from runyard.operations.schemas import Filter
from runyard.store import online_steps
from runyard.store.database import Transaction
from runyard.store.online_steps import HOUR_US

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HOUR = timedelta(hours=1)
# Older hours are counted at each request.
_KEPT_HOURS = 92 * 24
_MOST_HOURS = 92 * 24

_IN_TIME = "r.expected_start_time >= :begin AND r.expected_start_time < :end"
_OVER = f"r.state_type IN {TERMINAL_SQL}"
# By their states: a planner would wrongly guess that a time range contains few of all runs.
_OPEN = (
    "r.state_type IN ('PENDING', 'RUNNING', 'PAUSED', 'CANCELLING')"
    " AND r.expected_start_time + 0 >= :begin AND r.expected_start_time + 0 < :end",
    f"r.state_type = 'SCHEDULED' AND {_IN_TIME}",
)


def _look(tx: Transaction) -> Any:
    """Find the newest past hour that is not counted yet."""
    if online_steps.has_hours(tx):
        first = tx.value("SELECT min(expected_start_time) FROM flow_runs")
        last = clock.now_us() // HOUR_US - 1
        if first is not None and first // HOUR_US <= last:
            hours = {"first": max(first // HOUR_US, last - _KEPT_HOURS), "last": last}
            where = "WHERE hour >= :first AND hour <= :last"
            known = tx.value(f"SELECT count(*) FROM flow_run_hours {where}", hours)  # noqa: S608  # ours
            if known <= last - hours["first"]:
                rows = tx.all(f"SELECT hour FROM flow_run_hours {where}", hours)  # noqa: S608  # ours
                there = {row["hour"] for row in rows}
                return next(hour for hour in range(last, hours["first"] - 1, -1) if hour not in there)
    return Settled({"hour": None})


@operation("POST", "/runyard/flow_runs/hours/count", write=True, durable=False, prepare=_look)
def count_run_hour(tx: Transaction) -> dict[str, Any]:
    """Count the ended runs of the newest hour of the last 92 days that is not counted yet.

    Returns:
        hour: the counted hour, in hours since 1970; null if all hours are counted.
    """
    hour = tx.prepared
    if tx.dialect == "postgresql":
        lock = {"lock": online_steps.HOURS_LOCK, "hour": hour % online_steps.HOURS_LOCKS}
        tx.value("SELECT pg_advisory_xact_lock(:lock, :hour)", lock)
    begin = hour * HOUR_US
    found = count_runs(tx, "flow_runs", begin, HOUR_US, [_OVER, _IN_TIME], begin, begin + HOUR_US)
    states = sorted(found.get(0, {}).items())
    tx.execute(
        """INSERT INTO flow_run_hours (hour, counts, times) VALUES (:hour, :counts, :times)
           ON CONFLICT (hour) DO UPDATE SET counts = excluded.counts, times = excluded.times""",
        {
            "hour": hour,
            "counts": json.dumps([[*state, runs] for state, (runs, _, _) in states]),
            "times": json.dumps([[run, late] for _, (_, run, late) in states]),
        },
    )
    tx.execute("DELETE FROM flow_run_hours WHERE hour < :old", {"old": hour - 2 * _KEPT_HOURS})
    return {"hour": hour}


@operation("GET", "/runyard/flow_runs/hours")
def read_run_hours(tx: Transaction, since: str = "", until: str = "") -> list[dict[str, Any]]:
    """Count the flow runs in each state, by the hour of their expected start.

    Args:
        since: a time in the first hour; by default 24 hours before `until`.
        until: the end of the last hour, rounded up; by default now.

    Returns:
        For each hour, oldest first: hour (the time at which it begins), and states: type, name, runs.

    Raises:
        InvalidInput: a time is invalid, or the range is more than 92 days.
    """
    end = _hour_of(until, clock.now_us() + HOUR_US - 1)
    begin = _hour_of(since, (end - 24) * HOUR_US)
    if not 0 <= end - begin <= _MOST_HOURS:
        raise InvalidInput(f"since and until are {end - begin} hours apart; ask for 0 to {_MOST_HOURS}")
    start = begin * HOUR_US
    kept = _kept(tx, start, end * HOUR_US, "counts")
    counted = _beside(tx, start, HOUR_US, end - begin, kept)
    shown = []
    moment = clock.from_us(start).replace(tzinfo=None)  # a zone would take half of the time of the texts
    for hour in range(begin, end):
        states = kept.get(hour, [])
        if hour - begin in counted:
            live = counted[hour - begin].items()
            states = sorted([*states, *([*state, numbers[0]] for state, numbers in live)])
        shown.append(
            {
                "hour": moment.isoformat(timespec="microseconds") + "Z",
                "states": [{"type": kind, "name": name, "runs": runs} for kind, name, runs in states],
            }
        )
        moment += _HOUR
    return shown


def _hour_of(text: str, default_us: int) -> int:
    if not text:
        return default_us // HOUR_US
    try:
        return clock.to_us(clock.parse_time(text)) // HOUR_US
    except ValueError as error:
        raise InvalidInput(f"invalid time {text!r}; write it as 2026-01-31T08:00:00Z") from error


@operation("POST", "/flow_runs/history", write=False)
def read_flow_run_history(tx: Transaction, body: RunHistoryRequest) -> list[RunHistory]:
    """Count the flow runs that a filter matches in each state, by interval; at most 500 intervals.

    Raises:
        InvalidInput: a filter or an operator is unknown, or the interval is less than a second.
    """
    start, interval, number = intervals_of(body)
    where, values = query.conditions(tx, "flow_runs", body.filters())
    if where:
        stop = start + number * interval
        where = [*where, "r.state_type IS NOT NULL", _IN_TIME]
        counts = count_runs(tx, "flow_runs", start, interval, where, start, stop, values)
    else:
        counts = _counts(tx, start, interval, number)
    return history_of(counts, start, interval, number)


@operation("POST", "/flow_runs/lateness", write=False)
def read_flow_run_lateness(tx: Transaction, body: Filter) -> float | None:
    """The mean lateness of the flow runs that a filter matches, in seconds; null if there are none.

    The lateness of a run is the time from its expected start to its start, or until now if it waits. It is 0
    if the run started earlier, or ended without a start.

    Raises:
        InvalidInput: a filter or an operator is unknown.
    """
    where, values = query.conditions(tx, "flow_runs", body.model_dump())
    if where:
        parts = [_late(tx, where, values)]
    else:
        # The extremes one by one: together they would read the whole index.
        first = tx.value("SELECT min(expected_start_time) FROM flow_runs")
        if first is None:
            return None
        stop = tx.value("SELECT max(expected_start_time) FROM flow_runs") + 1
        kept = _kept(tx, first, stop, "counts", "times")
        parts = [
            (sum(runs for _, _, runs in counts), sum(late for _, late in times))
            for counts, times in kept.values()
        ]
        for begin, end in _gaps(kept, first, stop):
            parts.append(_late(tx, [_OVER, _IN_TIME], {"begin": begin, "end": end}))
        parts += [_late(tx, [condition], {"begin": first, "end": stop}) for condition in _OPEN]
    total = sum(runs for runs, _ in parts)
    return sum(late for _, late in parts) / total / 1e6 if total else None


def _late(tx: Transaction, conditions: list[str], values: dict[str, Any]) -> tuple[int, float]:
    """The number of the matching runs, and their lateness in microseconds: a sum may exceed an integer."""
    row = tx.one(
        f"SELECT count(*) AS runs, avg({lateness_of('r')}) AS late FROM flow_runs r "  # noqa: S608  # ours, values bound
        f"WHERE {' AND '.join(conditions)}",
        {**values, "now": clock.now_us()},
    )
    runs = int(row["runs"]) if row else 0
    return (runs, float(row["late"]) * runs) if row and runs else (0, 0.0)


def _counts(tx: Transaction, start: int, interval: int, number: int) -> Counts:
    """Count the runs of `number` intervals from `start`, in microseconds."""
    kept = {}
    if interval >= HOUR_US:
        hours = _kept(tx, start, start + number * interval, "counts", "times")
        kept = {
            hour: states
            for hour, states in hours.items()
            if (hour * HOUR_US - start) // interval == ((hour + 1) * HOUR_US - 1 - start) // interval
        }
    found = _beside(tx, start, interval, number, kept)
    for hour, (counts, times) in kept.items():
        for (kind, name, runs), (run, late) in zip(counts, times, strict=True):
            add(found, (hour * HOUR_US - start) // interval, (kind, name), (runs, run, late))
    return found


def _kept(tx: Transaction, start: int, stop: int, *columns: str) -> dict[int, Any]:
    """Read the stored counts of the whole hours of a time range; for several columns as tuples."""
    if not online_steps.has_hours(tx):
        return {}
    rows = tx.all(
        f"SELECT hour, {', '.join(columns)} FROM flow_run_hours WHERE hour >= :first AND hour < :last "  # noqa: S608  # ours
        "ORDER BY hour",
        {"first": -(-start // HOUR_US), "last": stop // HOUR_US},
    )
    # Decode one text, because decoding many takes twice as long.
    parts = [json.loads(f"[{','.join(row[column] for row in rows)}]") for column in columns]
    values = parts[0] if len(parts) == 1 else zip(*parts, strict=True)
    return dict(zip([row["hour"] for row in rows], values, strict=True))


def _beside(tx: Transaction, start: int, interval: int, number: int, kept: Iterable[int]) -> Counts:
    """Count the open runs of intervals, and the ended runs outside of the stored hours."""
    stop = start + number * interval
    found: Counts = defaultdict(dict)
    for begin, end in _gaps(kept, start, stop):
        merge(found, count_runs(tx, "flow_runs", start, interval, [_OVER, _IN_TIME], begin, end))
    for condition in _OPEN:
        merge(found, count_runs(tx, "flow_runs", start, interval, [condition], start, stop))
    return found


def _gaps(kept: Iterable[int], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The parts of a time range between the stored hours."""
    for hour in kept:
        if start < hour * HOUR_US:
            yield start, hour * HOUR_US
        start = (hour + 1) * HOUR_US
    if start < stop:
        yield start, stop
