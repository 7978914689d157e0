"""Finds and replaces futures and states anywhere inside arguments and results."""

from __future__ import annotations

import copy
from collections import ChainMap, UserDict, UserList, deque
from collections.abc import Mapping, Sequence, Set
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from runyard.base.errors import MissingResult
from runyard.base.exceptions import UpstreamTaskError
from runyard.base.markers import allow_failure, opaque, quote
from runyard.domain.states import COMPLETED, State
from runyard.engine.futures import FutureList, TaskFuture

if TYPE_CHECKING:
    from collections.abc import Callable

_PLAIN = frozenset((str, int, float, bool, bytes, type(None)))
# Sequences without Python objects as items.
_FLAT = (str, bytes, bytearray, memoryview, range)
# Collections whose items are in memory, and classes derived from them.
_IN_MEMORY = (list, tuple, set, frozenset, dict, deque, UserList, UserDict, ChainMap, MappingProxyType)
_SWAPPED = (TaskFuture, State, allow_failure, quote, opaque)


def replace(value: Any, swap: Callable[[Any], Any], _around: frozenset[int] = frozenset()) -> Any:
    """`value` with each future, state, allow_failure, opaque and quote inside it replaced by `swap(item)`.

    Collections without such items are returned unchanged, not copied. The search covers mappings with their
    keys, sequences, sets, named tuples, dataclasses and pydantic models with their extra fields. A collection
    stays unchanged if its class cannot create a copy with other items, or if it is nested deeper than the
    stack allows, more than a thousand levels.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if isinstance(value, _SWAPPED):
        return swap(value)
    change = _by_builtin.get(kind)
    if change is None:
        change = _by_kind.get(kind, _unknown)
        if change is _unknown:
            change = _by_kind[kind] = _way_of(kind)
        if change is None:
            return value
    if id(value) in _around:
        return value  # a collection that contains itself
    try:
        return change(value, swap, _around | {id(value)})
    except RecursionError:
        return value  # too deeply nested; the levels above are still searched


def _way_of(kind: type) -> Callable[..., Any] | None:
    """The function that replaces items in values of a class, or None."""
    if hasattr(kind, "model_fields") or hasattr(kind, "__dataclass_fields__"):
        return _replace_fields
    if issubclass(kind, Mapping):
        return _replace_mapping if _can_be_rebuilt(kind, {}) else None
    if issubclass(kind, (Sequence, Set)) and not issubclass(kind, _FLAT):
        return _replace_items if _can_be_rebuilt(kind, ()) else None
    return None


def _can_be_rebuilt(kind: type, empty: Any) -> bool:
    """Whether an object of the class can be created from other items.

    Objects of other classes are not read: each item of a mapping may be a file in an object store.
    """
    if issubclass(kind, _IN_MEMORY):
        return True
    if hasattr(kind, "close"):
        return False
    make: Any = kind
    try:
        return type(make(empty)) is kind
    except Exception:
        return False


def _replace_items(value: Any, swap: Callable[[Any], Any], around: frozenset[int]) -> Any:
    plain = _PLAIN
    try:
        items = list(value)
    except Exception:
        return value  # the items of this user class cannot be read
    changed = False
    for at, item in enumerate(items):
        if type(item) in plain:
            continue
        new = replace(item, swap, around)
        if new is not item:
            items[at] = new
            changed = True
    return _with_items(value, items) if changed else value


def _with_items(value: Any, items: list[Any]) -> Any:
    """A sequence or set of the same class as `value` with these items."""
    kind = type(value)
    if kind is FutureList:
        return items
    if kind in (list, tuple, set, frozenset):
        return kind(items)
    if hasattr(kind, "_make"):
        return kind._make(items)
    try:
        if isinstance(value, list):
            twin = copy.copy(value)  # keeps the attributes of a subclass
            list.__setitem__(twin, slice(None), items)
        elif hasattr(value, "maxlen"):
            twin = kind(items, value.maxlen)
        else:
            twin = kind(items)
        is_like = type(twin) is kind and (isinstance(value, Set) or len(twin) == len(items))
    except Exception:
        return value
    return twin if is_like else value


def _replace_mapping(value: Any, swap: Callable[[Any], Any], around: frozenset[int]) -> Any:
    try:
        pairs = list(value.items())
    except Exception:
        return value  # as in `_replace_items`
    plain = _PLAIN
    changed = False
    for at, (key, item) in enumerate(pairs):
        new_key = key if type(key) in plain else replace(key, swap, around)
        new = item if type(item) in plain else replace(item, swap, around)
        if new_key is not key or new is not item:
            pairs[at] = (new_key, new)
            changed = True
    return _with_pairs(value, dict(pairs)) if changed else value


def _with_pairs(value: Any, pairs: dict[Any, Any]) -> Any:
    """A mapping of the same class as `value` with these items."""
    kind = type(value)
    if kind is dict:
        return pairs
    try:
        if isinstance(value, dict):
            twin = copy.copy(value)  # keeps its default_factory and the attributes of a subclass
            dict.clear(twin)
            for key, item in pairs.items():
                dict.__setitem__(twin, key, item)
            if hasattr(kind, "move_to_end"):
                twin = kind(pairs)
        else:
            twin = kind(pairs)
        is_like = type(twin) is kind and len(twin) == len(pairs)
    except Exception:
        return value
    return twin if is_like else value


def _replace_fields(value: Any, swap: Callable[[Any], Any], around: frozenset[int]) -> Any:
    kind = type(value)
    is_model = hasattr(kind, "model_fields")
    names = list(kind.model_fields if is_model else kind.__dataclass_fields__)
    extra = (getattr(value, "__pydantic_extra__", None) or {}) if is_model else {}
    changes = {}
    for name in (*names, *extra):
        item = extra[name] if name in extra else getattr(value, name, None)
        new = replace(item, swap, around)
        if new is not item:
            changes[name] = new
    if not changes:
        return value
    if is_model:
        return value.model_copy(update=changes)
    twin = copy.copy(value)
    for name, item in changes.items():
        object.__setattr__(twin, name, item)
    return twin


_unknown: Any = object()
_by_builtin: dict[type, Callable[..., Any]] = {
    list: _replace_items, tuple: _replace_items, set: _replace_items, frozenset: _replace_items,
    dict: _replace_mapping,
}  # fmt: skip
# Weak references: classes that a run creates can be freed with it.
_by_kind: WeakKeyDictionary[type, Callable[..., Any] | None] = WeakKeyDictionary()


def has_futures(args: Any, kwargs: dict[str, Any]) -> bool:
    """Whether an argument may contain a future; fast if all arguments are plain values."""
    for item in args:
        if type(item) not in _PLAIN:
            return True
    for item in kwargs.values():  # noqa: SIM110  # `any` with a generator takes three times as long
        if type(item) not in _PLAIN:
            return True
    return False


def awaited(wait_for: Any) -> list[Any]:
    """`wait_for` as a list: it may be one future or state, or any collection of them."""
    if wait_for is None:
        return []
    if isinstance(wait_for, (*_SWAPPED, Mapping, *_FLAT)) or not hasattr(wait_for, "__iter__"):
        return [wait_for]
    return list(wait_for)


def futures_in(value: Any) -> list[TaskFuture]:
    """All futures inside a value."""
    found: list[TaskFuture] = []

    def note(item: Any) -> Any:
        if isinstance(item, TaskFuture):
            found.append(item)
        elif isinstance(item, allow_failure):
            found.extend(futures_in(item.value))
        elif isinstance(item, opaque):
            found.extend(futures_in(item.value) if isinstance(item.value, _SWAPPED) else ())
        return item

    replace(value, note)
    return found


def to_states(value: Any) -> Any:
    """Wait for each future in a returned value and replace it by its final state."""

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
    """An argument with each future and state in it replaced by its result.

    Args:
        value: the argument.
        inputs: this function appends the task runs of the futures, as the API's task inputs.

    Raises:
        UpstreamTaskError: a run did not complete and is not inside `allow_failure`.
    """

    def swap(item: Any, allowed: bool = False) -> Any:
        if isinstance(item, quote):
            return item.value
        if isinstance(item, opaque):
            return swap(item.value, allowed) if isinstance(item.value, _SWAPPED) else item.value
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
