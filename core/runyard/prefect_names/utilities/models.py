"""The names of `prefect.utilities.pydantic` that scripts use."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, SecretBytes, SecretStr, TypeAdapter

__all__ = ["get_class_fields_only", "handle_secret_render", "parse_obj_as"]


def parse_obj_as(type_: Any, data: Any, mode: str = "python") -> Any:
    """Convert data to a value of a type.

    Args:
        mode: the kind of data: `python` objects, `json` text or bytes, or `strings`.

    Raises:
        pydantic.ValidationError: the data are invalid.
    """
    adapter = TypeAdapter(type_)
    ways = {
        "python": adapter.validate_python,
        "json": adapter.validate_json,
        "strings": adapter.validate_strings,
    }
    return ways[mode](data)


def get_class_fields_only(model: type[BaseModel]) -> set[str]:
    """The fields that a model declares itself."""
    return set(model.__annotations__) & set(model.model_fields)


def handle_secret_render(value: Any, context: dict[str, Any]) -> Any:
    """A value for a dump: secrets in clear text if the context has `include_secrets`, else as stars."""
    if isinstance(value, BaseModel):
        return value.model_dump(context=context)
    if not isinstance(value, SecretStr | SecretBytes):
        return value
    return value.get_secret_value() if context.get("include_secrets", False) else "*" * 8
