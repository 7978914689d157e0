"""Values of a statement: their maximum number, and text that no database can store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.errors import InvalidInput
from runyard.base.texts import storable

# PostgreSQL's limit is 65,535; SQLite resolves names in time quadratic in their number.
MOST_VALUES = 10_000

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def refuse_too_many(values: Mapping[str, Any] | Sequence[Any]) -> None:
    """Raise InvalidInput for a statement with more than `MOST_VALUES` values, as from a long filter."""
    raise InvalidInput(
        f"{len(values):,} values in one request; the maximum is {MOST_VALUES:,}: send several requests"
    )


def storable_values(values: Mapping[str, Any] | Sequence[Any]) -> Any:
    """The values of a statement with storable text, in the same container type."""
    if hasattr(values, "items"):
        return {key: storable(value) if isinstance(value, str) else value for key, value in values.items()}
    return [storable(value) if isinstance(value, str) else value for value in values]
