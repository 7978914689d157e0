"""Markers for arguments, such as `unmapped`, `allow_failure` and `quote`."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

T = TypeVar("T")


class BaseAnnotation(Generic[T]):
    """A value with a marker."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def unwrap(self) -> T:
        """The value."""
        return self.value

    def rewrap(self, value: Any) -> Any:
        """Another value with the same marker."""
        return type(self)(value)

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return bool(self.value == other.value)

    def __hash__(self) -> int:
        return hash((type(self), self.value))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value!r})"


class unmapped(BaseAnnotation[T]):  # noqa: N801  # users call it like a function
    """Pass the whole value to every call of `.map()`, not one of its items."""

    __slots__ = ()


class allow_failure(BaseAnnotation[T]):  # noqa: N801  # users call it like a function
    """Run the task even if this future failed, and pass its exception."""

    __slots__ = ()


class quote(BaseAnnotation[T]):  # noqa: N801  # users call it like a function
    """Pass the argument unchanged: futures inside it stay futures.

    This also saves the search through a large collection. A flow that returns a quoted value has that value
    as
    its result; it does not decide the final state.
    """

    __slots__ = ()

    def unquote(self) -> T:
        """The value."""
        return self.value


class opaque(BaseAnnotation[T]):  # noqa: N801  # users call it like a function
    """Replace a future or state by its result, but do not search inside other values.

    This saves the search through a large collection.
    """

    __slots__ = ()


class freeze(BaseAnnotation[T]):  # noqa: N801  # users call it like a function
    """Fix a parameter of a deployment: its runs cannot have another value.

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
    """The former name of `quote`."""

    __slots__ = ()


class NotSet:
    """The default of an option for which None has a meaning."""
