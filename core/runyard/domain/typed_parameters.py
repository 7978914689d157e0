"""Parameters of a run as a person types them: texts, which the flow's schema tells how to read."""

from __future__ import annotations

import json
import re
from string import Formatter
from typing import TYPE_CHECKING, Any

from runyard.base.errors import InvalidInput
from runyard.domain.parameter_schemas import Typed, fitted_all

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Of a format: a width that fills the memory, or one that is itself filled in.
_TOO_WIDE = re.compile(r"\d{4}|{")


def read_parameters(
    texts: Mapping[str, str], whole: str | None, schema: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The values of parameters that were typed; of both forms, `texts` win.

    Args:
        texts: by parameter; each is JSON, or text where it is none.
        whole: a JSON object.
        schema: the flow's parameter schema: a value of a text parameter stays text, and one of a decimal
            keeps every digit. None: not known yet, see Returns.

    Returns:
        Values as JSON has them; NaN and the infinities are texts, which a flow reads as numbers. Without a
        schema numbers are `Typed`, for `fitted` to make them so later.

    Raises:
        InvalidInput: `whole` is not a JSON object.
    """
    values = read_object(whole, "--params", Typed) if whole is not None else {}
    properties = (schema or {}).get("properties") or {}
    for name, text in texts.items():
        kinds = _kinds(properties.get(name, {}))
        plain = kinds == {"string"} or (kinds == {"string", "null"} and text != "null")
        values[name] = text if plain else _value(text)
    return values if schema is None else fitted_all(values, schema)


def read_object(text: str, option: str, number: Callable[[str], Any] | None = None) -> dict[str, Any]:
    """The mapping that a JSON text holds.

    Args:
        option: the command's option that gave the text, for errors.
        number: makes the value of a number with a fraction, or of NaN; by default `float`.

    Raises:
        InvalidInput: it is not valid JSON, or not an object.
    """
    try:
        value = json.loads(text, parse_float=number, parse_constant=number)
    except RecursionError:
        raise InvalidInput(f"{option} is nested too deep") from None
    except ValueError as error:
        raise InvalidInput(f"{option} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{option} must be a JSON object, such as '{{\"x\": 1}}'")
    return value


def fill_name(template: str, parameters: Mapping[str, Any]) -> str:
    """The name of a run, with each `{parameter}` in it replaced.

    Raises:
        InvalidInput: it names something that is not a parameter, or its format is invalid.
    """
    try:
        for _, _, form, _ in Formatter().parse(template):
            if form and _TOO_WIDE.search(form):
                raise ValueError(f"the format {form!r} is too wide")
        return template.format(**parameters)
    except (KeyError, IndexError, ValueError, AttributeError, TypeError) as error:
        raise InvalidInput(f"the run name {template!r} cannot be filled in: {error}") from None


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_float=Typed, parse_constant=Typed)
    except (ValueError, RecursionError):
        return text


def _kinds(schema: Mapping[str, Any]) -> set[str | None]:
    """The JSON types that a property may have."""
    return {choice.get("type") for choice in schema.get("anyOf") or [schema]}
