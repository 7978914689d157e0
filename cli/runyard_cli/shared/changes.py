"""Changing many objects, one call each, with a bar on a terminal when there are many."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BAR_FROM = 50
_Item = TypeVar("_Item")


def change_each(items: Sequence[_Item], label: str, change: Callable[[_Item], object]) -> None:
    """Call a function for each item.

    Args:
        items: what is changed.
        label: stands before the bar, such as `Pausing`.
        change: makes one change.
    """
    if len(items) < _BAR_FROM or not sys.stderr.isatty():
        for item in items:
            change(item)
        return
    with typer.progressbar(items, label=label, file=sys.stderr) as bar:
        for item in bar:
            change(item)


def names(found: Sequence[str], most: int = 5) -> str:
    """Some names and how many others there are: `a, b and 310 more`.

    Args:
        found: the names.
        most: how many are shown.
    """
    if len(found) <= most + 1:
        return ", ".join(found)
    return f"{', '.join(found[:most])} and {len(found) - most:,} more"
