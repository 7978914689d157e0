"""Those in this process who wait for slots of the same limits stand in line; the first of them asks."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_guard = threading.Lock()
_lines: dict[frozenset[str], Line] = {}


class Line:
    """One line. `freed` is set when somebody in this process gave slots back."""

    __slots__ = ("_names", "_waiting", "freed")

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._waiting: deque[Callable[[], None]] = deque()
        self.freed = threading.Event()

    def leave(self, wake: Callable[[], None]) -> None:
        """Go away; the next one is woken when it was the turn of who leaves."""
        while True:
            with _guard:
                first = self._waiting[0] is wake
                self._waiting.remove(wake)
                if not self._waiting:
                    _lines.pop(self._names, None)
                    return
                following = self._waiting[0]
            if not first:
                return
            try:
                following()
                return
            except RuntimeError:
                wake = following  # his event loop was closed while he waited: it is nobody's turn


def enter(names: Iterable[str], wake: Callable[[], None]) -> tuple[Line, bool]:
    """Stand in the line for some limits.

    Args:
        wake: called, by another thread, when it is this one's turn; tells him from the others.

    Returns:
        The line, and whether it is his turn at once.
    """
    key = frozenset(names)
    with _guard:
        line = _lines.get(key)
        if line is None:
            line = _lines[key] = Line(key)
        line._waiting.append(wake)
        return line, len(line._waiting) == 1


def freed(names: Iterable[str]) -> None:
    """Slots of these limits were given back: who waits for them here asks again."""
    with _guard:
        for key, line in _lines.items():
            if not key.isdisjoint(names):
                line.freed.set()


def _after_fork() -> None:
    """A forked child waits for nothing yet."""
    global _guard
    _guard = threading.Lock()
    _lines.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
