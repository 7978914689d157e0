"""`concurrency` and `rate_limit` for sync code: slots of limits by name, for any stretch of code."""

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
    """A block that holds slots of limits: of all of them, or it waits.

    Args:
        names: of the limits; those that do not exist, or are inactive, limit nothing.
        occupy: how many slots of each.
        timeout_seconds: how long to wait at most; None: as long as it takes.
        max_retries: how many more times to ask at most.
        lease_duration: how many seconds after this process was killed its slots are free again.
        strict: whether it is an error that none of the limits exists.
        holder: who holds the slots, with `type` and `id`; by default the run around the block.
        raise_on_lease_renewal_failure: whether the block is interrupted when its slots were lost
            (the process was stopped for longer than the lease); by default as `strict`.

    Raises:
        AcquireConcurrencySlotTimeoutError: the slots were not free in time.
        ConcurrencySlotAcquisitionError: the limits do not exist (`strict`), have fewer slots, or were
            asked `max_retries` times.
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
    """Wait until slots of limits whose slots decay are free, and take them for good.

    Args:
        names: of the limits; those that do not exist, or are inactive, limit nothing.
        occupy: how many slots of each.
        timeout_seconds: how long to wait at most; None: as long as it takes.
        strict: whether it is an error that none of the limits exists.

    Raises:
        AcquireConcurrencySlotTimeoutError: the slots were not free in time.
        ConcurrencySlotAcquisitionError: the limits do not exist (`strict`), have fewer slots, or none
            that decay.
    """
    wanted = as_names(names)
    if wanted:
        found = Request(wanted, occupy, "rate_limit", timeout_seconds).take()
        check_found(found, wanted, strict)


class _Interruption(BaseException):
    """Set from outside in the thread whose slots were lost."""


@contextmanager
def _interrupted_when_lost(lease: Lease) -> Iterator[None]:
    """A block that ends with ConcurrencyLeaseLost, at the next Python instruction, once the lease is."""
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
