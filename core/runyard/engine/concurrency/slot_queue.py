"""Queues of the requests in this process for slots of the same limits; only the first request asks."""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_guard = threading.Lock()
_queues: dict[frozenset[str], RequestQueue] = {}


class RequestQueue:
    """One queue. `freed` is set when code in this process has released slots."""

    __slots__ = ("_names", "_waiting", "freed")

    def __init__(self, names: frozenset[str]) -> None:
        self._names = names
        self._waiting: deque[Callable[[], None]] = deque()
        self.freed = threading.Event()

    def leave(self, wake: Callable[[], None]) -> None:
        """Leave the queue; if the request was the first one, wake the next one."""
        while True:
            with _guard:
                first = self._waiting[0] is wake
                self._waiting.remove(wake)
                if not self._waiting:
                    _queues.pop(self._names, None)
                    return
                following = self._waiting[0]
            if not first:
                return
            try:
                following()
                return
            except RuntimeError:
                wake = following  # the event loop of that request was closed: skip it


def enter(names: Iterable[str], wake: Callable[[], None]) -> tuple[RequestQueue, bool]:
    """Enter the queue for some limits.

    Args:
        wake: another thread calls it when this request becomes the first; it also identifies the request.

    Returns:
        The queue, and whether this request is the first.
    """
    key = frozenset(names)
    with _guard:
        queue = _queues.get(key)
        if queue is None:
            queue = _queues[key] = RequestQueue(key)
        queue._waiting.append(wake)
        return queue, len(queue._waiting) == 1


def freed(names: Iterable[str]) -> None:
    """Slots of these limits were released: the requests that wait for them ask again."""
    with _guard:
        for key, queue in _queues.items():
            if not key.isdisjoint(names):
                queue.freed.set()


def _after_fork() -> None:
    """A forked child has no waiting requests."""
    global _guard
    _guard = threading.Lock()
    _queues.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
