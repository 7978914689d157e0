"""Makes `typing.TypedDict` usable in parameters before Python 3.12, where pydantic does not support it."""

from __future__ import annotations

import sys
import typing
from dataclasses import is_dataclass
from typing import Any


def readable(annotation: Any) -> Any:
    """The annotation, after adding pydantic hooks to the TypedDicts in it.

    This includes the fields of dataclasses, named tuples and other TypedDicts. Before Python 3.12 pydantic
    requires the TypedDict of `typing_extensions`; the hooks replace each TypedDict by an equal one of these.
    """
    if sys.version_info < (3, 12):
        _tell(annotation, set())
    return annotation


def _tell(annotation: Any, seen: set[int]) -> None:
    """Visit an annotation, its arguments, and the fields of the classes in it."""
    if id(annotation) in seen:
        return
    seen.add(id(annotation))
    if typing.get_origin(annotation) is typing.Literal:
        return
    for part in typing.get_args(annotation):
        _tell(part, seen)
    if not isinstance(annotation, type):
        return
    is_ours = typing.is_typeddict(annotation) and type(annotation).__module__ == "typing"
    if is_ours and not hasattr(annotation, "__get_pydantic_core_schema__"):
        annotation.__get_pydantic_core_schema__ = _Reader(annotation)  # type: ignore[attr-defined]  # pydantic's hook
    if is_ours or is_dataclass(annotation) or hasattr(annotation, "_fields"):
        for field in (_hints(annotation) or {}).values():
            _tell(field, seen)


def _hints(cls: Any) -> dict[str, Any] | None:
    """The fields of a class with their types; None if the types exist only for type checkers."""
    try:
        return typing.get_type_hints(cls, include_extras=True)
    except (NameError, AttributeError, TypeError):
        return None


class _Reader:
    """Pydantic's schema hook of a TypedDict. It creates the replacement class once."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls
        self._other: Any = None

    def __call__(self, source: Any, handler: Any) -> Any:
        if self._other is None:
            self._other = _twin(self._cls)
        return handler.generate_schema(self._other)


def _twin(cls: Any) -> Any:
    """An equal TypedDict of `typing_extensions`; `dict[str, Any]` if the field types are unknown."""
    import typing_extensions

    hints = _hints(cls)
    if hints is None:
        return dict[str, Any]
    fields = {}
    for name, hint in hints.items():
        # If annotations are strings, the class itself ignores `NotRequired[...]`.
        said = typing.get_origin(hint)
        is_said = said in (typing_extensions.Required, typing_extensions.NotRequired)
        plain = typing.get_args(hint)[0] if is_said else hint
        required = said is typing_extensions.Required if is_said else name in cls.__required_keys__
        fields[name] = plain if required else typing_extensions.NotRequired[plain]
    twin: Any = typing_extensions.TypedDict(cls.__name__, fields)  # type: ignore[misc]  # its functional form
    for name in ("__module__", "__qualname__", "__doc__", "__pydantic_config__"):
        if hasattr(cls, name):
            setattr(twin, name, getattr(cls, name))
    return twin
