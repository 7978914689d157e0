"""Slots of limits by name, for any code: `concurrency.sync` and `concurrency.asyncio`."""

from __future__ import annotations

from runyard.base.errors import RunyardError


class ConcurrencySlotAcquisitionError(RunyardError):
    """Slots cannot be had: the limit does not exist, has fewer, or was asked for often enough."""


class AcquireConcurrencySlotTimeoutError(RunyardError, TimeoutError):
    """No slots were free in the time given."""


class ConcurrencyLeaseLost(RunyardError):
    """Slots that are held were lost: their lease could not be renewed in time, and others took them."""
