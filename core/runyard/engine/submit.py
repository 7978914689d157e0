"""Submitting and mapping tasks: runs that go on beside the flow, on its task runner."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from runyard.context import current_flow
from runyard.engine import outcome
from runyard.engine.effects import drive, drive_async
from runyard.engine.parameters import bind, signature_of
from runyard.engine.resolve import to_data
from runyard.engine.run import journal_without_flow
from runyard.engine.task_core import new_run, run_task
from runyard.exceptions import MappingLengthMismatch, MappingMissingIterable
from runyard.futures import FutureList, TaskFuture
from runyard.markers import allow_failure, unmapped
from runyard.task_runners import TaskRunner, ThreadPoolTaskRunner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runyard.context import FlowRunContext
    from runyard.tasks import Task

_lonely: TaskRunner | None = None
_lock = threading.Lock()


def submit_task(
    task: Task,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    return_state: bool,
    wait_for: Iterable[Any] | None,
) -> Any:
    """What `task.submit(...)` does.

    Raises:
        ParameterError: the arguments do not fit the signature; nothing is started then.
    """
    bind(task, args, kwargs)
    flow = current_flow.get()
    journal = flow.journal if flow is not None else journal_without_flow()
    run = new_run(task, flow, journal)
    future = TaskFuture(run)
    upstream = None if wait_for is None else list(wait_for)

    def work() -> None:
        try:
            core = run_task(task, run, flow, journal, args, kwargs, upstream)
            if task.isasync:
                import asyncio

                state = asyncio.run(drive_async(core))
            else:
                state = drive(core)
        except BaseException as error:
            # Already written down; whoever asks the future gets it, and the thread goes on.
            state = outcome.state_of_error(error, "Task")
        future.resolve(state)

    _runner(flow).submit(work, future)
    if return_state:
        future.wait()
        return future.state
    return future


def _runner(flow: FlowRunContext | None) -> TaskRunner:
    """The task runner of a flow run, made when first used; outside of flows one for the process."""
    global _lonely
    with _lock:
        if flow is None:
            if _lonely is None:
                _lonely = ThreadPoolTaskRunner()
            return _lonely
        if flow.task_runner is None:
            given = flow.flow.task_runner
            if given is None:
                flow.task_runner = ThreadPoolTaskRunner()
            else:
                flow.task_runner = given() if isinstance(given, type) else given.duplicate()
        return flow.task_runner


def map_task(
    task: Task,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    return_state: bool,
    wait_for: Iterable[Any] | None,
) -> Any:
    """What `task.map(...)` does; see there for its errors."""
    signature = signature_of(task)
    parameters = bind(task, args, kwargs)
    extra = parameters.pop(signature.var_kwargs, {}) if signature.var_kwargs else {}
    mapped: dict[str, list[Any]] = {}
    same: dict[str, Any] = {}
    for name, value in {**parameters, **extra}.items():
        is_given = name in extra or not _is_default(signature.defaults, name, value)
        items = _items(value) if is_given and name != signature.var_args else None
        if items is None:
            same[name] = value.value if isinstance(value, unmapped) else value
        else:
            mapped[name] = items
    if not mapped:
        raise MappingMissingIterable(
            f"{task.name}.map() was given nothing to map over; pass a list, or call .submit()"
        )
    lengths = {name: len(items) for name, items in mapped.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise MappingLengthMismatch(f"{task.name}.map() needs arguments of one length, not {told}")
    futures = FutureList()
    for at in range(next(iter(lengths.values()))):
        values = {**same, **{name: items[at] for name, items in mapped.items()}}
        if signature.var_kwargs:
            values[signature.var_kwargs] = {name: values.pop(name) for name in extra}
        call_args, call_kwargs = signature.call_with(values)
        futures.append(submit_task(task, call_args, call_kwargs, False, wait_for))
    if return_state:
        futures.wait()
        return [future.state for future in futures]
    return futures


def _is_default(defaults: dict[str, Any], name: str, value: Any) -> bool:
    return name in defaults and defaults[name] is value


def _items(value: Any) -> list[Any] | None:
    """The items to map over, or None where a value is the same for every call."""
    if isinstance(value, (unmapped, str, bytes, dict)):
        return None
    if isinstance(value, allow_failure):
        items = _items(value.value)
        return None if items is None else [allow_failure(item) for item in items]
    if isinstance(value, TaskFuture):
        value = to_data(value)
        return _items(value)
    if hasattr(value, "__iter__") and not isinstance(value, type):
        return list(value)
    return None
