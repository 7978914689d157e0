"""What people look at among a million runs: the runs in a rare state, and counts by hour."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import large
from measure import Figure, Row
from products import Product

_RUNS = 1_000_000
_REPETITIONS = 15
_SORTS = ("EXPECTED_START_TIME_DESC", "START_TIME_DESC", "END_TIME_DESC", "ID_DESC")
_RARE = (
    {"name": {"any_": ["Late"]}},
    {"name": {"any_": ["Failed"]}},
    {"name": {"any_": ["No such state"]}},
    {"type": {"any_": ["FAILED"]}},
    {"type": {"any_": ["FAILED", "CRASHED"]}},
    {"type": {"any_": ["RUNNING"]}},
)


def _filled(product: Product) -> None:
    """A database of a million runs, made once for the rows that follow each other."""
    mark = os.path.join(product.folder, "large")
    if not os.path.exists(mark):
        product.fresh()
        large.fill(_RUNS)
        with open(mark, "w", encoding="utf-8"):
            pass


def _median(call: Callable[[], Any]) -> float:
    times = []
    for _ in range(_REPETITIONS):
        began = time.process_time()
        call()
        times.append((time.process_time() - began) * 1000)
    return statistics.median(times)


def rare_states(product: Product) -> Figure:
    """Milliseconds of CPU of the slowest query for 200 runs in a rare state, or for their number."""
    from runyard.operations.filters import query
    from runyard.operations.flow_runs.flow_run_shapes import VIEW_COLUMNS, VIEW_JOINS
    from runyard.store.database import get_database

    _filled(product)
    slowest = 0.0
    with get_database().transaction(write=False) as tx:
        for state in _RARE:
            body: dict[str, Any] = {"flow_runs": {"state": state}, "limit": 200}
            slowest = max(slowest, _median(lambda body=body: query.count(tx, "flow_runs", body)))
            for sort in _SORTS:
                sorted_body = {**body, "sort": sort}

                def listing(body: dict[str, Any] = sorted_body) -> Any:
                    return query.search(tx, "flow_runs", body, VIEW_COLUMNS, VIEW_JOINS)

                slowest = max(slowest, _median(listing))
    return Figure(slowest)


def hours(product: Product) -> Figure:
    """Milliseconds of CPU of the counts by hour of the last seven days, once past hours have been counted."""
    from runyard.base import clock
    from runyard.client import LocalClient
    from runyard.operations.flow_runs.run_hours import HOUR_US, count_run_hour, read_run_hours

    _filled(product)
    client = LocalClient()
    while client.call(count_run_hour)["hour"] is not None:
        pass
    since = clock.format_time(clock.from_us(clock.now_us() - 7 * 24 * HOUR_US))
    return Figure(_median(lambda: client.call(read_run_hours, since=since)))


ROWS = [
    Row(
        "rare-states",
        "the slowest query for the first 200 runs in a rare state, or their number, among 1,000,000, CPU",
        "ms",
        rare_states,
        at_most=5,
        prefect=False,
    ),
    Row(
        "run-hours",
        "counts by hour and state of the last 7 days among 1,000,000 runs, CPU",
        "ms",
        hours,
        at_most=5,
        prefect=False,
    ),
]
