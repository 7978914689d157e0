"""How operations travel: their arguments to JSON, and the answer back to what they return."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import TypeAdapter
from pydantic_core import to_jsonable_python

if TYPE_CHECKING:
    from runyard.operations.base import Operation


def encode(value: Any) -> Any:
    """JSON-able form of a body; of a model, only the fields that were set."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True)
    if isinstance(value, list):
        return [encode(item) for item in value]
    return to_jsonable_python(value)


@lru_cache(maxsize=512)
def hints(operation: Operation[..., Any]) -> dict[str, Any]:
    """The types of an operation's arguments and of its result (`return`)."""
    return get_type_hints(operation.function)


@lru_cache(maxsize=512)
def _result_adapter(operation: Operation[..., Any]) -> TypeAdapter[Any]:
    return TypeAdapter(hints(operation)["return"])


def encode_result(operation: Operation[..., Any], result: Any) -> bytes:
    """The JSON that the API answers for what the operation returned."""
    return _result_adapter(operation).dump_json(result, by_alias=True)


def decode_result(operation: Operation[..., Any], answer: Any) -> Any:
    """What the operation returned, from the JSON that the API answered."""
    return _result_adapter(operation).validate_python(answer)
