"""Code of the user's that goes with a run (hooks, key functions, conditions): what it raises ends no run."""

from __future__ import annotations

import signal
import threading
from typing import Any

from runyard.base.exceptions import RunTimedOut, Signal

_ASK_TO_STOP = ("SIGINT", "SIGTERM", "SIGHUP")


def is_from_outside(error: BaseException) -> bool:
    """Whether an exception that came out of such code is not its own: it was to stop the run.

    Ctrl-C, SIGTERM, a cancellation and a time limit come at any instant, so in a hook as well. Everything
    else is a fault of that code, whatever its class: to be logged, and the run goes on.
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
    """Whether a statement raised it. To close a generator or a coroutine, Python raises it at a `yield`."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    if place is None:
        return False
    import opcode

    return opcode.opname[place.tb_frame.f_code.co_code[place.tb_lasti]] == "RAISE_VARARGS"


def _has_handler_of_user() -> bool:
    """Whether the user's code answers signals itself, mostly by SystemExit."""
    return any(
        _is_users(signal.getsignal(getattr(signal, name))) for name in _ASK_TO_STOP if hasattr(signal, name)
    )


def _is_users(handler: Any) -> bool:
    if not callable(handler) or handler is signal.default_int_handler:
        return False
    # A loop of asyncio has a `partial` as handler of SIGINT.
    module = getattr(getattr(handler, "func", handler), "__module__", "") or ""
    return module.partition(".")[0] not in ("asyncio", "runyard")


def _is_cancellation(error: BaseException) -> bool:
    """Whether the asyncio task that runs here was cancelled, and not one that the user's code waited for."""
    import asyncio

    if not isinstance(error, asyncio.CancelledError):
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
