"""Maps a task: submits one run for each item of the iterable arguments."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from runyard.base.exceptions import MappingLengthMismatch, MappingMissingIterable
from runyard.base.markers import allow_failure, opaque, quote, unmapped
from runyard.domain.states import COMPLETED, State
from runyard.engine.context import current_drawing
from runyard.engine.futures import FutureList, TaskFuture
from runyard.engine.parameters import bind, signature_of
from runyard.engine.resolve import to_data
from runyard.engine.submit import submit_task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runyard.engine.parameters import Signature
    from runyard.engine.task_definition import TaskDefinition
    from runyard.engine.task_runners import TaskRunner

# The place of an argument: a parameter's name, or its position in `*args`.
Place = str | int


def map_task(
    task: TaskDefinition,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    return_state: bool,
    wait_for: Iterable[Any] | None,
    start: Callable[..., TaskFuture] = submit_task,
) -> Any:
    """Implements `task.map(...)`; see there for its errors. `start` submits each run."""
    drawing = current_drawing.get()
    if drawing is not None:
        return drawing.map(task, args, kwargs, return_state, wait_for)
    signature = signature_of(task)
    parameters = bind(task, args, kwargs)
    mapped, same = _split(_places(signature, parameters), _given(signature, args, kwargs))
    if not mapped:
        raise MappingMissingIterable(
            f"{task.name}.map() was given nothing to map over; pass a list, or call .submit()"
        )
    lengths = {place: len(items) for place, items in mapped.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{place}: {length}" for place, length in lengths.items())
        raise MappingLengthMismatch(f"{task.name}.map() needs arguments of one length, not {told}")
    futures: FutureList[Any] = FutureList()
    for at in range(next(iter(lengths.values()))):
        values = {**same, **{place: items[at] for place, items in mapped.items()}}
        call_args, call_kwargs = _call(signature, values)
        futures.append(start(task, call_args, call_kwargs, False, wait_for))
    if return_state:
        futures.wait()
        return [future.state for future in futures]
    return futures


def map_on(
    runner: TaskRunner, task: TaskDefinition, parameters: dict[str, Any], wait_for: Iterable[Any] | None
) -> FutureList[Any]:
    """Implements `runner.map(task, parameters)`; it raises the same errors as `task.map`."""

    def start(task: TaskDefinition, args: Any, kwargs: Any, _state: bool, wait_for: Any) -> TaskFuture[Any]:
        future: TaskFuture[Any] = runner.submit(task, bind(task, args, kwargs), wait_for)
        return future

    signature = signature_of(task)
    given = dict(parameters)
    several = given.pop(signature.var_args, ()) if signature.var_args else ()
    extra = given.pop(signature.var_kwargs, {}) if signature.var_kwargs else {}
    first = [given.pop(name) for name in signature.positional if name in given] if several else []
    futures: FutureList[Any] = map_task(task, (*first, *several), {**given, **extra}, False, wait_for, start)
    return futures


def _places(signature: Signature, parameters: dict[str, Any]) -> dict[Place, Any]:
    """All arguments by place; the items of `*args` and `**kwargs` are separate arguments."""
    values: dict[Any, Any] = dict(parameters)
    several = values.pop(signature.var_args, ()) if signature.var_args else ()
    extra = values.pop(signature.var_kwargs, {}) if signature.var_kwargs else {}
    return {**values, **dict(enumerate(several)), **extra}


def _given(signature: Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> set[Place]:
    """The places of the arguments that the caller passed; the others hold defaults."""
    return {*signature.positional[: len(args)], *range(len(args) - len(signature.positional)), *kwargs}


def _call(signature: Signature, values: dict[Place, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The (args, kwargs) of one call."""
    names = (*signature.positional, *signature.keyword_only)
    parameters: dict[str, Any] = {name: values.pop(name) for name in names}
    if signature.var_args:
        parameters[signature.var_args] = [values.pop(at) for at in range(len(values)) if at in values]
    if signature.var_kwargs:
        parameters[signature.var_kwargs] = values
    return signature.call_with(parameters)


def _split(values: dict[Place, Any], given: set[Place]) -> tuple[dict[Place, list[Any]], dict[Place, Any]]:
    """The arguments to map over, as lists, and those that are the same for every call.

    A dict, or a future in `allow_failure`, is mapped over only if no other argument is.
    """
    mapped: dict[Place, list[Any]] = {}
    same: dict[Place, Any] = {}
    instead: dict[Place, list[Any]] = {}
    for place, value in values.items():
        items = _items(value) if place in given else None
        constant = _constant(value)
        if items is None:
            same[place] = constant
        elif isinstance(constant, dict) or isinstance(_bare(value), (TaskFuture, State)):
            same[place], instead[place] = constant, items
        else:
            mapped[place] = items
    if not mapped and instead:
        mapped = instead
        for place in instead:
            del same[place]
    return mapped, same


def _bare(value: Any) -> Any:
    """The value inside `allow_failure`; None for any other value."""
    return value.value if isinstance(value, allow_failure) else None


def _constant(value: Any) -> Any:
    """The value that every call gets for an argument that is not mapped over."""
    if isinstance(value, unmapped):
        return value.value
    if isinstance(value, (allow_failure, quote, opaque)):
        return type(value)(_constant(value.value))
    return value


def _items(value: Any) -> list[Any] | None:
    """The items to map over, or None if the value is the same for every call."""
    if isinstance(value, unmapped):
        return None
    if isinstance(value, allow_failure) and isinstance(value.value, (TaskFuture, State)):
        state = _state(value.value)
        return _items(state.result()) if state.type == COMPLETED else None
    if isinstance(value, (allow_failure, quote, opaque)):
        items = _items(value.value)
        return None if items is None else [type(value)(item) for item in items]
    if isinstance(value, (TaskFuture, State)):
        return _items(to_data(value))
    if isinstance(value, (str, bytes, io.IOBase, type)):
        return None
    try:
        items = iter(value)
    except TypeError:
        return None
    return list(items)


def _state(value: Any) -> State:
    if isinstance(value, State):
        return value
    value.wait()
    state: State = value.state
    return state
