"""The names of `prefect.utilities.asyncutils` that scripts use."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any

from runyard.base.syncing import async_twin, is_async_context
from runyard.engine.effects import finish

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

__all__ = [
    "async_twin",
    "asyncnullcontext",
    "create_task",
    "gather",
    "in_async_main_thread",
    "in_async_worker_thread",
    "is_async_fn",
    "is_async_gen_fn",
    "run_async_from_worker_thread",
    "run_async_in_new_loop",
    "run_coro_as_sync",
    "run_sync_in_worker_thread",
    "sync",
    "sync_compatible",
]

in_async_main_thread = is_async_context


def is_async_fn(func: Callable[..., Any]) -> bool:
    """Whether a function is async, also through decorators with `__wrapped__`."""
    import inspect

    while hasattr(func, "__wrapped__"):
        func = func.__wrapped__
    return inspect.iscoroutinefunction(func)


def run_coro_as_sync(
    coroutine: Coroutine[Any, Any, Any], *, force_new_thread: bool = False, wait_for_result: bool = True
) -> Any:
    """Run a coroutine from sync code; on a running event loop, in a thread with another loop.

    Args:
        force_new_thread: accepted for compatibility.
        wait_for_result: if false, a thread runs the coroutine, and None is returned at once.
    """
    if wait_for_result:
        return finish(coroutine)
    import contextvars
    import threading

    threading.Thread(target=contextvars.copy_context().run, args=(finish, coroutine)).start()
    return None


def sync_compatible(async_fn: Callable[..., Any]) -> Callable[..., Any]:
    """An async function that sync code can call directly.

    Callers can force either with `_sync=True` or `_sync=False`.
    """

    @wraps(async_fn)
    def either(*args: Any, _sync: bool | None = None, **kwargs: Any) -> Any:
        coroutine = async_fn(*args, **kwargs)
        if is_async_context() if _sync is None else not _sync:
            return coroutine
        return run_coro_as_sync(coroutine)

    either.aio = async_fn  # type: ignore[attr-defined]  # an attribute of a function; Prefect's name
    return either


async def run_sync_in_worker_thread(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run a sync function in a thread without blocking the event loop."""
    return await async_twin(fn)(*args, **kwargs)


async def gather(*calls: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run async functions without arguments concurrently; return their results in order."""
    import asyncio

    return list(await asyncio.gather(*(call() for call in calls)))


def is_async_gen_fn(func: Callable[..., Any]) -> bool:
    """Whether a function is an async generator, also through decorators with `__wrapped__`."""
    import inspect

    return inspect.isasyncgenfunction(inspect.unwrap(func))


def in_async_worker_thread() -> bool:
    """Whether the caller runs in a thread that async code started for sync code."""
    import threading

    return not is_async_context() and threading.current_thread() is not threading.main_thread()


def sync(async_fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Run an async function from sync code."""
    return run_coro_as_sync(async_fn(*args, **kwargs))


run_async_from_worker_thread = run_async_in_new_loop = sync


@asynccontextmanager
async def asyncnullcontext(value: Any = None, *_args: Any, **_kwargs: Any) -> AsyncIterator[Any]:
    """Context manager that does nothing."""
    yield value


_TASKS: set[Any] = set()


def create_task(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Like `asyncio.create_task`, but keeps a reference to the task until it is done."""
    import asyncio

    made = asyncio.create_task(coroutine)
    _TASKS.add(made)
    made.add_done_callback(_TASKS.discard)
    return made
