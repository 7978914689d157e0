"""Values as the JSON text of a column. Without pydantic: on the start-up path of every flow."""

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
        InvalidInput: it is nested so deep that the API could not answer with it.
    """
    return shallow(value, lambda: json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def shallow(value: Any, write: Callable[[], str]) -> str:
    """The JSON of a value that `write` gives, if the API can answer with it later.

    Raises:
        InvalidInput: it is nested too deep.
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
