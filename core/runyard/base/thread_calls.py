"""Run functions in threads for async code, and release a thread's resources when it ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from runyard.base import user_forks

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_at_end: list[Callable[[], None]] = []


def at_thread_end(release: Callable[[], None]) -> None:
    """Register a function that each of our threads calls when it ends, to close its own resources."""
    _at_end.append(release)


def release_thread() -> None:
    """Close the resources of the calling thread, such as database connections, before it ends."""
    for release in _at_end:
        release()


async def unbroken(fn: Callable[[], Any], stop: Callable[[], Any] = lambda: None) -> Any:
    """Like `in_thread`, but a cancellation of the calling task takes effect only when `fn` has ended.

    Args:
        stop: called at each cancellation, to end `fn` sooner.
    """
    import asyncio

    # Not a task: code that cancels all tasks of the loop, as `asyncio.run` does at its end, would not wait
    # for it.
    work = _begin_in_thread(fn)
    cancelled = False
    while not work.done():
        try:
            await asyncio.wait((work,))
        except asyncio.CancelledError:
            cancelled = True
            stop()
    task = asyncio.current_task()
    if cancelled and task is not None:
        task.uncancel()
        task.cancel()
    return work.result()


async def in_thread(fn: Callable[[], Any]) -> Any:
    """Run `fn` in a new thread, which leaves no database connection open, and return its result."""
    return await _begin_in_thread(fn)


def _begin_in_thread(fn: Callable[[], Any]) -> asyncio.Future[Any]:
    import asyncio
    from contextvars import copy_context

    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(value)

    def work() -> None:
        value, failure = None, None
        try:
            value = user_forks.held(fn)
        except BaseException as error:
            failure = error
        finally:
            release_thread()
        try:
            loop.call_soon_threadsafe(settle, value, failure)
        except RuntimeError:
            pass  # the loop was closed: no task waits any more

    context = copy_context()
    threading.Thread(target=context.run, args=(work,), name="runyard-block", daemon=True).start()
    return done
