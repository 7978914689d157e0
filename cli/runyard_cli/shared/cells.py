"""Cells of lists: moments of plain rows, slots, columns within a section of `inspect`; names in messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base.texts import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

# As many rows as an operation may return.
ALL = 1_000_000
# How many names a message holds.
_NAMES = 5


def moment(microseconds: int | None) -> datetime | None:
    """The moment of a plain row.

    Args:
        microseconds: since 1970; None for no moment.
    """
    if microseconds is None:
        return None
    from runyard.base import clock

    return clock.from_us(microseconds)


def of_limit(used: int, limit: int | None) -> str:
    """How many slots are in use: `2 of 4`, or `2` without a limit."""
    return f"{used}" if limit is None else f"{used} of {limit}"


def aligned(rows: Iterable[Sequence[object]]) -> list[str]:
    """Rows as lines of columns, for a section of `inspect`.

    Args:
        rows: their cells; None is an empty cell.
    """
    cells = [["" if cell is None else visible(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]


def some(names: Sequence[str]) -> str:
    """Names within a message: the first ones, and how many more there are."""
    shown = ", ".join(names[:_NAMES])
    return f"{shown} and {len(names) - _NAMES} more" if len(names) > _NAMES else shown
