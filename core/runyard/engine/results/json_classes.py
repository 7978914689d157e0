"""Objects stored in JSON with the name of their class: models, dataclasses, enums, exceptions.

Reading looks up the name in the modules that the program has loaded. It imports nothing, so the author of a
stored result cannot choose what is imported.
"""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import cached_property
from typing import Any

from runyard.base.current_run import current_flow

# Outside of flow runs: the module with the code that was `__main__` when the value was written.
script: ContextVar[str | None] = ContextVar("script", default=None)
_BUILTIN = (list, tuple, dict, set, frozenset, str, bytes, int, float, BaseException)

# The kinds of classes, with a test for each.
KINDS: dict[str, Callable[[type], bool]] = {
    "enum": lambda cls: issubclass(cls, enum.Enum),
    "model": lambda cls: hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_fields"),
    "dataclass": lambda cls: hasattr(cls, "__dataclass_fields__") and not issubclass(cls, _BUILTIN),
    "namedtuple": lambda cls: issubclass(cls, tuple) and hasattr(cls, "_fields") and hasattr(cls, "_make"),
    "exception": lambda cls: issubclass(cls, BaseException),
}
# The attributes of Python's exceptions besides their arguments.
_FACTS = (
    "errno", "strerror", "filename", "filename2", "name", "path", "obj", "code", "value", "exceptions",
    "encoding", "object", "start", "end", "reason", "lineno", "offset", "text", "msg",
)  # fmt: skip


def write(value: Any, to_json: Callable[[Any], Any]) -> tuple[str, dict[str, Any]]:
    """The kind of an object, and its class and content as JSON.

    Raises:
        TypeError: the class is not supported, or reading would not restore the same object.
    """
    cls = type(value)
    kind = next((name for name, fits in KINDS.items() if fits(cls)), None)
    place = f"{cls.__module__}:{cls.__qualname__}"
    if kind is None or _find(place) is not cls:
        raise _refusal(cls)
    content = _WRITERS[kind](value)
    if content is None:
        raise _refusal(cls)
    try:
        return kind, {"class": place, "value": to_json(content)}
    except TypeError:
        if kind != "model" or holds_iterator(value):
            raise
    # A field of an unsupported type, such as a URL: the model itself may be able to write and read it.
    content = value.model_dump(mode="json", round_trip=True)
    if not same(cls.model_validate(content), value):
        raise _refusal(cls)
    return "validated", {"class": place, "value": to_json(content)}


def read(kind: str, body: dict[str, Any]) -> Any:
    """The object that `write` wrote.

    Raises:
        TypeError: the class has another kind, or its fields have changed.
        ValueError: the class is not loaded.
    """
    place = str(body.get("class"))
    cls = _find(place)
    if cls is None:
        raise ValueError(f"the result is of {place}, which is not here or not imported yet")
    if not isinstance(cls, type) or not KINDS["model" if kind == "validated" else kind](cls):
        # A result can name anything: only call classes of data.
        raise TypeError(f"The result names {place}, which is not of kind {kind}")
    return READERS[kind](cls, body["value"])


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal in every part, including the types."""
    cls = type(one)
    if cls is not type(other):
        return False
    if issubclass(cls, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if issubclass(cls, dict):
        return same(list(one), list(other)) and same(list(one.values()), list(other.values()))
    if issubclass(cls, (set, frozenset)):
        return {(type(item), item) for item in one} == {(type(item), item) for item in other}
    if KINDS["model"](cls):
        return same(one.__getstate__(), other.__getstate__())
    if KINDS["dataclass"](cls) or issubclass(cls, BaseException):
        return same(vars(one), vars(other)) if hasattr(one, "__dict__") else one == other
    if hasattr(one, "tzinfo") and not same(
        (one.tzinfo and str(one.tzinfo), one.fold), (other.tzinfo and str(other.tzinfo), other.fold)
    ):
        return False
    if str(one) != str(other):
        return False
    return bool(one == other) or bool(one != one)


def holds_iterator(value: Any, take: Callable[[int], Any] = lambda size: None, depth: int = 0) -> bool:
    """Whether a value contains an iterator, which reading would consume.

    Args:
        value: the search covers builtin collections, dataclasses and models.
        take: called with the size of each part; may raise to end the search.
        depth: the nesting depth of the value.

    Raises:
        RecursionError: the value is nested too deeply, or contains itself.
    """
    cls = type(value)
    if hasattr(cls, "__next__") or hasattr(cls, "__anext__"):
        return True
    if depth > 100:
        raise RecursionError("the value is too deep")
    take(len(value) if isinstance(value, (str, bytes, bytearray)) else 1)
    if isinstance(value, dict):
        parts: Any = dict.values(value)
    elif isinstance(value, (list, tuple, set, frozenset)):
        parts = value
    elif hasattr(cls, "model_fields") or hasattr(cls, "__dataclass_fields__"):
        names = getattr(cls, "__dataclass_fields__", None) or ()
        parts = [getattr(value, name) for name in names if hasattr(value, name)]
        parts += getattr(value, "__dict__", {}).values()
    else:
        return False
    return any(holds_iterator(part, take, depth + 1) for part in parts)


def _refusal(cls: type) -> TypeError:
    return TypeError(
        f"JSON cannot hold {cls.__module__}.{cls.__qualname__} as it is; use the serializer 'pickle'"
    )


def _find(place: str) -> Any:
    module, _, names = place.partition(":")
    found = _follow(sys.modules.get(module), names)
    if found is None and module == "__main__":
        # The script's file may be loaded under another name, as the code of a flow.
        context = current_flow.get()
        other = script.get() or (None if context is None else context.flow.__module__)
        found = None if other is None else _follow(sys.modules.get(other), names)
    return found


def _follow(module: Any, names: str) -> Any:
    found = module
    for name in names.split("."):
        found = vars(found).get(name) if hasattr(found, "__dict__") else None
    return found


def _write_model(value: Any) -> Any:
    state = value.__getstate__()
    names = set(type(value).model_fields)
    content = state["__dict__"]
    derived = (name for name in content if name not in names)
    if not names <= set(content) or _has_slots_beside(value, set()):
        return None
    if not all(isinstance(getattr(type(value), name, None), cached_property) for name in derived):
        return None
    private = state.get("__pydantic_private__")  # a RootModel has neither private attributes nor extra fields
    return [
        {name: item for name, item in content.items() if name in names},
        sorted(state["__pydantic_fields_set__"]),
        state.get("__pydantic_extra__"),
        None if private is None else {name: item for name, item in private.items() if _is_given(item)},
    ]


def _is_given(item: Any) -> bool:
    return type(item).__name__ != "PydanticUndefinedType"


def _read_model(cls: Any, content: list[Any]) -> Any:
    fields, given, extra, private = content
    _check_fields(cls, fields, cls.model_fields)
    made = cls.__new__(cls)
    made.__setstate__(
        {
            "__dict__": fields,
            "__pydantic_fields_set__": set(given),
            "__pydantic_extra__": extra,
            "__pydantic_private__": private,
        }
    )
    return made


def _write_dataclass(value: Any) -> Any:
    from dataclasses import fields

    names = {each.name for each in fields(value)}
    if set(getattr(value, "__dict__", ())) - names or _has_slots_beside(value, names):
        return None
    if not all(hasattr(value, name) for name in names):
        return None
    return {name: getattr(value, name) for name in sorted(names)}


def _read_dataclass(cls: Any, content: dict[str, Any]) -> Any:
    from dataclasses import fields

    _check_fields(cls, content, {each.name for each in fields(cls)})
    made = object.__new__(cls)
    for name, item in content.items():
        object.__setattr__(made, name, item)
    return made


def _has_slots_beside(value: Any, names: set[str]) -> bool:
    """Whether the object has slots that are not fields."""
    for cls in type(value).__mro__[:-1]:
        slots = vars(cls).get("__slots__", ())
        if cls.__module__.partition(".")[0] == "pydantic":
            continue
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in names and name not in ("__dict__", "__weakref__"):
                return True
    return False


def _check_fields(cls: type, stored: Any, today: Any) -> None:
    if set(stored) != set(today):
        changed = ", ".join(sorted(set(stored) ^ set(today)))
        raise TypeError(
            f"the class {cls.__qualname__} has other fields than when the result was stored: {changed}"
        )


def _write_enum(value: Any) -> Any:
    """A member's name, or the number of combined flags."""
    cls = type(value)
    if cls.__members__.get(value.name) is value:
        return value.name
    return int(value.value) if isinstance(value, enum.Flag) and cls(value.value) == value else None


def _read_enum(cls: Any, content: Any) -> Any:
    return cls(content) if isinstance(content, int) else cls[content]


def _write_namedtuple(value: Any) -> Any:
    return None if getattr(value, "__dict__", None) else list(value)


def _read_namedtuple(cls: Any, content: Any) -> Any:
    if len(content) != len(cls._fields):
        raise TypeError(f"the class {cls.__qualname__} has other fields than when the result was stored")
    return tuple.__new__(cls, content)


def _write_exception(value: Any) -> Any:
    """The exception's arguments and attributes; None if they do not restore it."""
    # The constructor of OSError takes more arguments than `args` contains: the file names.
    given = OSError.__reduce__(value)[1] if isinstance(value, OSError) else value.args
    content = [list(given), list(value.args), dict(vars(value))]
    try:
        again = _read_exception(type(value), content)
    except Exception:
        return None
    same = all(getattr(again, name, None) is getattr(value, name, None) for name in _FACTS)
    return content if same and str(again) == str(value) else None


def _read_exception(cls: Any, content: list[Any]) -> Any:
    given, args, attributes = content
    made = cls.__new__(cls, *given)
    made.args = tuple(args)
    made.__dict__.update(attributes)
    return made


_WRITERS: dict[str, Callable[[Any], Any]] = {
    "model": _write_model,
    "dataclass": _write_dataclass,
    "enum": _write_enum,
    "namedtuple": _write_namedtuple,
    "exception": _write_exception,
}
# The readers by kind; "validated" is a model that was dumped by its own serializer.
READERS: dict[str, Callable[[Any, Any], Any]] = {
    "model": _read_model,
    "dataclass": _read_dataclass,
    "enum": _read_enum,
    "namedtuple": _read_namedtuple,
    "exception": _read_exception,
    "validated": lambda cls, content: cls.model_validate(content),
}
