"""Forks during a run: a child process ends when it leaves the function in which it was forked.

In the child, everything around that function is a copy: the engine, the calling flow, the script. Only
the parent continues with these. The drivers compare `count` before and after every call of user code.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from runyard.base.tracebacks import without_engine

if TYPE_CHECKING:
    from collections.abc import Callable

# The number of forks between this process and the one that imported Runyard.
count = 0

_INTERRUPTED = 130  # the exit code of shells for Ctrl-C
_writers: list[Callable[[], None]] = []


def before_leaving(write: Callable[[], None]) -> None:
    """Register `write`, which a leaving child calls to write its records."""
    _writers.append(write)


def leave(error: BaseException | None = None) -> NoReturn:
    """End this process, a forked child, after its records, logs and output are written.

    Args:
        error: what the function raised; None if it returned. `sys.exit` sets the exit code; any other
            exception is printed to stderr and exits with 1, Ctrl-C with 130.
    """
    code = 1
    try:
        code = _code_of(error)
        _wind_up()
    finally:
        os._exit(code)


def check(born: int, error: BaseException | None = None) -> None:
    """Call `leave` if this process was forked since `count` was `born`."""
    if count != born:
        leave(error)


def held(fn: Callable[[], Any]) -> Any:
    """Return the result of `fn`; a child that is forked in it ends when `fn` ends."""
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
    """End like a child of `multiprocessing`: wait for threads, but skip the parent's `atexit` functions."""
    import threading

    threading._shutdown()  # type: ignore[attr-defined]  # the function that ends an interpreter
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
