"""The names of `prefect.utilities.collections` that scripts use."""

from __future__ import annotations

import copy
import re
from enum import Enum, auto
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from runyard.base.markers import BaseAnnotation, Quote, opaque, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

__all__ = [
    "AutoEnum",
    "BaseAnnotation",
    "Quote",
    "StopVisiting",
    "batched_iterable",
    "deep_merge",
    "deep_merge_dicts",
    "dict_to_flatdict",
    "distinct",
    "ensure_iterable",
    "extract_instances",
    "flatdict_to_dict",
    "get_from_dict",
    "isiterable",
    "listrepr",
    "opaque",
    "quote",
    "remove_nested_keys",
    "set_in_dict",
    "visit_collection",
]

T = TypeVar("T")
_STEPS = re.compile(r"[^.\[\]]+")


class AutoEnum(str, Enum):  # noqa: UP042  # Prefect's shows itself as `Color.RED`, StrEnum as `RED`
    """An enumeration of strings in which `AutoEnum.auto()` equals the member's name."""

    @staticmethod
    def _generate_next_value_(name: str, *_others: object) -> str:
        return name

    @staticmethod
    def auto() -> Any:
        """The value of a member: its name."""
        return auto()

    def __repr__(self) -> str:
        return f"{type(self).__name__}.{self.name}"

    __str__ = __repr__


class StopVisiting(BaseException):
    """Raised by the function of `visit_collection` to skip the content of a value."""


def listrepr(objs: Iterable[Any], sep: str = " ") -> str:
    """The `repr` of the objects, joined with `sep`."""
    return sep.join(map(repr, objs))


def isiterable(obj: Any) -> bool:
    """Whether an object is iterable, except strings, bytes and open files."""
    import io

    try:
        iter(obj)
    except TypeError:
        return False
    return not isinstance(obj, str | bytes | io.IOBase)


def ensure_iterable(obj: Any) -> Any:
    """The object if it is iterable, else a list with it."""
    return obj if isiterable(obj) else [obj]


def batched_iterable(iterable: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """The items in tuples of `size`; the last may be shorter."""
    items = iter(iterable)
    while batch := tuple(islice(items, size)):
        yield batch


def distinct(iterable: Iterable[T], key: Callable[[T], Hashable] | None = None) -> Iterator[T]:
    """Each item once, in order; `key` decides which are equal."""
    seen: set[Any] = set()
    for item in iterable:
        mark = key(item) if key is not None else item
        if mark not in seen:
            seen.add(mark)
            yield item


def extract_instances(objects: Iterable[Any], types: Any = object) -> Any:
    """The objects of a type as a list; with several types, a dictionary of lists by type."""
    if not isinstance(types, tuple | list | set | frozenset):
        return [item for item in objects if isinstance(item, types)]
    found: dict[type, list[Any]] = {}
    for item in objects:
        for kind in types:
            if isinstance(item, kind):
                found.setdefault(kind, []).append(item)
    return found


def dict_to_flatdict(dct: dict[Any, Any]) -> dict[tuple[Any, ...], Any]:
    """Flatten a nested dictionary; the keys are the paths of its values."""
    flat: dict[tuple[Any, ...], Any] = {}
    for key, value in dct.items():
        if isinstance(value, dict) and value:
            flat.update({(key, *way): item for way, item in dict_to_flatdict(value).items()})
        else:
            flat[key,] = value
    return flat


def flatdict_to_dict(dct: dict[tuple[Any, ...], Any]) -> dict[Any, Any]:
    """The inverse of `dict_to_flatdict`."""
    nested: dict[Any, Any] = {}
    for way, value in dct.items():
        set_in_dict(nested, list(way), value)
    return nested


def _steps(keys: str | list[Any]) -> list[Any]:
    if not isinstance(keys, str):
        return list(keys)
    return [int(step) if step.isdigit() else step for step in _STEPS.findall(keys)]


def get_from_dict(dct: Any, keys: str | list[Any], default: Any = None) -> Any:
    """A nested value.

    Args:
        keys: its path: `a.b[0]`, or a list.
        default: returned if it does not exist.
    """
    for step in _steps(keys):
        try:
            dct = dct[step]
        except (KeyError, IndexError, TypeError):
            return default
    return dct


def set_in_dict(dct: dict[Any, Any], keys: str | list[Any], value: Any) -> None:
    """Set a nested value; missing dictionaries are created.

    Raises:
        TypeError: a part of the path is not a dictionary.
    """
    *way, last = _steps(keys)
    for step in way:
        dct = dct.setdefault(step, {})
        if not isinstance(dct, dict):
            raise TypeError(f"{step!r} is not a dictionary")
    dct[last] = value


def deep_merge(dct: dict[Any, Any], merge: dict[Any, Any]) -> dict[Any, Any]:
    """Merge a dictionary over another, including nested dictionaries."""
    merged = dict(dct)
    for key, value in merge.items():
        below = merged.get(key)
        nested = isinstance(below, dict) and isinstance(value, dict)
        merged[key] = deep_merge(below, value) if nested else value  # type: ignore[arg-type]  # both are dicts
    return merged


def deep_merge_dicts(*dicts: dict[Any, Any]) -> dict[Any, Any]:
    """Merge dictionaries, in order."""
    merged: dict[Any, Any] = {}
    for dct in dicts:
        merged = deep_merge(merged, dct)
    return merged


def remove_nested_keys(keys_to_remove: list[Any], obj: Any) -> Any:
    """A copy of nested dictionaries without some keys; dictionaries inside lists are not changed."""
    if not isinstance(obj, dict):
        return obj
    return {
        key: remove_nested_keys(keys_to_remove, value)
        for key, value in obj.items()
        if key not in keys_to_remove
    }


def visit_collection(
    expr: Any,
    visit_fn: Callable[..., Any],
    *,
    return_data: bool = False,
    max_depth: int = -1,
    context: dict[str, Any] | None = None,
    remove_annotations: bool = False,
    _seen: set[int] | None = None,
) -> Any:
    """Call a function with a value and everything inside its collections, dataclasses and models.

    Args:
        visit_fn: called with each value; with `context`, also with a copy of it. If it raises
            StopVisiting, the content of the value is skipped.
        return_data: return the value with the results of the function in place of its parts.
        max_depth: how many levels below the value are visited; default: all.
        context: for the function, which may change its copy for the levels below.
        remove_annotations: return values without their markers.

    Returns:
        None without `return_data`.
    """
    visit = _Visit(visit_fn, return_data, remove_annotations)
    found = visit(expr, max_depth, context, frozenset())
    return found if return_data else None


class _Visit:
    def __init__(self, visit_fn: Callable[..., Any], return_data: bool, bare: bool) -> None:
        self.visit_fn = visit_fn
        self.return_data = return_data
        self.bare = bare

    def __call__(self, expr: Any, depth: int, context: dict[str, Any] | None, around: frozenset[int]) -> Any:
        inner = None if context is None else dict(context)
        try:
            given = self.visit_fn(expr) if inner is None else self.visit_fn(expr, inner)
        except StopVisiting:
            return expr
        value = given if self.return_data else expr
        if depth == 0 or id(value) in around:
            return value
        if isinstance(value, BaseAnnotation):
            if inner is not None:
                inner["annotation"] = value
            found = self(value.unwrap(), depth - 1, inner, around)
            return found if self.bare else value.rewrap(found)
        return _rebuilt(value, lambda item: self(item, depth - 1, inner, around | {id(value)}))


def _rebuilt(value: Any, swap: Callable[[Any], Any]) -> Any:
    """A collection or object with `swap` applied to each part; the same object if nothing changed."""
    kind = type(value)
    if isinstance(value, dict):
        parts = [item for pair in value.items() for item in pair]
    elif isinstance(value, list | tuple | set | frozenset):
        parts = list(value)
    elif hasattr(kind, "model_fields") or (hasattr(kind, "__dataclass_fields__")):
        return _with_fields(value, swap)
    else:
        return value
    new = [swap(part) for part in parts]
    if all(mine is before for mine, before in zip(new, parts, strict=True)):
        return value
    if isinstance(value, dict):
        twin = copy.copy(value)
        twin.clear()
        twin.update(zip(new[::2], new[1::2], strict=True))
        return twin
    return kind(*new) if hasattr(kind, "_fields") else kind(new)


def _with_fields(value: Any, swap: Callable[[Any], Any]) -> Any:
    kind = type(value)
    names = kind.model_fields if hasattr(kind, "model_fields") else kind.__dataclass_fields__
    fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
    changes = {name: new for name, item in fields.items() if (new := swap(item)) is not item}
    if not changes:
        return value
    twin = copy.copy(value)
    for name, item in changes.items():
        object.__setattr__(twin, name, item)
    return twin
