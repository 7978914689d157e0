"""The error for an unknown work pool: the pool that was probably meant, and how to create one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base.errors import NotFound
from runyard.base.quoting import command_of
from runyard.base.suggestions import closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.store.database import Transaction

# The most pools that the error lists.
_SHOWN = 5


def no_pool(tx: Transaction, name: str) -> NotFound:
    """The error for a work pool that the database does not have.

    Args:
        name: the unknown name.

    Returns:
        The error, to be raised.
    """
    return missing_pool(name, [row["name"] for row in tx.all("SELECT name FROM work_pools LIMIT 1000")])


def missing_pool(name: str, known: Sequence[str]) -> NotFound:
    """The error for an unknown work pool.

    Args:
        name: the unknown name.
        known: the names of the work pools.

    Returns:
        The error, to be raised.
    """
    command = command_of("runyard work-pool create", name, options="--type process")
    by_folded = {each.casefold(): each for each in known}
    close = closest(name.casefold(), by_folded)
    if close is not None:
        hint = f"did you mean {by_folded[close]!r}? To create {name!r}: {command}"
    elif known and len(known) <= _SHOWN:
        hint = f"there are: {', '.join(sorted(known))}. To create it: {command}"
    else:
        hint = f"create it: {command}"
    return NotFound(f"work pool {name!r} not found; {hint}")
