"""Scalars of numpy and pandas as parameter types: their JSON schema, and conversion from JSON."""

from __future__ import annotations

import datetime
import sys
import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Callable

_DATE_TIME = {"type": "string", "format": "date-time"}
_DURATION = {"type": "string", "format": "duration"}


def understood(hint: Any) -> Any:
    """The annotation, changed so that pydantic supports the scalars of numpy and pandas in it.

    `numpy.int64` accepts the same input as `int`, `pandas.Timestamp` the same as `datetime`, and so on.
    Other annotations stay unchanged, as do all annotations if these libraries are not loaded.
    """
    if "numpy" not in sys.modules and "pandas" not in sys.modules:
        return hint
    if isinstance(hint, type) and not get_args(hint):
        scalar = _scalar_of(hint)
        return hint if scalar is None else Annotated[hint, scalar]
    origin, args = get_origin(hint), get_args(hint)
    if origin is None or origin is Literal:
        return hint
    changed = tuple(understood(arg) for arg in args)
    if all(new is old for new, old in zip(changed, args, strict=True)):
        return hint
    if origin in (Union, types.UnionType):
        return Union[changed]  # noqa: UP007  # `|` takes no tuple
    if origin is Annotated:
        return Annotated[(changed[0], *args[1:])]
    return origin[changed]


def _scalar_of(cls: type) -> _Scalar | None:
    numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
    if pandas is not None and cls is getattr(pandas, "Timestamp", None):
        return _Scalar(cls, _DATE_TIME, (str, datetime.date), cls)
    if pandas is not None and cls is getattr(pandas, "Timedelta", None):
        return _Scalar(cls, _DURATION, (str, datetime.timedelta), cls)
    generic = getattr(numpy, "generic", None)
    if numpy is None or generic is None or not issubclass(cls, generic):
        return None
    if issubclass(cls, numpy.datetime64):
        return _Scalar(cls, _DATE_TIME, (str, datetime.date), cls)
    if issubclass(cls, numpy.timedelta64):
        return _Scalar(cls, _DURATION, datetime.timedelta, cls)
    for base, json_type, plain, usual in (
        (numpy.bool_, "boolean", bool, numpy.bool_),
        (numpy.integer, "integer", int, numpy.int64),
        (numpy.floating, "number", float, numpy.float64),
        (numpy.str_, "string", str, numpy.str_),
    ):
        if issubclass(cls, base):
            abstract = cls in (numpy.integer, numpy.signedinteger, numpy.floating, numpy.inexact)
            return _Scalar(cls, {"type": json_type}, plain, usual if abstract else cls)
    return None


class _Scalar:
    """A pydantic annotation: validates as a plain type, then converts to the library's class.

    Args:
        cls: the library's class.
        json_schema: its JSON schema.
        plain: the type or types that the value is validated against first.
        make: converts a plain value to the scalar.
    """

    def __init__(
        self, cls: type, json_schema: dict[str, Any], plain: Any, make: Callable[[Any], Any]
    ) -> None:
        self._cls = cls
        self._json_schema = json_schema
        self._plain = plain
        self._make = make

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self._validated)

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> dict[str, Any]:
        return dict(self._json_schema)

    def _validated(self, value: Any) -> Any:
        if isinstance(value, self._cls):
            return value
        if self._json_schema in (_DATE_TIME, _DURATION) and type(value).__name__ == "NaTType":
            return value  # pandas.NaT is the missing value of both kinds
        if type(value).__module__ == "numpy" and hasattr(value, "item"):
            value = value.item()
        try:
            return self._make(self._checked(value))
        except OverflowError as error:
            raise ValueError(str(error)) from None

    def _checked(self, value: Any) -> Any:
        if isinstance(self._plain, tuple):
            if isinstance(value, self._plain):
                return value
            expected = "a date and time" if self._json_schema is _DATE_TIME else "a duration"
            raise ValueError(f"must be {expected} or a text that names one")
        from pydantic import TypeAdapter

        return TypeAdapter(self._plain).validate_python(value)
