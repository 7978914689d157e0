"""`concurrency` and `rate_limit` for sync code: acquire slots of named limits for a block of code."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from runyard.engine.concurrency import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencyLeaseLost,
    ConcurrencySlotAcquisitionError,
)
from runyard.engine.concurrency.slot_waiting import Request, as_names, check_found, lost, warn_when_lost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.engine.concurrency.slot_leases import Lease

__all__ = [
    "AcquireConcurrencySlotTimeoutError",
    "ConcurrencyLeaseLost",
    "ConcurrencySlotAcquisitionError",
    "concurrency",
    "rate_limit",
]


@contextmanager
def concurrency(
    names: str | list[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    max_retries: int | None = None,
    lease_duration: float = 300,
    strict: bool = False,
    holder: Any = None,
    raise_on_lease_renewal_failure: bool | None = None,
) -> Iterator[None]:
    """A block that holds slots of all the limits; it waits until they are free.

    Args:
        names: the limits; limits that do not exist or are inactive are ignored.
        occupy: the number of slots of each limit.
        timeout_seconds: how long to wait at most; None: no limit.
        max_retries: the most retries.
        lease_duration: if this process is killed, its slots become free after this many seconds.
        strict: whether to raise an error if none of the limits exists.
        holder: the holder of the slots, with `type` and `id`; the default is the current run.
        raise_on_lease_renewal_failure: whether the block is interrupted when its slots are lost
            (the process was stopped for longer than the lease); the default is `strict`.

    Raises:
        AcquireConcurrencySlotTimeoutError: the slots did not become free in time.
        ConcurrencySlotAcquisitionError: the limits do not exist (`strict`), have too few slots, or
            `max_retries` retries failed.
        ConcurrencyLeaseLost: the slots were lost.
    """
    wanted = as_names(names)
    if not wanted:
        yield
        return
    request = Request(
        wanted, occupy, "concurrency", timeout_seconds, max_retries, float(lease_duration), holder
    )
    found = request.take()
    check_found(found, wanted, strict)
    lease = request.lease(found)
    if lease is None:
        yield
        return
    try:
        if strict if raise_on_lease_renewal_failure is None else raise_on_lease_renewal_failure:
            with _interrupted_when_lost(lease):
                yield
        else:
            warn_when_lost(lease)
            yield
    finally:
        lease.release()


def rate_limit(
    names: str | list[str],
    occupy: int = 1,
    timeout_seconds: float | None = None,
    strict: bool = False,
) -> None:
    """Wait until slots of rate limits are free, and acquire them; they become free again by decay.

    Args:
        names: the limits; limits that do not exist or are inactive are ignored.
        occupy: the number of slots of each limit.
        timeout_seconds: how long to wait at most; None: no limit.
        strict: whether to raise an error if none of the limits exists.

    Raises:
        AcquireConcurrencySlotTimeoutError: the slots did not become free in time.
        ConcurrencySlotAcquisitionError: the limits do not exist (`strict`), have too few slots, or
            have no slot decay.
    """
    wanted = as_names(names)
    if wanted:
        found = Request(wanted, occupy, "rate_limit", timeout_seconds).take()
        check_found(found, wanted, strict)


class _Interruption(BaseException):
    """Raised asynchronously in the thread whose slots were lost."""


@contextmanager
def _interrupted_when_lost(lease: Lease) -> Iterator[None]:
    """A block that ends with ConcurrencyLeaseLost at the next Python instruction after the lease was lost."""
    import ctypes

    thread, lock, ended = threading.get_ident(), threading.Lock(), False

    def interrupt() -> None:
        with lock:
            if not ended:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread), ctypes.py_object(_Interruption)
                )

    lease.on_lost = interrupt
    try:
        yield
    except _Interruption:
        raise lost(lease) from None
    finally:
        with lock:
            ended = True
