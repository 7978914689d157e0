"""Markers around arguments: the same for every mapped call, given even when it failed, not looked into."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class BaseAnnotation(Generic[T]):
    """A value with a mark on it."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def unwrap(self) -> T:
        """The value."""
        return self.value

    def rewrap(self, value: Any) -> Any:
        """Another value with the same mark."""
        return type(self)(value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class unmapped(BaseAnnotation[T]):  # noqa: N801  # written like a function in users' code
    """Around an argument of `.map()`: every call gets the whole value instead of one of its items."""

    __slots__ = ()


class allow_failure(BaseAnnotation[T]):  # noqa: N801  # written like a function in users' code
    """Around a future: the task runs even if that one failed, and is given its exception."""

    __slots__ = ()


class quote(BaseAnnotation[T]):  # noqa: N801  # written like a function in users' code
    """Around an argument: the function is given it as it is, futures inside it stay futures.

    It also saves looking through a large collection. Around what a flow returns: it is the result,
    and does not decide the final state.
    """

    __slots__ = ()

    def unquote(self) -> T:
        """The value."""
        return self.value


class opaque(BaseAnnotation[T]):  # noqa: N801  # written like a function in users' code
    """Around an argument: a future or state is replaced by its result, anything else is not looked into.

    It saves looking through a large collection for futures.
    """

    __slots__ = ()


class freeze(BaseAnnotation[T]):  # noqa: N801  # written like a function in users' code
    """Around a deployment's parameter: its runs can be given no other value.

    Raises:
        ValueError: the value has no JSON form.
    """

    __slots__ = ()

    def __init__(self, value: T) -> None:
        import json

        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"freeze() needs a value with a JSON form: {error}") from None
        super().__init__(value)

    def unfreeze(self) -> T:
        """The value."""
        return self.value


class Quote(quote[T]):
    """The old name of `quote`."""

    __slots__ = ()


class NotSet:
    """Stands for an option that was not given, where None has a meaning."""
