"""The names of `prefect.futures` that scripts use."""

from __future__ import annotations

from typing import Any

from runyard.engine import futures
from runyard.engine.futures import FutureList, TaskFuture, as_completed, wait

__all__ = [
    "PrefectConcurrentFuture",
    "PrefectFuture",
    "PrefectFutureList",
    "PrefectTaskRunFuture",
    "as_completed",
    "wait",
]

PrefectFuture = TaskFuture
PrefectConcurrentFuture = TaskFuture
PrefectTaskRunFuture = TaskFuture
PrefectFutureList = FutureList


def __getattr__(name: str) -> Any:
    # The future of a background task loads with these, 30 ms of imports.
    if name == "PrefectDistributedFuture":
        from runyard.engine.background.background_submit import BackgroundFuture

        return BackgroundFuture
    # And functions that replace futures inside a value by their states or results.
    if name in ("resolve_futures_to_results", "resolve_futures_to_states"):
        from runyard.engine.resolve import to_data, to_states

        return to_data if name == "resolve_futures_to_results" else to_states
    return getattr(futures, name)
