"""Submits tasks: their runs execute concurrently with the flow, on its task runner."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from runyard.base.errors import ParameterError
from runyard.engine.context import current_drawing, current_flow
from runyard.engine.flowless_journal import journal_without_flow
from runyard.engine.futures import TaskFuture
from runyard.engine.parameters import bind, signature_of
from runyard.engine.resolve import awaited
from runyard.engine.submission import Submission
from runyard.engine.task_core import new_run
from runyard.engine.task_runners.runner_protocol import TaskRunner
from runyard.engine.task_runners.threads import ThreadPoolTaskRunner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runyard.engine.context import FlowRunContext
    from runyard.engine.task_definition import TaskDefinition

_runner_without_flow: TaskRunner | None = None
_lock = threading.Lock()


def submit_task(
    task: TaskDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    return_state: bool,
    wait_for: Iterable[Any] | None,
) -> Any:
    """Implements `task.submit(...)`.

    Raises:
        ParameterError: the arguments do not match the signature; then nothing is started.
    """
    drawing = current_drawing.get()
    if drawing is not None:
        return drawing.submit(task, args, kwargs, return_state, wait_for)
    parameters = bind(task, args, kwargs)
    flow = current_flow.get()
    runner = _runner(flow)
    if _submits_itself(type(runner)):
        future = runner.submit(task, parameters, wait_for=wait_for, dependencies={})
    else:
        future = _start(runner, task, args, kwargs, wait_for)
    if return_state:
        future.wait()
        return future.state
    return future


def submit_to(
    runner: TaskRunner, task: TaskDefinition, parameters: dict[str, Any], wait_for: Iterable[Any] | None
) -> TaskFuture:
    """Implements `runner.submit(task, parameters)`.

    Raises:
        ParameterError: the arguments do not match the signature.
    """
    try:
        signature = signature_of(task)
        args, kwargs = signature.call_with(signature.complete(parameters))
    except ParameterError as error:
        raise ParameterError(f"{task.name}: {error}") from None
    return _start(runner, task, args, kwargs, wait_for)


def _start(
    runner: TaskRunner,
    task: TaskDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    wait_for: Iterable[Any] | None,
) -> TaskFuture:
    flow = current_flow.get()
    journal = flow.journal if flow is not None else journal_without_flow()
    run = new_run(task, flow, journal)
    future: TaskFuture[Any] = TaskFuture(run)
    upstream = None if wait_for is None else awaited(wait_for)
    work = Submission(task, run, flow, journal, args, kwargs, upstream, future)
    kind = type(runner)
    if kind.submit is TaskRunner.submit or _submits_itself(kind):
        runner.start(work, future)
    else:
        runner.submit(work, future)
    return future


def _submits_itself(kind: type[TaskRunner]) -> bool:
    """Whether the user's runner class accepts tasks and parameters, as Prefect's does, not a callable."""
    if kind.submit is TaskRunner.submit:
        return False
    own: Any = getattr(kind.submit, "__wrapped__", kind.submit)
    return own.__code__.co_varnames[2:3] != ("future",)


def _runner(flow: FlowRunContext | None) -> TaskRunner:
    """The task runner of a flow run, created on first use; outside of flows one for the process."""
    global _runner_without_flow
    with _lock:
        if flow is None:
            if _runner_without_flow is None:
                _runner_without_flow = ThreadPoolTaskRunner()
            return _runner_without_flow
        runner: Any = flow.task_runner
        if runner is None:
            given = flow.flow.task_runner
            if given is None:
                runner = ThreadPoolTaskRunner()
            else:
                made = given() if isinstance(given, type) else given.duplicate()
                runner = made.__enter__()
            flow.task_runner = runner
        return runner
