"""`concurrency` and `rate_limit` for async code; see `runyard.engine.concurrency.sync`."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from runyard.base.thread_calls import in_thread
from runyard.engine.concurrency import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencyLeaseLost,
    ConcurrencySlotAcquisitionError,
)
from runyard.engine.concurrency.slot_waiting import Request, as_names, check_found, lost, warn_when_lost

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from runyard.engine.concurrency.slot_leases import Lease

__all__ = [
    "AcquireConcurrencySlotTimeoutError",
    "ConcurrencyLeaseLost",
    "ConcurrencySlotAcquisitionError",
    "concurrency",
    "rate_limit",
]


@asynccontextmanager
async def concurrency(
    names: str | list[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    max_retries: int | None = None,
    lease_duration: float = 300,
    strict: bool = False,
    holder: Any = None,
    raise_on_lease_renewal_failure: bool | None = None,
) -> AsyncIterator[None]:
    """As `runyard.engine.concurrency.sync.concurrency`, with `async with`."""
    wanted = as_names(names)
    if not wanted:
        yield
        return
    request = Request(
        wanted, occupy, "concurrency", timeout_seconds, max_retries, float(lease_duration), holder
    )
    found = await request.take_async()
    check_found(found, wanted, strict)
    lease = request.lease(found)
    if lease is None:
        yield
        return
    try:
        if strict if raise_on_lease_renewal_failure is None else raise_on_lease_renewal_failure:
            async with _cancelled_when_lost(lease):
                yield
        else:
            warn_when_lost(lease)
            yield
    finally:
        await in_thread(lease.release)


async def rate_limit(
    names: str | list[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """As `runyard.engine.concurrency.sync.rate_limit`, awaited."""
    wanted = as_names(names)
    if wanted:
        found = await Request(wanted, occupy, "rate_limit", timeout_seconds).take_async()
        check_found(found, wanted, strict)


@asynccontextmanager
async def _cancelled_when_lost(lease: Lease) -> AsyncIterator[None]:
    """A block that ends with ConcurrencyLeaseLost at its next `await` after the lease was lost."""
    import asyncio

    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    ended = False

    def cancel() -> None:
        if task is not None and not ended:
            task.cancel()

    def tell() -> None:
        loop.call_soon_threadsafe(cancel)

    lease.on_lost = tell
    try:
        yield
    except asyncio.CancelledError:
        if lease.lost and task is not None and not task.uncancel():
            raise lost(lease) from None
        raise
    finally:
        ended = True
