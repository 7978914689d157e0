"""Effects: the operations that the engine's generators yield, and the sync and async drivers that run them.

A core (`task_core.run_task`, `flow_core.run_flow`) is a generator without IO: it yields an effect and
receives the result or the exception of that effect. Only this module differs between sync and async:

    def core():
        value = yield Call(fn, args)  # the driver calls fn(*args), or awaits it, and sends the result back
        yield Sleep(2)  # `drive` calls time.sleep, `drive_async` awaits asyncio.sleep
        return value

    drive(core())
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from runyard.base import user_forks
from runyard.base.exceptions import TerminationSignal
from runyard.base.thread_calls import in_thread, release_thread, unbroken
from runyard.engine.timeouts import over, time_limit

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from runyard.engine.journal import Journal


class Call:
    """Call the user's function."""

    __slots__ = ("args", "fn", "kwargs", "timeout_seconds")

    def __init__(
        self, fn: Callable[..., Any], args: Any = (), kwargs: Any = None, timeout_seconds: float | None = None
    ) -> None:
        self.fn = fn
        self.args = args
        self.kwargs = kwargs or {}
        self.timeout_seconds = timeout_seconds


class Read:
    """Read all values of the user's generator; `limit` is the call that returned it."""

    __slots__ = ("generator", "limit", "timeout_seconds")

    def __init__(self, generator: Any, limit: Call) -> None:
        self.generator = generator
        self.limit = limit
        self.timeout_seconds = limit.timeout_seconds


class Block:
    """Call a function of Runyard that blocks shortly: on a disk, or on another thread."""

    __slots__ = ("fn",)

    def __init__(self, fn: Callable[[], Any]) -> None:
        self.fn = fn


class Wait(Block):
    """Call a function of Runyard that may block long: it waits for the user's code or other processes."""

    __slots__ = ()


class Commit:
    """Wait until everything in a journal is on disk."""

    __slots__ = ("journal",)

    def __init__(self, journal: Journal) -> None:
        self.journal = journal


class Sleep:
    """Wait for some seconds."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


# Of these no value is a coroutine.
_PLAIN = frozenset((type(None), bool, int, float, str, bytes, list, tuple, dict))
Effect = Call | Read | Block | Wait | Commit | Sleep


def drive(core: Generator[Any, Any, Any]) -> Any:
    """Run a core in the calling thread; returns its return value."""
    send, throw = core.send, core.throw
    effect = outcome = None
    born = user_forks.count
    try:
        effect = send(None)
        while True:
            if user_forks.count != born:
                user_forks.leave()
            try:
                kind = type(effect)
                if kind is Call:
                    if effect.timeout_seconds is None:
                        outcome = effect.fn(*effect.args, **effect.kwargs)
                        if type(outcome) not in _PLAIN and is_coroutine(outcome):
                            outcome = finish(outcome)
                    else:
                        with time_limit(effect.timeout_seconds, effect):
                            outcome = effect.fn(*effect.args, **effect.kwargs)
                            if is_coroutine(outcome):
                                outcome = finish(outcome)
                elif kind is Block or kind is Wait:
                    outcome = effect.fn()
                elif kind is Commit:
                    outcome = effect.journal.commit()
                elif kind is Read:
                    outcome = _read_out(effect)
                else:
                    pause(effect.seconds)
                    outcome = None
            except BaseException as error:
                if user_forks.count != born:
                    user_forks.leave(error)
                effect = throw(thrown(error))
            else:
                if user_forks.count != born:
                    user_forks.leave()
                effect = send(outcome)
    except StopIteration as stop:
        return stop.value
    finally:
        # An exception of the user's code keeps this frame alive: avoid a reference cycle.
        del effect, outcome


def thrown(error: BaseException) -> BaseException:
    """The exception to throw into a core for an exception of the user's code.

    A core cannot handle GeneratorExit, because Python uses it to close generators; it becomes a RuntimeError.
    """
    if not isinstance(error, GeneratorExit):
        return error
    told = RuntimeError("the run's code raised GeneratorExit")
    told.__cause__ = error
    return told


def is_coroutine(value: Any) -> bool:
    """Whether a value is a coroutine.

    Other awaitables (futures, Dask collections, ORM queries, mocks) are ordinary results.
    """
    if not hasattr(type(value), "__await__"):
        return False
    from collections.abc import Coroutine

    return isinstance(value, Coroutine)


def pause(seconds: float) -> None:
    """Sleep; a signal handler that raises ends it early."""
    time.sleep(seconds)


def _read_out(effect: Read) -> list[Any]:
    """All values of a generator, within its time limit."""
    if effect.timeout_seconds is None:
        return list(effect.generator)
    with time_limit(effect.timeout_seconds, effect.limit):
        return list(effect.generator)


async def read_out_async(effect: Read) -> list[Any]:
    """As `_read_out`, for a sync or async generator."""
    if not hasattr(effect.generator, "__aiter__"):
        return _read_out(effect)
    import asyncio

    async with asyncio.timeout(effect.timeout_seconds) as scope:
        try:
            return [item async for item in effect.generator]
        except asyncio.CancelledError as error:
            if scope.expired():
                raise over(effect.timeout_seconds or 0, effect.limit) from error
            raise


def finish(coroutine: Any) -> Any:
    """Run a coroutine in sync code and return its result: an async hook of a sync flow, for example.

    If an event loop already runs in this thread (a notebook, an async flow that calls a sync one), the
    coroutine runs on a loop in another thread, and this thread waits for it.
    """
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(_outcome(coroutine))
    return _finish_beside(coroutine)


async def _outcome(coroutine: Any) -> Any:
    return await coroutine


def _finish_beside(coroutine: Any) -> Any:
    import asyncio
    from concurrent.futures import Future
    from contextvars import copy_context
    from functools import partial

    done: Future[Any] = Future()
    cancel: Callable[[], Any] = coroutine.close

    async def outcome() -> Any:
        nonlocal cancel
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        cancel = partial(loop.call_soon_threadsafe, task.cancel) if task is not None else coroutine.close
        return await coroutine

    def work() -> None:
        try:
            done.set_result(user_forks.held(lambda: asyncio.run(outcome())))
        except BaseException as error:
            done.set_exception(error)
        finally:
            release_thread()

    thread = threading.Thread(target=copy_context().run, args=(work,), name="runyard-await", daemon=True)
    thread.start()
    try:
        return done.result()
    except BaseException:
        if not done.done():  # Ctrl-C, or a time limit
            cancel()
        raise


async def drive_async(
    core: Generator[Any, Any, Any], stop_requested: Callable[[], bool] | None = None
) -> Any:
    """Run a core on the event loop; returns its return value.

    Args:
        stop_requested: whether a cancellation of this task came from SIGTERM.
    """
    import asyncio

    effect = outcome = None
    born = user_forks.count
    try:
        effect = core.send(None)
        while True:
            if user_forks.count != born:
                user_forks.leave()
            try:
                kind = type(effect)
                if kind is Call:
                    outcome = await _call_async(effect)
                elif kind is Block:
                    outcome = await unbroken(effect.fn)
                elif kind is Wait:
                    outcome = await in_thread(effect.fn)
                elif kind is Commit:
                    outcome = await effect.journal.commit_async()
                elif kind is Read:
                    outcome = await read_out_async(effect)
                else:
                    await asyncio.sleep(effect.seconds)
                    outcome = None
            except BaseException as error:
                if user_forks.count != born:
                    user_forks.leave(error)
                effect = core.throw(_thrown_async(error, stop_requested))
            else:
                if user_forks.count != born:
                    user_forks.leave()
                effect = core.send(outcome)
    except StopIteration as stop:
        return stop.value
    finally:
        del effect, outcome  # as in `drive`


def _thrown_async(error: BaseException, stop_requested: Callable[[], bool] | None) -> BaseException:
    """As `thrown`, on an event loop, where SIGTERM cancels the task."""
    import asyncio

    if not isinstance(error, asyncio.CancelledError) or stop_requested is None or not stop_requested():
        return thrown(error)
    current = asyncio.current_task()
    if current is not None:
        current.uncancel()
    return TerminationSignal("the process was asked to stop")


async def call_async(effect: Call) -> Any:
    """Call the user's function, sync or async, and return its result."""
    outcome = effect.fn(*effect.args, **effect.kwargs)
    return await outcome if is_coroutine(outcome) else outcome


async def _call_async(effect: Call) -> Any:
    import asyncio

    if effect.timeout_seconds is None:
        return await call_async(effect)
    scope = asyncio.timeout(effect.timeout_seconds)
    try:
        async with scope:
            return await call_async(effect)
    except TimeoutError as error:
        if scope.expired():
            raise over(effect.timeout_seconds, effect) from error
        raise
