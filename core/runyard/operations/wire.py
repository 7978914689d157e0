"""Encodes the arguments of operations as JSON, and decodes their responses."""

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
    """Convert a body to values that JSON can represent. Of a model, only the set fields.

    Raises:
        InvalidInput: a value cannot be written as JSON, or is nested too deep.
    """
    try:
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json", exclude_unset=True)
        if isinstance(value, list):
            return [encode(item) for item in value]
        return to_jsonable_python(value)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"invalid value: it is nested too deep, or is not JSON ({error})") from error


@lru_cache(maxsize=512)
def hints(operation: Operation[..., Any]) -> dict[str, Any]:
    """The types of the arguments of an operation, and of its result (`return`)."""
    found = get_type_hints(operation.function)
    if get_origin(found["return"]) is Answer:
        (found["return"],) = get_args(found["return"])
    return found


@lru_cache(maxsize=512)
def _result_adapter(operation: Operation[..., Any]) -> TypeAdapter[Any]:
    return TypeAdapter(hints(operation)["return"])


def encode_result(operation: Operation[..., Any], result: Any) -> bytes:
    """Encode the result of an operation as the JSON of the response."""
    adapter = _result_adapter(operation)
    try:
        return adapter.dump_json(result, by_alias=True)
    except PydanticSerializationError:
        # A lone surrogate: JSON can write it as an escape, but UTF-8 cannot encode it.
        return json.dumps(adapter.dump_python(result, mode="json", by_alias=True)).encode()


def decode_result(operation: Operation[..., Any], answer: Any) -> Any:
    """Decode the result of an operation from the JSON of the response."""
    return _result_adapter(operation).validate_python(answer)
