"""Functions that sync code calls and async code awaits, under one name."""

from __future__ import annotations

import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from runyard.base.callers import is_awaited
from runyard.base.current_run import current_flow, current_task
from runyard.base.thread_calls import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
R = TypeVar("R")


def is_async_context() -> bool:
    """Whether the caller is async: on a running event loop, and not in a sync flow or task there."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    task = current_task.get()
    if task is not None:
        return bool(task.task.isasync)
    flow = current_flow.get()
    return flow is None or bool(flow.flow.isasync)


def async_twin(fn: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    """An async function that runs the sync `fn` in a thread, with the caller's context."""

    @wraps(fn)
    async def twin(*args: P.args, **kwargs: P.kwargs) -> R:
        return await in_thread(lambda: fn(*args, **kwargs))

    return twin


def sync_compatible(fn: Callable[..., Any]) -> Callable[..., Any]:
    """A function that runs the sync `fn` in sync code and returns an awaitable in async code.

    For methods, write `@classmethod` above it. Callers can force either with `_sync=True` or `_sync=False`.
    """
    twin = async_twin(fn)

    @wraps(fn)
    def either(*args: Any, _sync: bool | None = None, **kwargs: Any) -> Any:
        if is_async_context() if _sync is None else not _sync:
            return twin(*args, **kwargs)
        return fn(*args, **kwargs)

    either.aio = twin  # type: ignore[attr-defined]  # an attribute of a function; Prefect's name
    return either


def also_awaited(fn: Callable[P, R]) -> Callable[P, R]:
    """A sync function that async code may await, but need not.

    For functions that async code can call directly, and that scripts written for Prefect await.
    """
    twin = async_twin(fn)

    @wraps(fn)
    def either(*args: P.args, **kwargs: P.kwargs) -> R:
        if is_awaited(sys._getframe(1)):
            return twin(*args, **kwargs)  # type: ignore[return-value]  # the caller awaits it
        try:
            return fn(*args, **kwargs)
        finally:
            del args  # an exception that `fn` raises keeps this frame alive, and a future keeps the exception

    either.aio = twin  # type: ignore[attr-defined]  # as above
    return either
