"""Time limits for sync code: SIGALRM in the main thread, an asynchronous exception in other threads."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard.base.exceptions import RunTimedOut

if TYPE_CHECKING:
    from collections.abc import Iterator


def time_limit(seconds: float, limit: object = None) -> Any:
    """A block that raises RunTimedOut if it takes longer than `seconds`.

    In the main thread the alarm also interrupts system calls. In other threads Python raises the exception
    at the next Python instruction, so a call that blocks in C code must return first.

    Args:
        limit: the value of the exception's `limit`.
    """
    if threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer"):
        return _by_alarm(seconds, limit)
    return _by_watcher(seconds, limit)


def over(seconds: float, limit: object, is_past: bool = True) -> RunTimedOut:
    """The exception for a reached limit of `seconds`; `is_past`: the limited call has already ended."""
    error = RunTimedOut(f"took longer than {seconds:g} s")
    error.limit = limit
    error.is_past = is_past
    return error


@contextmanager
def _by_alarm(seconds: float, limit: object) -> Iterator[None]:
    started = time.monotonic()
    left_before, _ = signal.getitimer(signal.ITIMER_REAL)
    mine = not left_before or seconds < left_before

    def ring(_number: int, _frame: Any) -> None:
        raise over(seconds, limit, is_past=False)

    if not mine:
        # An enclosing limit ends earlier and interrupts this block too.
        yield
        return
    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-6))
    try:
        yield
    except RunTimedOut as error:
        if error.limit is limit:
            error.is_past = True
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left_before:
            left = left_before - (time.monotonic() - started)
            signal.setitimer(signal.ITIMER_REAL, max(left, 1e-6))


@contextmanager
def _by_watcher(seconds: float, limit: object) -> Iterator[None]:
    import ctypes

    thread = ctypes.c_ulong(threading.get_ident())
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    lock = threading.Lock()
    ended = rang = False

    def ring() -> None:
        nonlocal rang
        with lock:
            if not ended:
                rang = True
                set_exception(thread, ctypes.py_object(RunTimedOut))

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        yield
    except RunTimedOut:
        if not rang:
            raise
        raise over(seconds, limit) from None
    finally:
        with lock:
            ended = True
        timer.cancel()
