"""JSON text of columns. Without pydantic, because every flow imports this at its start."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base import texts
from runyard.base.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable


def to_json(value: Any) -> str:
    """The compact JSON of a column.

    Raises:
        InvalidInput: the value is nested too deep for a response of the API.
    """
    return shallow(value, lambda: json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def shallow(value: Any, write: Callable[[], str]) -> str:
    """The JSON that `write` returns, after a check that the API can return the value later.

    Raises:
        InvalidInput: the value is nested too deep, or cannot be written as JSON.
    """
    try:
        text = write()
        deep = texts.is_too_deep(value, text)
    except RecursionError:
        deep = True
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"a value cannot be written as JSON: {error}") from error
    if deep:
        raise InvalidInput(f"a value is nested more than {texts.DEPTH} deep, which cannot be stored")
    return text
