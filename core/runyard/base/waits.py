"""Wait for another thread so that the main thread still handles signals soon, and before another try.

Python handles a signal in the main thread between two instructions, or interrupts a waiting call. A signal
that arrives after the last instruction and before the waiting call is handled only after the wait. So the
main thread waits in slices.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

_SLICE_SECONDS = 1.0


def jittered(seconds: float, least: float = 0.5, most: float = 1.0) -> float:
    """A pause before one tries again, so that not all who wait try at the same moment.

    Args:
        seconds: the pause.
        least: the shortest share of it.
        most: the longest share of it.
    """
    return seconds * random.uniform(least, most)  # noqa: S311  # no secret


def in_slices(
    wait: Callable[[float | None], object], over: Callable[[], bool], seconds: float | None
) -> None:
    """Call `wait` until `over()` is true or `seconds` have passed.

    Args:
        wait: waits at most the given seconds, and returns sooner at a change.
        over: whether the condition is met.
        seconds: the maximum time; None: no limit.
    """
    slice_seconds = _SLICE_SECONDS if threading.current_thread() is threading.main_thread() else None
    deadline = None if seconds is None else time.monotonic() + seconds
    while not over():
        left = slice_seconds
        if deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                return
            left = min(left, slice_seconds or left)
        wait(left)


def for_event(event: threading.Event, seconds: float | None = None) -> None:
    """Wait until an event is set, or `seconds` have passed."""
    in_slices(event.wait, event.is_set, seconds)


def for_threads(threads: list[threading.Thread]) -> None:
    """Wait until threads have ended."""

    def ended() -> bool:
        return not thread.is_alive()

    for thread in threads:
        in_slices(thread.join, ended, None)
