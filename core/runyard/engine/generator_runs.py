"""Generators as tasks and flows: a call yields the values one by one while the run is Running.

The run starts when the caller requests the first value, and ends with the generator. The core runs in a
separate context, so that between two values the caller has its own run context and tags. If a generator is
submitted, or called with `return_state`, all its values are read into a list (effect `Read`).
"""

from __future__ import annotations

import time
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from runyard.base import user_forks
from runyard.base.exceptions import TerminationSignal
from runyard.base.thread_calls import in_thread, unbroken
from runyard.engine.context import current_flow
from runyard.engine.effects import (
    Block,
    Call,
    Commit,
    Read,
    Wait,
    call_async,
    drive,
    read_out_async,
)
from runyard.engine.flowless_journal import journal_without_flow
from runyard.engine.interrupts import Cancellation, others_ended
from runyard.engine.parameters import bind
from runyard.engine.task_core import new_run, run_task
from runyard.engine.timeouts import over, time_limit

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable
    from contextvars import Context

    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.root_runs import RootRun
    from runyard.engine.task_definition import TaskDefinition

    Core = Generator[Any, Any, Any]


def stream_task(
    task: TaskDefinition, args: tuple[Any, ...], kwargs: dict[str, Any], wait_for: Iterable[Any] | None
) -> Any:
    """Implements `task(...)` for a generator: returns a sync or async generator.

    Raises:
        ParameterError: the arguments do not match the signature.
    """
    bind(task, args, kwargs)

    def begin() -> Core:
        flow = current_flow.get()
        journal = flow.journal if flow is not None else journal_without_flow()
        run = new_run(task, flow, journal)
        return run_task(task, run, flow, journal, args, kwargs, wait_for, streams=True)

    return _items_async(begin, copy_context()) if task.isasync else _items(begin, copy_context())


def stream_subflow(flow: FlowDefinition, begin: Callable[[], Core]) -> Any:
    """Implements `flow(...)` for a generator inside another flow; `begin` creates the core."""
    return _items_async(begin, copy_context()) if flow.isasync else _items(begin, copy_context())


def stream_root(flow: FlowDefinition, make: Callable[[], RootRun]) -> Any:
    """Implements `flow(...)` for a generator outside of flows; `make` creates its run."""
    return _root_async(make) if flow.isasync else _root(make)


def _root(make: Callable[[], RootRun]) -> Generator[Any, Any, Any]:
    root = make()
    with root.watched() as guard:
        return (yield from _items(lambda: root.core, copy_context(), lambda: guard.received))


async def _root_async(make: Callable[[], RootRun]) -> AsyncGenerator[Any, Any]:
    root = make()
    try:
        with root.watched(Cancellation(root.run.id)) as guard:
            items = _items_async(lambda: root.core, copy_context(), lambda: guard.received)
            try:
                async for item in items:
                    yield item
            finally:
                await items.aclose()
    except SystemExit:
        await others_ended()
        raise


def _never() -> bool:
    return False


def _items(
    begin: Callable[[], Core], context: Context, stop_requested: Callable[[], bool] = _never
) -> Generator[Any, Any, Any]:
    """Drive a core, and yield the values of the user's generator; returns its return value."""
    core = context.run(begin)
    step, given, closed = core.send, None, False
    while True:
        born = user_forks.count
        try:
            effect = context.run(step, given)
        except StopIteration as stop:
            ended = [stop.value]
            break
        finally:
            given = None  # it may be an exception whose traceback contains this frame
            user_forks.check(born)
        try:
            if type(effect) is not Read:
                given = context.run(_perform, effect)
            elif closed:
                given = context.run(effect.generator.close)
            else:
                try:
                    given = yield from _pass_on(effect, context)
                except GeneratorExit:
                    given, closed = None, True
                    if stop_requested():
                        raise TerminationSignal("the process was asked to stop") from None
            step = core.send
        except BaseException as error:
            step, given = core.throw, error
    # After the `except` block, and not in a variable: StopIteration and this frame must not keep the state.
    return None if closed else ended.pop().result()


def _pass_on(effect: Read, context: Context) -> Generator[Any, Any, Any]:
    """Yield the values of the user's generator, and close it with this one; returns its return value."""
    generator, left = effect.generator, effect.timeout_seconds
    step, given = generator.send, None
    while True:
        began, born = time.monotonic(), user_forks.count
        try:
            if left is None:
                item = context.run(step, given)
            else:
                # Only the time spent in the generator counts, not the time between two values.
                with time_limit(left, effect.limit):
                    item = context.run(step, given)
                left = max(1e-6, left - (time.monotonic() - began))
        except StopIteration as stop:
            user_forks.check(born)
            return stop.value
        except BaseException as error:
            user_forks.check(born, error)
            raise
        user_forks.check(born)
        try:
            given, step = (yield item), generator.send
        except GeneratorExit:
            context.run(generator.close)
            raise
        except BaseException as error:
            given, step = error, generator.throw


def _perform(effect: Any) -> Any:
    """Run one effect in this thread."""

    def once() -> Core:
        return (yield effect)

    return drive(once())


class _Within:
    """An awaitable that runs its steps in a given context."""

    __slots__ = ("_awaitable", "_context")

    def __init__(self, awaitable: Any, context: Context) -> None:
        self._awaitable = awaitable
        self._context = context

    def __await__(self) -> Generator[Any, Any, Any]:
        inner, run = self._awaitable.__await__(), self._context.run
        step, given = inner.send, None
        while True:
            try:
                waiting = run(step, given)
            except StopIteration as stop:
                return stop.value
            try:
                given, step = (yield waiting), inner.send
            except BaseException as error:
                given, step = error, inner.throw


async def _items_async(
    begin: Callable[[], Core], context: Context, stop_requested: Callable[[], bool] = _never
) -> AsyncGenerator[Any, Any]:
    """As `_items`, for a core whose user's generator is async."""
    import asyncio

    core = context.run(begin)
    step: Any = core.send
    given, closed = None, False
    while True:
        born = user_forks.count
        try:
            effect = context.run(step, given)
        except StopIteration as stop:
            ended = [stop.value]
            break
        finally:
            given = None  # it may be an exception whose traceback contains this frame
            user_forks.check(born)
        step = core.send
        try:
            if type(effect) is not Read:
                given = await _Within(_perform_async(effect), context)
                continue
            generator, left, given = effect.generator, effect.timeout_seconds, None
            while not closed:
                began, born = time.monotonic(), user_forks.count
                try:
                    item = await _Within(_next(generator, given, left, effect.limit), context)
                except StopAsyncIteration:
                    user_forks.check(born)
                    break
                except BaseException as error:
                    user_forks.check(born, error)
                    raise
                user_forks.check(born)
                if left is not None:
                    left = max(1e-6, left - (time.monotonic() - began))
                try:
                    given = yield item
                except GeneratorExit:
                    closed = True
            await _Within(generator.aclose(), context)
            given = None
            if closed and stop_requested():
                raise TerminationSignal("the process was asked to stop")
        except asyncio.CancelledError as error:
            stopped = TerminationSignal("the process was asked to stop")
            step, given = core.throw, (stopped if stop_requested() else error)
        except BaseException as error:
            step, given = core.throw, error
    if not closed:
        ended.pop().result()  # raises the run's exception; an async generator cannot return a value


async def _next(generator: Any, given: Any, seconds: float | None, limit: object) -> Any:
    """The next value, within the rest of a time limit."""
    import asyncio

    if seconds is None:
        return await generator.asend(given)
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            return await generator.asend(given)
    except TimeoutError as error:
        if scope.expired():
            raise over(seconds, limit) from error
        raise


async def _perform_async(effect: Any) -> Any:
    """Run one effect on this event loop."""
    import asyncio

    kind = type(effect)
    if kind is Call:
        return await call_async(effect)
    if kind is Block:
        return await unbroken(effect.fn)
    if kind is Wait:
        return await in_thread(effect.fn)
    if kind is Commit:
        return await effect.journal.commit_async()
    if kind is Read:
        return await read_out_async(effect)
    return await asyncio.sleep(effect.seconds)
