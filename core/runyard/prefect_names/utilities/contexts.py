"""The names of `prefect.utilities.context` that scripts use: the current runs."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard.engine.context import current_flow, current_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextvars import ContextVar

__all__ = ["get_flow_run_id", "get_task_and_flow_run_ids", "get_task_run_id", "temporary_context"]


@contextmanager
def temporary_context(context: dict[ContextVar[Any], Any]) -> Iterator[None]:
    """Context manager: give some context variables other values."""
    tokens = {variable: variable.set(value) for variable, value in context.items()}
    try:
        yield
    finally:
        for variable, token in tokens.items():
            variable.reset(token)


def get_task_run_id() -> str | None:
    """The id of the current task run."""
    found = current_task.get()
    return found.task_run.id if found is not None else None


def get_flow_run_id() -> str | None:
    """The id of the current flow run, also inside its tasks."""
    found, task = current_flow.get(), current_task.get()
    if found is not None:
        return found.flow_run.id
    return task.task_run.flow_run_id if task is not None else None


def get_task_and_flow_run_ids() -> tuple[str | None, str | None]:
    """Both ids."""
    return get_task_run_id(), get_flow_run_id()
