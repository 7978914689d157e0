"""The door from a state to its kept result: states stand below what reads results, and ask for it here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_read: Callable[[dict[str, Any]], Any] | None = None


def read_by(read: Callable[[dict[str, Any]], Any]) -> None:
    """Have kept results read by `read`, of a state's `data`; the package says so when it is imported."""
    global _read
    _read = read


def read(data: dict[str, Any]) -> Any:
    """The value that a state's `data` refers to.

    Raises:
        MissingResult: it is not kept any more.
    """
    if _read is None:
        raise RuntimeError("this process cannot read stored results")
    return _read(data)
