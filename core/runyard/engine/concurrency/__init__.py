"""Acquires slots of named concurrency limits, in any code: `concurrency.sync` and `concurrency.asyncio`."""

from __future__ import annotations

from runyard.base.errors import RunyardError


class ConcurrencySlotAcquisitionError(RunyardError):
    """Slots cannot be acquired: the limit does not exist, has too few slots, or all retries failed."""


class AcquireConcurrencySlotTimeoutError(RunyardError, TimeoutError):
    """No slots became free within the timeout."""


class ConcurrencyLeaseLost(RunyardError):
    """Held slots were lost: their lease could not be renewed in time, and others acquired them."""
