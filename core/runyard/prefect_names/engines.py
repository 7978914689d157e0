"""The names of `prefect.engine`, `.task_engine` and `.flow_engine` that scripts use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.engine.parameters import signature_of
from runyard.sdk.pausing import pause_flow_run, resume_flow_run, suspend_flow_run

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "pause_flow_run",
    "resume_flow_run",
    "run_flow",
    "run_flow_async",
    "run_flow_sync",
    "run_task",
    "run_task_async",
    "run_task_sync",
    "suspend_flow_run",
]


def run_task(
    task: Any,
    task_run_id: Any = None,
    task_run: Any = None,
    parameters: dict[str, Any] | None = None,
    wait_for: Iterable[Any] | None = None,
    return_type: str = "result",
    dependencies: Any = None,
    context: dict[str, Any] | None = None,
) -> Any:
    """Run a task in this process; for an async task, return an awaitable.

    Args:
        task: the task.
        parameters: its arguments by name.
        wait_for: futures that must be done before.
        return_type: `result`, or `state` for the final state.
        task_run_id, task_run, dependencies, context: accepted for compatibility, without effect.
    """
    return _run(task, parameters, wait_for, return_type)


def run_flow(
    flow: Any,
    flow_run: Any = None,
    parameters: dict[str, Any] | None = None,
    wait_for: Iterable[Any] | None = None,
    return_type: str = "result",
    error_logger: Any = None,
    context: dict[str, Any] | None = None,
) -> Any:
    """Run a flow in this process; for the arguments see `run_task`."""
    return _run(flow, parameters, wait_for, return_type)


def _run(runnable: Any, parameters: dict[str, Any] | None, wait_for: Any, return_type: str) -> Any:
    signature = signature_of(runnable)
    args, kwargs = signature.call_with(signature.complete(dict(parameters or {})))
    return runnable(*args, return_state=return_type == "state", wait_for=wait_for, **kwargs)


run_task_sync = run_task_async = run_task
run_flow_sync = run_flow_async = run_flow
