"""The conditions of the partial indexes over states, which the filters by state repeat.

SQLite uses a partial index only if its condition follows, term by term, from the query's. They are written
with = and <>: SQLite makes a list of more than two values a table each time a row is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Of runs that did not end well; of those and of runs that wait.
ENDED = ("FAILED", "CRASHED", "CANCELLED")
NOT_OPEN = ("SCHEDULED", *ENDED)
# Of all runs except those whose state has one of these names.
NAMED = ("Completed",)
NAMED_OFTEN = ("Completed", "Running", "Pending", "Scheduled", "Late")
# Of the index flow_runs_open, in its first form.
_OPEN = ("PENDING", "RUNNING", "PAUSED", "CANCELLING")


def one_of(column: str, values: Iterable[str]) -> str:
    """The condition that a column has one of some values."""
    tests = [f"{column} = '{value}'" for value in values]
    return f"({' OR '.join(tests)})"


def none_of(column: str, values: Iterable[str]) -> str:
    """The condition that a column has none of some values."""
    return " AND ".join(f"{column} <> '{value}'" for value in values)


def of_types(column: str, types: Iterable[str]) -> list[str]:
    """The conditions of indexes that cover all of some state types."""
    wanted = set(types)
    found = [one_of(column, part) for part in (ENDED, NOT_OPEN) if wanted <= set(part)]
    if wanted <= set(_OPEN):
        listed = ", ".join(f"'{each}'" for each in _OPEN)
        found.append(f"{column} IN ({listed})")
    return found


def of_names(column: str, names: Iterable[str]) -> list[str]:
    """The conditions of indexes that cover all of some state names."""
    wanted = set(names)
    return [none_of(column, part) for part in (NAMED, NAMED_OFTEN) if not wanted & set(part)]
