"""Task runners, which run submitted tasks. Threads are the default; the others are imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from runyard.engine.task_runners.runner_protocol import TaskRunner
from runyard.engine.task_runners.threads import (
    ConcurrentTaskRunner,
    SequentialTaskRunner,
    ThreadPoolTaskRunner,
)

if TYPE_CHECKING:
    from runyard.engine.task_runners.dask import DaskTaskRunner
    from runyard.engine.task_runners.process_pool import ProcessPoolTaskRunner
    from runyard.engine.task_runners.ray import RayTaskRunner

__all__ = [
    "ConcurrentTaskRunner",
    "DaskTaskRunner",
    "ProcessPoolTaskRunner",
    "RayTaskRunner",
    "SequentialTaskRunner",
    "TaskRunner",
    "ThreadPoolTaskRunner",
]

_LATER = {
    "DaskTaskRunner": "dask",
    "ProcessPoolTaskRunner": "process_pool",
    "RayTaskRunner": "ray",
    "get_async_dask_client": "dask",
    "get_dask_client": "dask",
    "remote_options": "ray",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
