"""What JSON does not know, as objects that say what they are; and back."""

from __future__ import annotations

import base64
import enum
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_MARK = "__runyard__"


def encode(value: Any) -> Any:
    """A JSON object for a value of another kind.

    Raises:
        TypeError: the value is of no kind that survives.
    """
    for name, kind, write, _read in _kinds():
        if isinstance(value, kind):
            return {_MARK: name, "value": write(value)}
    cls = type(value)
    place = f"{cls.__module__}:{cls.__qualname__}"
    if hasattr(cls, "model_validate"):
        return {_MARK: "model", "class": place, "value": escaped(value.model_dump(mode="json"))}
    if hasattr(cls, "__dataclass_fields__"):
        fields = {name: getattr(value, name) for name in cls.__dataclass_fields__}
        return {_MARK: "dataclass", "class": place, "value": escaped(fields)}
    if isinstance(value, BaseException):
        return {_MARK: "exception", "class": place, "value": [str(arg) for arg in value.args]}
    if isinstance(value, enum.Enum):
        return {_MARK: "enum", "class": place, "value": value.name}
    raise TypeError(f"JSON cannot hold {value!r}; use the serializer 'pickle'")


def may_be_marked(text: str | bytes) -> bool:
    """Whether written JSON holds what `decode` would read, be it by `encode` or the user's own."""
    return _MARK in text if isinstance(text, str) else _MARK.encode() in text


def escaped(value: Any) -> Any:
    """A value whose dictionaries nobody takes for what `encode` writes, whoever sent them."""
    if isinstance(value, dict):
        if _MARK in value:
            return {_MARK: "dict", "value": [[key, escaped(item)] for key, item in value.items()]}
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [escaped(item) for item in value]
    return value


def decode(body: dict[str, Any]) -> Any:
    """The value of an object that `encode` or `escaped` made; any other object as it is.

    Raises:
        TypeError: it names a class that is not of the kind it says.
    """
    name = body.get(_MARK)
    if not isinstance(name, str) or "value" not in body:
        return body
    value = body["value"]
    if name == "dict":
        return dict(value)
    for kind, _cls, _write, read in _kinds():
        if kind == name:
            return read(value)
    if name not in _CLASSES:
        return body
    cls = _class_of(body["class"], name)
    if name == "model":
        return cls.model_validate(value)
    if name == "dataclass":
        made = cls.__new__(cls)
        for field, item in value.items():
            object.__setattr__(made, field, item)
        return made
    if name == "enum":
        return cls[value]
    return cls(*value)


# The kinds of classes, and how to know one.
_CLASSES: dict[str, Callable[[type], bool]] = {
    "model": lambda cls: hasattr(cls, "model_validate"),
    "dataclass": lambda cls: hasattr(cls, "__dataclass_fields__"),
    "enum": lambda cls: issubclass(cls, enum.Enum),
    "exception": lambda cls: issubclass(cls, BaseException),
}


def _kinds() -> list[tuple[str, Any, Any, Any]]:
    """The plain kinds: name, class, how it is written, how it is read."""
    import datetime
    import decimal
    import pathlib
    import uuid

    return [
        ("datetime", datetime.datetime, datetime.datetime.isoformat, datetime.datetime.fromisoformat),
        ("date", datetime.date, datetime.date.isoformat, datetime.date.fromisoformat),
        ("time", datetime.time, datetime.time.isoformat, datetime.time.fromisoformat),
        (
            "timedelta",
            datetime.timedelta,
            lambda value: [value.days, value.seconds, value.microseconds],
            lambda parts: datetime.timedelta(*parts),
        ),
        ("bytes", (bytes, bytearray), lambda value: base64.b64encode(value).decode(), base64.b64decode),
        ("set", set, list, set),
        ("frozenset", frozenset, list, frozenset),
        ("uuid", uuid.UUID, str, uuid.UUID),
        ("decimal", decimal.Decimal, str, decimal.Decimal),
        ("path", pathlib.PurePath, str, pathlib.Path),
        ("complex", complex, lambda value: [value.real, value.imag], lambda parts: complex(*parts)),
    ]


def _class_of(place: str, kind: str) -> Any:
    from importlib import import_module

    module, _, names = place.partition(":")
    found: Any = import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    if not inspect.isclass(found) or not _CLASSES[kind](found):
        # Nothing that a result names is called unless it is a class of data.
        raise TypeError(f"The result names {place}, which is no {kind}")
    return found
