"""The hook through which a state reads its stored result. The reader registers itself here."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_read: Callable[[dict[str, Any]], Any] | None = None


def read_by(read: Callable[[dict[str, Any]], Any]) -> None:
    """Register the function that reads the stored result of a state's `data`."""
    global _read
    _read = read


def read(data: dict[str, Any]) -> Any:
    """The value to which a state's `data` refers.

    Raises:
        MissingResult: it is not stored any more.
    """
    if _read is None:
        raise RuntimeError("this process cannot read stored results")
    return _read(data)
