"""Arithmetic of the slots of limits by name: what is taken, what comes back by itself, how long to wait."""

from __future__ import annotations

# An answer to somebody who waits: no longer than this between two looks, and no shorter.
LONGEST_WAIT_SECONDS = 30.0
SHORTEST_WAIT_SECONDS = 0.05
# Shorter ones would say that a slot is free all the time.
LEAST_OCCUPANCY_SECONDS = 0.1
# Sums of decaying slots are of floats: what is a hair above a whole number is that number.
_HAIR = 1e-6


def decayed(taken: float, taken_at_us: int, now_us: int, per_second: float) -> float:
    """How many of the slots that were taken are still taken.

    Args:
        taken: how many were at `taken_at_us` (microseconds since 1970).
        per_second: how many come back each second.

    Returns:
        At least 0, and never more than `taken`: a clock that went back gives nothing and takes nothing.
    """
    seconds = max(0, now_us - taken_at_us) / 1e6
    return max(0.0, taken - seconds * per_second)


def fits(limit: int, used: float, wanted: int) -> bool:
    """Whether `wanted` slots are free where `used` of `limit` are taken."""
    return used + wanted <= limit + _HAIR


def seconds_until_decayed(limit: int, used: float, wanted: int, per_second: float) -> float:
    """How long until `wanted` slots are free, if nobody takes any meanwhile; 0 where they are."""
    return max(0.0, (used + wanted - limit) / per_second)


def seconds_until_expired(
    limit: int, wanted: int, leases: list[tuple[int, int | None]], now_us: int
) -> float | None:
    """How long until enough leases have run out, should nobody renew one or give it back.

    Args:
        leases: the slots and the expiry (None: never) of each lease that holds some.

    Returns:
        Seconds, or None where that alone never frees enough.
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
    """A guess at when the next holder is done.

    Args:
        average_seconds: how long slots were held so far, where that is known: of several holders one is done
            so much earlier. Else they will be as long as they have been.
    """
    if not held_since_us:
        return SHORTEST_WAIT_SECONDS
    if average_seconds is not None:
        return clamped(average_seconds / len(held_since_us))
    mean = sum(max(0, now_us - since) for since in held_since_us) / len(held_since_us) / 1e6
    return clamped(mean)


def averaged(average: float | None, seconds: float, limit: int) -> float:
    """The average with one more holder counted, over about as many of them as the limit has slots, twice."""
    seconds = max(seconds, LEAST_OCCUPANCY_SECONDS)
    return seconds if average is None else average + (seconds - average) / (2 * max(limit, 1))


def clamped(seconds: float) -> float:
    """`seconds`, brought between the shortest and the longest wait."""
    return min(max(seconds, SHORTEST_WAIT_SECONDS), LONGEST_WAIT_SECONDS)
