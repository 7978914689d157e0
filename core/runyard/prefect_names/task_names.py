"""What `prefect.tasks` is: our tasks, and what Prefect has beside them, which loads when it is asked for."""

from __future__ import annotations

from runyard.sdk import tasks
from runyard.sdk.tasks import Task, exponential_backoff, task, task_input_hash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Task", "exponential_backoff", "task", "task_input_hash"]


def __getattr__(name: str) -> Any:
    # Scripts begin with `from prefect.tasks import task`: none of these is loaded by it.
    if name == "TaskOptions":
        from runyard.sdk.decorator_options import TaskOptions

        return TaskOptions
    if name == "State":
        from runyard.domain.states import State

        return State
    if name == "FlowRunContext":
        from runyard.engine.context import FlowRunContext

        return FlowRunContext
    if name in ("DEFAULT", "NO_CACHE"):
        from runyard.engine import cache_policies

        return getattr(cache_policies, name)
    return getattr(tasks, name)
