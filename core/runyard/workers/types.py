"""The worker types: `process`, and the types that installed packages add by entry points."""

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
    """The types that an installed worker can serve."""
    return PROCESS, *sorted(_installed())


def check(kind: str) -> None:
    """Refuse an unknown worker type.

    Raises:
        InvalidInput: no such type; the message lists the known types.
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
    """Load the class or function that creates the infrastructure of a type other than `process`.

    Raises:
        InvalidInput: unknown type.
        RunyardError: a required package is missing.
    """
    check(kind)
    made: Callable[[], Infrastructure] = _installed()[kind].load()
    return made
