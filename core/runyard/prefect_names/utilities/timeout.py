"""The names of `prefect.utilities.timeout` that scripts use: time limits."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from runyard.base.exceptions import RunTimedOut
from runyard.engine.timeouts import time_limit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["timeout", "timeout_async"]


def _over(seconds: float, kind: type[BaseException]) -> BaseException:
    return kind(f"took longer than {seconds:g} s")


def _check(kind: type[BaseException]) -> None:
    if not issubclass(kind, TimeoutError):
        raise ValueError(f"{kind.__name__} is not a TimeoutError")


@contextmanager
def timeout(
    seconds: float | None = None, timeout_exc_type: type[TimeoutError] = TimeoutError
) -> Iterator[None]:
    """Context manager: a time limit for sync code, in seconds; None: no limit.

    Raises:
        TimeoutError: it took longer; of the class `timeout_exc_type`.
    """
    _check(timeout_exc_type)
    if seconds is None:
        yield
        return
    mark = object()
    try:
        with time_limit(max(seconds, 1e-6), mark):
            yield
    except RunTimedOut as error:
        if error.limit is not mark:
            raise
        raise _over(seconds, timeout_exc_type) from None


@asynccontextmanager
async def timeout_async(
    seconds: float | None = None, timeout_exc_type: type[TimeoutError] = TimeoutError
) -> AsyncIterator[None]:
    """Context manager: a time limit for async code; see `timeout`."""
    import asyncio

    _check(timeout_exc_type)
    if seconds is None:
        yield
        return
    scope = asyncio.timeout(seconds)
    try:
        async with scope:
            yield
    except TimeoutError:
        if not scope.expired():
            raise
        raise _over(seconds, timeout_exc_type) from None
