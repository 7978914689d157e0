"""Futures and states inside arguments and results: found and replaced anywhere in collections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.errors import MissingResult
from runyard.exceptions import UpstreamTaskError
from runyard.futures import FutureList, TaskFuture
from runyard.markers import allow_failure, quote
from runyard.states import COMPLETED, State

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
_COLLECTIONS = frozenset((list, tuple, set, frozenset, dict))


def replace(value: Any, swap: Callable[[Any], Any], _around: frozenset[int] = frozenset()) -> Any:
    """`value` with every future, state, allow_failure and quote inside it replaced by `swap` of it.

    Collections without any come back as they are, not copied. Looked into are the builtin
    collections, named tuples, dataclasses and pydantic models.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, (TaskFuture, State, allow_failure, quote)):
        return swap(value)
    has_fields = hasattr(kind, "__dataclass_fields__") or hasattr(kind, "model_fields")
    if kind not in _COLLECTIONS and not has_fields and not isinstance(value, (list, tuple)):
        return value
    if id(value) in _around:
        return value  # a collection that holds itself
    around = _around | {id(value)}
    if isinstance(value, (list, tuple, set, frozenset)):
        return _replace_items(value, swap, around)
    if kind is dict:
        new_values = {key: replace(item, swap, around) for key, item in value.items()}
        return new_values if any(new_values[key] is not value[key] for key in value) else value
    return _replace_fields(value, swap, around)


def _replace_items(value: Any, swap: Callable[[Any], Any], around: frozenset[int]) -> Any:
    plain = _PLAIN
    items = list(value)
    changed = False
    for at, item in enumerate(items):
        if type(item) in plain:
            continue
        new = replace(item, swap, around)
        if new is not item:
            items[at] = new
            changed = True
    if not changed:
        return value
    kind = type(value)
    if kind is FutureList:
        return items
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def _replace_fields(value: Any, swap: Callable[[Any], Any], around: frozenset[int]) -> Any:
    kind = type(value)
    names = getattr(kind, "__dataclass_fields__", None) or kind.model_fields
    changes = {}
    for name in names:
        item = getattr(value, name, None)
        new = replace(item, swap, around)
        if new is not item:
            changes[name] = new
    if not changes:
        return value
    if hasattr(kind, "model_fields"):
        return value.model_copy(update=changes)
    import copy

    twin = copy.copy(value)
    for name, item in changes.items():
        object.__setattr__(twin, name, item)
    return twin


def has_futures(args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether anything in the arguments could hold a future; quick where all are plain."""
    plain = _PLAIN
    return not (all(type(item) in plain for item in args) and all(type(i) in plain for i in kwargs.values()))


def futures_in(value: Any) -> list[TaskFuture]:
    """All futures inside a value."""
    found: list[TaskFuture] = []

    def note(item: Any) -> Any:
        if isinstance(item, TaskFuture):
            found.append(item)
        elif isinstance(item, allow_failure):
            found.extend(futures_in(item.value))
        return item

    replace(value, note)
    return found


def to_states(value: Any) -> Any:
    """A returned value with every future in it waited for and replaced by its final state."""

    def swap(item: Any) -> Any:
        if not isinstance(item, TaskFuture):
            return item
        item.wait()
        return item.state

    return replace(value, swap)


def _wait(future: TaskFuture) -> State:
    future.wait()
    return future._final or future.state


def to_data(value: Any, inputs: list[dict[str, str]] | None = None) -> Any:
    """An argument with every future and state in it replaced by its result.

    Args:
        value: the argument.
        inputs: where the task runs it came from are noted, as the API's task inputs.

    Raises:
        UpstreamTaskError: one of them did not complete, and stands in no allow_failure.
    """

    def swap(item: Any, allowed: bool = False) -> Any:
        if isinstance(item, quote):
            return item.value
        if isinstance(item, allow_failure):
            return replace(item.value, lambda inner: swap(inner, True))
        if isinstance(item, TaskFuture):
            if inputs is not None:
                inputs.append({"input_type": "task_run", "id": item.task_run_id})
            state = _wait(item)
            if state.type != COMPLETED and not allowed:
                raise UpstreamTaskError(
                    f"Upstream task run '{item.task_run_id}' did not reach a 'COMPLETED' state."
                )
        else:
            state = item
            if state.type != COMPLETED and not allowed:
                raise UpstreamTaskError(f"Upstream state is {state.name}, not a 'COMPLETED' state.")
        try:
            return state.result(raise_on_failure=False)
        except MissingResult:
            return None if isinstance(item, TaskFuture) else item

    return replace(value, swap)
