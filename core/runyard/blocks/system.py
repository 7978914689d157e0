"""The basic blocks: secrets, JSON, strings, times."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import Field, SecretStr, field_validator
from pydantic import Secret as PydanticSecret

from runyard.base import redaction
from runyard.blocks.core import Block

T = TypeVar("T")


class Secret(Block, Generic[T]):
    """A secret value: stored encrypted, and shown as stars."""

    _block_type_name: ClassVar[str | None] = "Secret"
    _block_type_slug: ClassVar[str | None] = "secret"

    # The schema has the format password, so that no interface shows it.
    value: PydanticSecret[Any] = Field(json_schema_extra={"format": "password", "writeOnly": True})

    @field_validator("value", mode="before")
    @classmethod
    def _wrapped(cls, value: Any) -> Any:
        if isinstance(value, (SecretStr, PydanticSecret)):
            value = value.get_secret_value()
        return PydanticSecret(value)

    def get(self) -> Any:
        """The secret in clear text; a text that is a JSON object or list is parsed."""
        value = self.value.get_secret_value()
        redaction.register(value)
        if isinstance(value, str):
            try:
                found = json.loads(value)
            except ValueError:
                return value
            # A number may be a key of digits, so it stays a text.
            if isinstance(found, (dict, list)):
                redaction.register(found)
                return found
        return value


class JSON(Block):
    """Any value that JSON can hold."""

    _block_type_name: ClassVar[str | None] = "JSON"

    value: Any


class String(Block):
    """A text."""

    _block_type_name: ClassVar[str | None] = "String"

    value: str


class DateTime(Block):
    """A time."""

    _block_type_name: ClassVar[str | None] = "Date Time"
    _block_type_slug: ClassVar[str | None] = "date-time"

    value: datetime
