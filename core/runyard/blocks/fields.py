"""Fields of blocks: secret dictionaries, the paths of secret fields, and values as plain data."""

from __future__ import annotations

from typing import Any

from pydantic import (
    BaseModel,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
)
from pydantic_core import CoreSchema, core_schema

from runyard.base.redaction import STARS


class SecretDict(Secret[dict[str, Any]]):
    """A dictionary whose values are secret; `get_secret_value()` returns it."""

    def _display(self) -> str:
        return STARS

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else cls(dict(value)),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda value: dict.fromkeys(value.get_secret_value(), STARS)
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "object", "format": "secret-dict", "writeOnly": True}


def secret_fields(schema: dict[str, Any]) -> list[str]:
    """The paths of the secret fields in a model's JSON schema; `.*` means every value of a dictionary."""
    return sorted(set(_secrets_in(schema, schema.get("$defs") or {}, "", 0)))


def _secrets_in(schema: Any, definitions: dict[str, Any], path: str, depth: int) -> list[str]:
    if not isinstance(schema, dict) or depth > 20:
        return []
    if schema.get("format") == "secret-dict":
        return [f"{path}.*"]
    if schema.get("writeOnly") and schema.get("format") == "password":
        return [path]
    found: list[str] = []
    if "$ref" in schema:
        inner = definitions.get(schema["$ref"].rpartition("/")[2])
        found += _secrets_in(inner, definitions, path, depth + 1)
    for name, field in (schema.get("properties") or {}).items():
        found += _secrets_in(field, definitions, f"{path}.{name}" if path else name, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        for option in schema.get(key) or ():
            found += _secrets_in(option, definitions, path, depth + 1)
    if "items" in schema:
        found += _secrets_in(schema["items"], definitions, path, depth + 1)
    return found


def revealed(value: Any) -> Any:
    """Convert a value to JSON data with its secrets in clear text: only for the encrypted store."""
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        return revealed(value.get_secret_value())
    if isinstance(value, BaseModel):
        return {name: revealed(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): revealed(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [revealed(item) for item in value]
    from pydantic_core import to_jsonable_python

    return to_jsonable_python(value)


def secrets_in(value: Any) -> list[Any]:
    """The secret values inside a model, in clear text."""
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        return [value.get_secret_value()]
    if isinstance(value, BaseModel):
        return [one for name in type(value).model_fields for one in secrets_in(getattr(value, name))]
    if isinstance(value, dict):
        return [one for item in value.values() for one in secrets_in(item)]
    if isinstance(value, (list, tuple, set, frozenset)):
        return [one for item in value for one in secrets_in(item)]
    return []


def fitting(annotation: Any, value: Any) -> Any:
    """Convert a value to a field's type; if that fails, keep it, because secret values must stay secret."""
    try:
        return TypeAdapter(annotation).validate_python(value)
    except ValueError:
        return value


def inside(value: Any, path: list[str]) -> Any:
    """The value at a path such as `["steps", "0", "credentials"]` of a model, or None."""
    for part in path:
        if isinstance(value, (list, tuple)):
            value = value[int(part)] if part.isdecimal() and int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else getattr(value, part, None)
    return value
