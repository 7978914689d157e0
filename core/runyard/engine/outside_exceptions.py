"""Hooks, key functions and conditions of the user: their exceptions do not end the run."""

from __future__ import annotations

import signal
import threading
from typing import Any

from runyard.base.exceptions import RunTimedOut, Signal

_ASK_TO_STOP = ("SIGINT", "SIGTERM", "SIGHUP")


def is_from_outside(error: BaseException) -> bool:
    """Whether the exception is a request to stop the run, not an error of the user's code.

    Ctrl-C, SIGTERM, a cancellation and a time limit can arrive at any time, also during a hook. Any other
    exception is an error of the hook, whatever its class: the engine logs it and the run continues.
    """
    if isinstance(error, RunTimedOut):
        return not error.is_past
    if isinstance(error, Exception):
        return False
    if isinstance(error, Signal):
        return True
    if isinstance(error, GeneratorExit):
        return not _is_raised(error)
    if isinstance(error, (KeyboardInterrupt, SystemExit)):
        # Python calls signal handlers in the main thread only.
        if threading.current_thread() is not threading.main_thread():
            return False
        return isinstance(error, KeyboardInterrupt) or _has_handler_of_user()
    return _is_cancellation(error)


def _is_raised(error: BaseException) -> bool:
    """Whether a `raise` statement raised it. When Python closes a generator, it raises at a `yield`."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return False
    import opcode

    return opcode.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"


def _has_handler_of_user() -> bool:
    """Whether the user's code has its own signal handler, which usually raises SystemExit."""
    return any(
        _is_users(signal.getsignal(getattr(signal, name))) for name in _ASK_TO_STOP if hasattr(signal, name)
    )


def _is_users(handler: Any) -> bool:
    if not callable(handler) or handler is signal.default_int_handler:
        return False
    # asyncio's handler of SIGINT is a `partial`.
    module = getattr(getattr(handler, "func", handler), "__module__", "") or ""
    return module.partition(".")[0] not in ("asyncio", "runyard")


def _is_cancellation(error: BaseException) -> bool:
    """Whether the current asyncio task was cancelled, not another task that the user's code awaited."""
    import asyncio

    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
