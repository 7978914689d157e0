"""Arithmetic of concurrency limits: None means no limit, 0 lets nothing start."""

from __future__ import annotations


def free(limit: int | None, used: int) -> int | None:
    """The number of free slots.

    Args:
        limit: the number of slots; None: no limit.
        used: the number of live leases. It may exceed a limit that was lowered meanwhile.

    Returns:
        At least 0, or None without a limit.
    """
    return None if limit is None else max(0, limit - used)


def least(*numbers: int | None) -> int | None:
    """The smallest of several numbers of free slots; None if none of them is limited."""
    return min((number for number in numbers if number is not None), default=None)
