"""What a command opened is closed when it ends, however it ends."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_open = [ExitStack()]


def when_done(close: Callable[[], None]) -> None:
    """Call this when the command has ended."""
    _open[-1].callback(close)


@contextmanager
def at_end() -> Iterator[None]:
    """Close what the command inside opens."""
    with ExitStack() as stack:
        _open.append(stack)
        try:
            yield
        finally:
            _open.pop()
