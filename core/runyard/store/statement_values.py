"""Values on their way into a statement: how many there may be, and text that no database takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.errors import InvalidInput
from runyard.base.texts import storable

# PostgreSQL takes 65,535; in SQLite finding the names takes time by the square of their number.
MOST_VALUES = 10_000

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def refuse_too_many(values: Mapping[str, Any] | Sequence[Any]) -> None:
    """Raise InvalidInput: a statement has more than `MOST_VALUES` values, as of a filter with a long list."""
    raise InvalidInput(
        f"{len(values):,} values in one request; the maximum is {MOST_VALUES:,}: send several requests"
    )


def storable_values(values: Mapping[str, Any] | Sequence[Any]) -> Any:
    """The values of a statement with storable text; of the same kind as given."""
    if hasattr(values, "items"):
        return {key: storable(value) if isinstance(value, str) else value for key, value in values.items()}
    return [storable(value) if isinstance(value, str) else value for value in values]
