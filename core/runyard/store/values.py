"""Values on their way into a statement: text that no database takes is replaced, whatever its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.texts import storable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def storable_values(values: Mapping[str, Any] | Sequence[Any]) -> Any:
    """The values of a statement with storable text; of the same kind as given."""
    if hasattr(values, "items"):
        return {key: storable(value) if isinstance(value, str) else value for key, value in values.items()}
    return [storable(value) if isinstance(value, str) else value for value in values]
