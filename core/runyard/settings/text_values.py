"""Convert values of settings from the environment and from files."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TRUE = frozenset(("1", "true", "yes", "on"))
_FALSE = frozenset(("0", "false", "no", "off", ""))


def converted(value: Any, kind: type) -> Any:
    """Convert `value` to a text, number or boolean; None if it is invalid."""
    if kind is str:
        # In TOML, a list is written instead of a comma-separated text.
        parts = value if isinstance(value, list) else [value]
        if all(isinstance(part, (str, int, float)) for part in parts):
            return ",".join(str(part) for part in parts).strip()
        return None
    word = str(value).strip()
    if kind is bool:
        return True if word.lower() in _TRUE else False if word.lower() in _FALSE else None
    try:
        return kind(word)
    except ValueError:
        return None
