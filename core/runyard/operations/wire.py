"""How operations travel: their arguments to JSON, and the answer back to what they return."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError, to_jsonable_python

from runyard.base.errors import InvalidInput
from runyard.operations.operation import Answer

if TYPE_CHECKING:
    from runyard.operations.operation import Operation


def encode(value: Any) -> Any:
    """JSON-able form of a body; of a model, only the fields that were set.

    Raises:
        InvalidInput: JSON cannot hold a value, or it is nested too deep.
    """
    try:
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json", exclude_unset=True)
        if isinstance(value, list):
            return [encode(item) for item in value]
        return to_jsonable_python(value)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"a value cannot be sent: it is nested too deep, or no JSON ({error})") from error


@lru_cache(maxsize=512)
def hints(operation: Operation[..., Any]) -> dict[str, Any]:
    """The types of an operation's arguments and of its result (`return`)."""
    found = get_type_hints(operation.function)
    if get_origin(found["return"]) is Answer:
        (found["return"],) = get_args(found["return"])
    return found


@lru_cache(maxsize=512)
def _result_adapter(operation: Operation[..., Any]) -> TypeAdapter[Any]:
    return TypeAdapter(hints(operation)["return"])


def encode_result(operation: Operation[..., Any], result: Any) -> bytes:
    """The JSON that the API answers for what the operation returned."""
    adapter = _result_adapter(operation)
    try:
        return adapter.dump_json(result, by_alias=True)
    except PydanticSerializationError:
        # A lone surrogate in a JSON value, which JSON can spell and UTF-8 cannot hold.
        return json.dumps(adapter.dump_python(result, mode="json", by_alias=True)).encode()


def decode_result(operation: Operation[..., Any], answer: Any) -> Any:
    """What the operation returned, from the JSON that the API answered."""
    return _result_adapter(operation).validate_python(answer)
