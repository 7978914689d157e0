"""Arithmetic of concurrency limits: a limit of None is no limit, and 0 lets nothing start."""

from __future__ import annotations


def free(limit: int | None, used: int) -> int | None:
    """How many slots are left.

    Args:
        limit: how many there are; None for any number.
        used: how many live leases occupy one. It may exceed a limit that was lowered meanwhile.

    Returns:
        At least 0, or None where there is no limit.
    """
    return None if limit is None else max(0, limit - used)


def least(*numbers: int | None) -> int | None:
    """The smallest of several numbers of free slots; None where none of them is limited."""
    return min((number for number in numbers if number is not None), default=None)
