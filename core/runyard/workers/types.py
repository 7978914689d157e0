"""The types of work pools that a worker can serve: processes, and what entry points name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable
    from importlib.metadata import EntryPoint

    from runyard.workers.infrastructure.base import Infrastructure

PROCESS = "process"
_GROUP = "runyard.workers"


def _installed() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=_GROUP)}


def served() -> tuple[str, ...]:
    """The types that a worker here can serve."""
    return PROCESS, *sorted(_installed())


def check(kind: str) -> None:
    """Refuse a type that no worker here can serve.

    Raises:
        InvalidInput: with the types that there are.
    """
    if kind == PROCESS:
        return
    known = served()
    if kind not in known:
        raise InvalidInput(
            f"no worker of type {kind!r} is installed here, only {', '.join(sorted(known))}; runs of such "
            "a pool wait for a worker of another program, or for a package that brings the type"
        )


def infrastructure_of(kind: str) -> Callable[[], Infrastructure]:
    """What makes the infrastructure of a type that is not `process`.

    Raises:
        InvalidInput: there is no such type.
        RunyardError: a package that it needs is missing.
    """
    check(kind)
    made: Callable[[], Infrastructure] = _installed()[kind].load()
    return made
