"""Converts Python values to plain JSON and back: exactly, or with an error.

`to_json` writes JSON's own types directly, and all other values as an object with their kind, such as
`{"__runyard__": "tuple", "value": [1, 2]}`. A value has a kind only if its class is exactly the class of the
kind: `pandas.NaT` is an instance of `datetime`, and would be read as a datetime.
"""

from __future__ import annotations

from typing import Any

from runyard.engine.results import json_classes, json_kinds

MARK = "__runyard__"
_SCALARS = frozenset((bool, int, type(None)))


def to_json(value: Any) -> Any:
    """A value as JSON data: dictionaries, lists, texts, numbers, booleans and None.

    Raises:
        TypeError: the type is not supported.
        RecursionError: the value contains itself.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value
    if kind is str:
        return value if is_storable(value) else _marked("text", value.encode("unicode_escape").decode())
    if kind is float:
        # JSON does not have NaN and infinities.
        return value if value - value == 0 else _marked("float", repr(value))
    if kind is list:
        return [to_json(item) for item in value]
    if kind is dict:
        if MARK not in value and all(type(key) is str and is_storable(key) for key in value):
            return {key: to_json(item) for key, item in value.items()}
        return _marked("dict", [[to_json(key), to_json(item)] for key, item in value.items()])
    return encode(value)


def encode(value: Any) -> dict[str, Any]:
    """The JSON object for a value of a type that JSON does not have.

    Raises:
        TypeError: the type is not supported.
    """
    found = json_kinds.by_class(type(value))
    if found is not None:
        return _marked(found.name, to_json(found.write(value)))
    name, fields = json_classes.write(value, to_json)
    return {MARK: name, **fields}


def from_json(value: Any) -> Any:
    """The value that `to_json` wrote.

    Raises:
        TypeError, ValueError: an object in it has an unknown kind, or a class of another kind.
    """
    if type(value) is list:
        return [from_json(item) for item in value]
    if type(value) is dict:
        return decode({key: from_json(item) for key, item in value.items()})
    return value


def decode(body: dict[str, Any]) -> Any:
    """The value of one object, whose items are decoded already; an object without a mark stays unchanged.

    Raises:
        TypeError, ValueError: the object has an unknown kind, or a class of another kind.
    """
    name = body.get(MARK)
    if not isinstance(name, str) or "value" not in body:
        return body
    if name in json_classes.READERS:
        return json_classes.read(name, body)
    found = json_kinds.by_name(name)
    if found is None:
        raise ValueError(f"unknown kind {name!r} of a value in JSON")
    return found.read(body["value"])


def may_be_marked(text: str | bytes) -> bool:
    """Whether JSON text may contain objects for `decode`."""
    return MARK in text if isinstance(text, str) else MARK.encode() in text


def _marked(name: str, value: Any) -> dict[str, Any]:
    return {MARK: name, "value": value}


def is_storable(text: str) -> bool:
    """Whether every JSON library and database accepts the text unchanged."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
