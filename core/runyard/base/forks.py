"""Forks amid a run: a child that leaves the function in which it was forked ends there.

What surrounds that function in the child is a copy: the engine, the flow that called, the script. It is the
parent that goes on with these. The drivers compare `count` before and after whatever they call.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from runyard.base.tracebacks import without_engine

if TYPE_CHECKING:
    from collections.abc import Callable

# How many forks lie between this process and the one in which Runyard was imported.
count = 0

_INTERRUPTED = 130  # as shells tell of Ctrl-C
_writers: list[Callable[[], None]] = []


def before_leaving(write: Callable[[], None]) -> None:
    """Have a child that leaves call `write`: what it has recorded is written then."""
    _writers.append(write)


def leave(error: BaseException | None = None) -> NoReturn:
    """End this process, a forked child, once all that it has recorded, logged and printed is written.

    Args:
        error: what the function raised; None where it returned. `sys.exit` gives the exit code, any other
            exception is shown on stderr and gives 1, Ctrl-C 130.
    """
    code = 1
    try:
        code = _code_of(error)
        _wind_up()
    finally:
        os._exit(code)


def check(born: int, error: BaseException | None = None) -> None:
    """End this process if it was forked since `count` was `born`; see `leave`."""
    if count != born:
        leave(error)


def held(fn: Callable[[], Any]) -> Any:
    """The outcome of `fn`; a child that is forked in it ends with it."""
    born = count
    try:
        value = fn()
    except BaseException as error:
        check(born, error)
        raise
    check(born)
    return value


def _code_of(error: BaseException | None) -> int:
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        if error.code is None or isinstance(error.code, int):
            return (error.code or 0) & 0xFF
        print(error.code, file=sys.stderr)
        return 1
    without_engine(error)
    sys.excepthook(type(error), error, error.__traceback__)
    return _INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


def _wind_up() -> None:
    """As `multiprocessing` ends its children: threads are waited for; the exit functions are the parent's."""
    import threading

    threading._shutdown()  # type: ignore[attr-defined]  # what ends an interpreter
    for write in _writers:
        write()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _after_fork() -> None:
    global count
    count += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
