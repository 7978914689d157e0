"""Values of options without pydantic: Typer coerces by it, and its import takes longer than most commands.

What needs no coercion (an absent value, a text, one of a choice) or has a parser of its own is answered here;
all else by Typer.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MOST = 2_147_483_647  # what an integer column of every database can hold
_MOST_SECONDS = 1_000_000_000.0
_LEFT_TO_TYPER = object()


def coerce_lightly(parameter: Any) -> None:
    """Let a parameter of a command coerce what needs no pydantic itself."""
    coercion = getattr(parameter, "get_runtime_param", None)
    descriptor = getattr(parameter, "type_descriptor", None)
    if coercion is None or descriptor is None or "get_runtime_param" in vars(parameter):
        return
    parameter.get_runtime_param = _Light(descriptor, coercion).get


class _Light:
    """The coercion of one parameter.

    Args:
        descriptor: what Typer knows of its type.
        coercion: returns Typer's own, which imports pydantic.
    """

    def __init__(self, descriptor: Any, coercion: Callable[[], Any]) -> None:
        self._coercion = coercion
        kind = descriptor.annotation
        self._is_list = get_origin(kind) is list
        self._kind = get_args(kind)[0] if self._is_list else kind
        self._parser = descriptor.parameter_info.parser
        self._choices = get_args(self._kind) if get_origin(self._kind) is Literal else ()

    def get(self) -> _Light:
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        if self._is_list and isinstance(value, (list, tuple)):
            found: Any = [self._one(each, param, ctx) for each in value]
            left = any(each is _LEFT_TO_TYPER for each in found)
        else:
            found = self._one(value, param, ctx)
            left = found is _LEFT_TO_TYPER
        return self._coercion().coerce(value, param=param, ctx=ctx) if left else found

    def _one(self, value: Any, param: Any, ctx: Any) -> Any:
        if not isinstance(value, str):
            same = isinstance(self._kind, type) and isinstance(value, self._kind)
            return value if same else _LEFT_TO_TYPER
        if self._parser is not None:
            try:
                return self._parser(value)
            except typer.BadParameter as error:
                error.param, error.ctx = param, ctx
                raise
        if self._choices and value not in self._choices:
            there = ", ".join(map(repr, self._choices))
            raise typer.BadParameter(f"{value!r} is not one of {there}.", ctx=ctx, param=param)
        return value if self._kind is str or self._choices else _LEFT_TO_TYPER


def count(least: int) -> Callable[[str], int]:
    """A parser of whole numbers of things, which an integer column of every database can hold.

    Args:
        least: the smallest.
    """

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a valid integer.") from None
        if number > MOST:
            raise typer.BadParameter(f"{text} is more than {MOST}")
        if number < least:
            raise typer.BadParameter(f"{number} is not in the range x>={least}.")
        return number

    return read


def number(text: str) -> float:
    """A finite number that is not negative."""
    try:
        found = float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a valid number.") from None
    if math.isnan(found) or not 0 <= found <= _MOST_SECONDS:
        raise typer.BadParameter(f"{text!r} is not a number from 0 to {_MOST_SECONDS:.0f}.")
    return found


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers within a range.

    Args:
        least, most: the ends of the range, which belong to it.
    """

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a valid integer.") from None
        if not least <= number <= most:
            raise typer.BadParameter(f"{number} is not in the range {least}<=x<={most}.")
        return number

    return read


def one_of(words: Sequence[str]) -> Callable[[str], str]:
    """A parser of one of these words, in any case; the word as it stands in `words`."""
    by_name = {word.lower(): word for word in words}

    def read(text: str) -> str:
        if text.lower() not in by_name:
            raise typer.BadParameter(f"{text!r} is not one of {', '.join(map(repr, words))}.")
        return by_name[text.lower()]

    return read
