"""Markers around arguments of tasks: the same for every mapped call, or given even when it failed."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class unmapped(Generic[T]):  # noqa: N801  # written like a function in users' code
    """Around an argument of `.map()`: every call gets the whole value instead of one of its items."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value


class allow_failure(Generic[T]):  # noqa: N801  # written like a function in users' code
    """Around a future: the task runs even if that one failed, and is given its exception."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value
