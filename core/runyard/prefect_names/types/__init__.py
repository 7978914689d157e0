"""The names of `prefect.types` that scripts use: annotations for parameters and blocks."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, Strict

from runyard.blocks.fields import SecretDict
from runyard.operations.schemas import Time as DateTime

__all__ = [
    "BANNED_CHARACTERS",
    "MAX_VARIABLE_NAME_LENGTH",
    "MAX_VARIABLE_VALUE_LENGTH",
    "Date",
    "DateTime",
    "KeyValueLabels",
    "KeyValueLabelsField",
    "ListOfNonEmptyStrings",
    "LogLevel",
    "Name",
    "NameOrEmpty",
    "NonEmptyishName",
    "NonNegativeFloat",
    "NonNegativeInteger",
    "PositiveInteger",
    "PositiveInterval",
    "SecretDict",
    "StrictVariableValue",
    "TaskRetryDelaySeconds",
    "TimeZone",
]

Date = date
PositiveInteger = Annotated[int, Field(gt=0)]
NonNegativeInteger = Annotated[int, Field(ge=0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
PositiveInterval = Annotated[timedelta, Field(gt=timedelta(0))]
StrictVariableValue = str | int | float | bool | None | dict[str, Any] | list[Any]

MAX_VARIABLE_NAME_LENGTH = 255
MAX_VARIABLE_VALUE_LENGTH = 5000

BANNED_CHARACTERS = ["/", "%", "&", ">", "<"]
Name = Annotated[str, Field(pattern=r"^[^/%&><]+$")]
NameOrEmpty = Annotated[str, Field(pattern=r"^[^/%&><]*$")]


def _is_more_than_blanks(value: str) -> str:
    if not value.strip("' \""):
        raise ValueError("a name cannot be empty")
    return value


NonEmptyishName = Annotated[Name, AfterValidator(_is_more_than_blanks)]


def _is_zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"unknown time zone {value!r}")
    return value


TimeZone = Annotated[str, AfterValidator(_is_zone)]


def _non_empty(value: Any) -> Any:
    return [text for item in value if (text := str(item)).strip()] if isinstance(value, list) else value


ListOfNonEmptyStrings = Annotated[list[str], BeforeValidator(_non_empty)]


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)]


def _or_empty(value: Any) -> Any:
    return {} if value is None else value


KeyValueLabels = Annotated[
    dict[str, Annotated[bool, Strict()] | Annotated[int, Strict()] | Annotated[float, Strict()] | str],
    BeforeValidator(_or_empty),
]
KeyValueLabelsField = Annotated[KeyValueLabels, Field(default_factory=dict)]


def _delays(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    delays = [float(part) for part in value.split(",") if part.strip()]
    return None if not delays else delays[0] if len(delays) == 1 else delays


TaskRetryDelaySeconds = Annotated[int | float | list[float] | None, BeforeValidator(_delays)]
