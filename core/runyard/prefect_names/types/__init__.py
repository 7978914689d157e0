"""What scripts take from `prefect.types`: annotations for parameters and blocks."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from runyard.blocks.fields import SecretDict
from runyard.operations.schemas import Time as DateTime

__all__ = [
    "DateTime",
    "NonNegativeFloat",
    "NonNegativeInteger",
    "PositiveInteger",
    "PositiveInterval",
    "SecretDict",
    "StrictVariableValue",
]

PositiveInteger = Annotated[int, Field(gt=0)]
NonNegativeInteger = Annotated[int, Field(ge=0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
PositiveInterval = Annotated[timedelta, Field(gt=timedelta(0))]
StrictVariableValue = str | int | float | bool | None | dict[str, Any] | list[Any]
