"""Threads that async code waits in, and what each of our threads gives back when it ends."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from runyard.base import forks

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

_at_end: list[Callable[[], None]] = []


def at_thread_end(release: Callable[[], None]) -> None:
    """Have each thread of ours that ends call `release`: what it alone has open is closed then."""
    _at_end.append(release)


def release_thread() -> None:
    """Close what the calling thread has open, such as its database connections; for threads about to end."""
    for release in _at_end:
        release()


async def unbroken(fn: Callable[[], Any], stop: Callable[[], Any] = lambda: None) -> Any:
    """As `in_thread`; a cancellation of the calling task waits until `fn` is done, and for its next wait.

    Args:
        stop: called with each cancellation, to end `fn` sooner.
    """
    import asyncio

    # No task: who cancels all tasks of the loop, as `asyncio.run` does at its end, would not wait for it.
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
    """The outcome of `fn`, run in a thread of its own that leaves no database connection behind."""
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
            value = forks.held(fn)
        except BaseException as error:
            failure = error
        finally:
            release_thread()
        try:
            loop.call_soon_threadsafe(settle, value, failure)
        except RuntimeError:
            pass  # the loop was closed meanwhile: nobody waits any more

    context = copy_context()
    threading.Thread(target=context.run, args=(work,), name="runyard-block", daemon=True).start()
    return done
