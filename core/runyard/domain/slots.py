"""Arithmetic of the slots of named limits: which are used, which decay, how long to wait."""

from __future__ import annotations

# The bounds of the wait that a client is told.
LONGEST_WAIT_SECONDS = 30.0
SHORTEST_WAIT_SECONDS = 0.05
# A shorter occupancy would mean that a slot is always free.
LEAST_OCCUPANCY_SECONDS = 0.1
# Sums of decaying slots are floats: a value slightly above a whole number counts as that number.
_HAIR = 1e-6


def decayed(taken: float, taken_at_us: int, now_us: int, per_second: float) -> float:
    """How many of the acquired slots are still used.

    Args:
        taken: how many were used at `taken_at_us` (microseconds since 1970).
        per_second: how many decay per second.

    Returns:
        At least 0, and at most `taken`: a clock that went back changes nothing.
    """
    seconds = max(0, now_us - taken_at_us) / 1e6
    return max(0.0, taken - seconds * per_second)


def fits(limit: int, used: float, wanted: int) -> bool:
    """Whether `wanted` slots are free if `used` of `limit` are used."""
    return used + wanted <= limit + _HAIR


def seconds_until_decayed(limit: int, used: float, wanted: int, per_second: float) -> float:
    """How long until `wanted` slots are free if no process acquires any meanwhile; 0 if free now."""
    return max(0.0, (used + wanted - limit) / per_second)


def seconds_until_expired(
    limit: int, wanted: int, leases: list[tuple[int, int | None]], now_us: int
) -> float | None:
    """How long until enough leases have expired, if none is renewed or released.

    Args:
        leases: the slots and the expiry (None: never) of each lease.

    Returns:
        Seconds, or None if that never frees enough.
    """
    missing = sum(slots for slots, _ in leases) + wanted - limit
    ending = sorted((expires, slots) for slots, expires in leases if expires is not None)
    if missing <= 0:
        return 0.0
    for expires, slots in ending:
        missing -= slots
        if missing <= 0:
            return max(0.0, (expires - now_us) / 1e6)
    return None


def seconds_until_returned(
    held_since_us: list[int], now_us: int, average_seconds: float | None = None
) -> float:
    """Estimate when the next holder releases its slots.

    Args:
        average_seconds: how long slots were held so far, if known; with several holders, the first one
            releases correspondingly earlier. If unknown, holders keep slots as long again as until now.
    """
    if not held_since_us:
        return SHORTEST_WAIT_SECONDS
    if average_seconds is not None:
        return clamped(average_seconds / len(held_since_us))
    mean = sum(max(0, now_us - since) for since in held_since_us) / len(held_since_us) / 1e6
    return clamped(mean)


def averaged(average: float | None, seconds: float, limit: int) -> float:
    """Update the average with one more holder, over about twice as many holders as the limit has slots."""
    seconds = max(seconds, LEAST_OCCUPANCY_SECONDS)
    return seconds if average is None else average + (seconds - average) / (2 * max(limit, 1))


def clamped(seconds: float) -> float:
    """`seconds`, limited to the shortest and the longest wait."""
    return min(max(seconds, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
