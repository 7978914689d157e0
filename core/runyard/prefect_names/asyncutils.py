"""What scripts take from `prefect.utilities.asyncutils`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.syncing import async_twin, is_async_context, sync_compatible

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = [
    "async_twin",
    "gather",
    "in_async_main_thread",
    "is_async_fn",
    "run_coro_as_sync",
    "run_sync_in_worker_thread",
    "sync_compatible",
]

in_async_main_thread = is_async_context


def is_async_fn(func: Callable[..., Any]) -> bool:
    """Whether a function is async, also behind decorators that name what they wrap."""
    import inspect

    while hasattr(func, "__wrapped__"):
        func = func.__wrapped__
    return inspect.iscoroutinefunction(func)


def run_coro_as_sync(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The outcome of a coroutine, in sync code; on a running event loop, by a thread with another one."""
    from runyard.engine.effects import finish

    return finish(coroutine)


async def run_sync_in_worker_thread(fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The outcome of a sync function, run in a thread while the event loop goes on."""
    return await async_twin(fn)(*args, **kwargs)


async def gather(*calls: Callable[[], Coroutine[Any, Any, Any]]) -> list[Any]:
    """The outcomes of async functions without arguments, run together, in their order."""
    import asyncio

    return list(await asyncio.gather(*(call() for call in calls)))
