"""What JSON does not know, as objects that say what they are; and back."""

from __future__ import annotations

import base64
from typing import Any

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
        return {_MARK: "model", "class": place, "value": value.model_dump(mode="json")}
    if hasattr(cls, "__dataclass_fields__"):
        fields = {name: getattr(value, name) for name in cls.__dataclass_fields__}
        return {_MARK: "dataclass", "class": place, "value": fields}
    if isinstance(value, BaseException):
        return {_MARK: "exception", "class": place, "value": [str(arg) for arg in value.args]}
    import enum

    if isinstance(value, enum.Enum):
        return {_MARK: "enum", "class": place, "value": value.name}
    raise TypeError(f"JSON cannot hold {value!r}; use the serializer 'pickle'")


def decode(body: dict[str, Any]) -> Any:
    """The value of an object that `encode` made; any other object as it is."""
    name = body.get(_MARK)
    if name is None:
        return body
    value = body["value"]
    for kind, _cls, _write, read in _kinds():
        if kind == name:
            return read(value)
    cls = _class_of(body["class"])
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


def _class_of(place: str) -> Any:
    from importlib import import_module

    module, _, names = place.partition(":")
    found: Any = import_module(module)
    for name in names.split("."):
        found = getattr(found, name)
    return found
