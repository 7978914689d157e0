"""The module `prefect.tasks`: our tasks, and Prefect's other names, which are loaded on demand."""

from __future__ import annotations

from runyard.sdk import tasks
from runyard.sdk.tasks import Task, exponential_backoff, task, task_input_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Task", "exponential_backoff", "task", "task_input_hash"]


def __getattr__(name: str) -> Any:
    # Scripts start with `from prefect.tasks import task`, which loads none of these.
    if name == "TaskOptions":
        from runyard.sdk.decorator_options import TaskOptions

        return TaskOptions
    if name == "State":
        # Nor any of these (28 ms).
        from runyard.domain.states import State

        return State
    if name == "FlowRunContext":
        from runyard.engine.context import FlowRunContext

        return FlowRunContext
    if name in ("DEFAULT", "NO_CACHE"):
        from runyard.engine import cache_policies

        return getattr(cache_policies, name)
    return getattr(tasks, name)
