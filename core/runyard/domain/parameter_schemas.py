"""Checking a run's parameters against the JSON schema of its flow: the part of it that pydantic writes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from runyard.base.errors import InvalidInput, ParameterError
from runyard.base.suggestions import did_you_mean

_PLAIN = object()
NOWHERE: dict[str, Any] = {}

Problem = tuple[str, str]  # where, such as `config.retries`, and what is wrong there

# JSON has no such numbers; as texts every flow reads them.
NOT_FINITE: tuple[str, ...] = ("NaN", "Infinity", "-Infinity")

TYPES: dict[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and value.is_integer())
    ),
    "number": lambda value: (
        (isinstance(value, (int, float)) and not isinstance(value, bool)) or value in NOT_FINITE
    ),
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, (list, tuple)),
    "object": lambda value: isinstance(value, Mapping),
}
_WORDS = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "array": "a list",
    "object": "a mapping",
}


def _read_date(text: str) -> date:
    """A date, or a moment at midnight, which pydantic takes for one."""
    if len(text) <= len("2026-01-01"):
        return date.fromisoformat(text)
    moment = datetime.fromisoformat(text)
    if moment.time() != time():
        raise ValueError("not at midnight")
    return moment.date()


def _read_decimal(text: str) -> Decimal:
    try:
        return Decimal(text.strip())
    except ArithmeticError:
        raise ValueError(text) from None


_FORMATS: dict[str, Callable[[str], Any]] = {
    "decimal": _read_decimal,
    "date-time": lambda text: datetime.fromisoformat(text.strip()),
    "date": lambda text: _read_date(text.strip()),
    "time": lambda text: time.fromisoformat(text.strip()),
    "uuid": UUID,
}


def check(
    parameters: Mapping[str, Any],
    schema: Mapping[str, Any] | None,
    flow: str = "the flow",
    complete: bool = True,
) -> None:
    """Refuse parameters that do not fit a flow's schema.

    Args:
        parameters: by name.
        schema: `parameter_openapi_schema` of a deployment; None or empty fits everything.
        flow: the flow's or deployment's name, for the message.
        complete: whether required parameters must be among them.

    Raises:
        ParameterError: naming the parameter, and what is wrong with it.
    """
    if not schema:
        return
    known = schema.get("properties") or {}
    check_names(parameters, schema, flow)
    for name in schema.get("required") or ():
        if complete and name not in parameters:
            raise ParameterError(f"parameter {name!r} of {flow} is required; give it with --param {name}=...")
    for name, value in parameters.items():
        problem = problem_with(value, known.get(name, {}), schema, name)
        if problem:
            where, what = problem
            raise ParameterError(f"parameter {where!r} of {flow} {what}")


def check_names(
    parameters: Mapping[str, Any], schema: Mapping[str, Any] | None, flow: str = "the flow"
) -> None:
    """Refuse parameters that a flow does not have; arguments as of `check`.

    Raises:
        ParameterError: naming the first one.
    """
    if not schema or schema.get("additionalProperties"):
        return
    known = schema.get("properties") or {}
    for name in parameters:
        if name not in known:
            raise ParameterError(f"{flow} has no parameter {name!r}{_guess(name, list(known))}")


def misfit(value: Any, schema: Mapping[str, Any], where: str, root: Any = None) -> str | None:
    """What is wrong with a value by a JSON schema: `input.count must be a number, not "x"`; or None.

    Args:
        root: the schema in which it stands, where that is another.
    """
    problem = problem_with(value, schema, root or schema, where)
    return " ".join(problem) if problem else None


def read_text(value: Any, schema: Any, root: Mapping[str, Any]) -> Any:
    """What a text says as JSON, where that fits a schema and the text does not: `false`, `60`, `["a"]`."""
    if not isinstance(value, str) or problem_with(value, schema, root, "") is None:
        return value
    try:
        read = json.loads(value)
    except ValueError:
        return value
    return value if problem_with(read, schema, root, "") else read


def hydrate(value: Any) -> Any:
    """A parameter as the API's form sends it, `{"__prefect_kind": "json", "value": ..}`, made plain.

    Raises:
        InvalidInput: the text is invalid JSON, or the kind is unknown.
    """
    if isinstance(value, Mapping):
        kind = value.get("__prefect_kind", _PLAIN)
        if kind is _PLAIN:
            return {key: hydrate(item) for key, item in value.items()}
        inner = hydrate(value.get("value"))
        if kind in (None, "none"):
            return inner
        if kind == "json":
            try:
                return json.loads(inner)
            except (TypeError, ValueError) as error:
                raise InvalidInput(f"a parameter of kind 'json' is no JSON: {error}") from None
        raise InvalidInput(f"parameters of kind {kind!r} are not supported; send the value itself")
    return [hydrate(item) for item in value] if isinstance(value, list) else value


class Typed(float):
    """A number as it was typed: `text` has every digit of it.

    Args:
        text: the number.
    """

    text: str

    def __new__(cls, text: str) -> Typed:
        """The nearest float."""
        made = super().__new__(cls, text)
        made.text = text
        return made


def fitted_all(parameters: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters by name, each `fitted`; `schema` is a deployment's `parameter_openapi_schema`."""
    known = schema.get("properties") or {}
    return {name: fitted(value, known.get(name, {}), schema) for name, value in parameters.items()}


def fitted(value: Any, schema: Any, root: Mapping[str, Any]) -> Any:
    """A parameter's value with each `Typed` number in it as its schema wants it.

    Where a decimal is wanted it is the text, which keeps every digit; NaN and the infinities are texts
    as well, since JSON has no numbers for them. Any other one is a plain float.
    """
    choices = list(_choices(schema, root, 0))
    if isinstance(value, Typed) and any(each.get("format") == "decimal" for each in choices):
        return value.text  # first: a decimal may be finite where the nearest float is not
    if isinstance(value, float) and value - value != 0:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Typed):
        return float(value)
    if isinstance(value, list):
        places = next((each for each in choices if each.get("type") == "array"), {})
        first = list(places.get("prefixItems") or ())
        items = places.get("items", {})
        return [fitted(item, first[at] if at < len(first) else items, root) for at, item in enumerate(value)]
    if isinstance(value, dict):
        places = next((each for each in choices if each.get("type") == "object"), {})
        known, others = places.get("properties") or {}, places.get("additionalProperties", {})
        return {name: fitted(item, known.get(name, others), root) for name, item in value.items()}
    return value


def _choices(schema: Any, root: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """A schema and the alternatives in it, references followed."""
    if not isinstance(schema, Mapping) or depth > 20:
        return
    yield schema
    if "$ref" in schema:
        yield from _choices(referred(schema["$ref"], root), root, depth + 1)
    for key in ("anyOf", "oneOf", "allOf"):
        for part in schema.get(key) or ():
            yield from _choices(part, root, depth + 1)


def _guess(name: str, known: list[str]) -> str:
    return did_you_mean(name, known, f"it has {', '.join(map(repr, known))}" if known else "it takes none")


def problem_with(value: Any, schema: Any, root: Mapping[str, Any], where: str) -> Problem | None:
    """The first thing wrong with a value, or None."""
    if not isinstance(schema, Mapping):
        return None if schema is not False else (where, "is not allowed")
    if "$ref" in schema:
        target = referred(schema["$ref"], root)
        if target is not schema and (problem := problem_with(value, target, root, where)):
            return problem
    for rule in (_type, _fixed, _combined, _number, _string, _array, _object):
        if problem := rule(value, schema, root, where):
            return problem
    return None


def referred(reference: Any, root: Mapping[str, Any]) -> Any:
    """What `#/definitions/Name` points at; anything that points nowhere allows everything."""
    found: Any = root
    for part in str(reference).removeprefix("#/").split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return NOWHERE if found is None else found


def _type(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Problem | None:
    wanted = schema.get("type")
    if wanted is None or (value is None and schema.get("nullable")):
        return None
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    if any(TYPES[name](value) for name in names if name in TYPES) or not set(names) & set(TYPES):
        return None
    return where, f"must be {_words(names)}, not {show(value)}"


def _fixed(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Problem | None:
    if "const" in schema and not _same(value, schema["const"]):
        return where, f"must be {show(schema['const'])}, not {show(value)}"
    allowed = schema.get("enum")
    if allowed is not None and not any(_same(value, item) for item in allowed):
        return where, f"must be one of {', '.join(map(show, allowed))}, not {show(value)}"
    return None


def _combined(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Problem | None:
    for part in schema.get("allOf") or ():
        if problem := problem_with(value, part, root, where):
            return problem
    for key in ("anyOf", "oneOf"):
        parts = schema.get(key)
        if not parts:
            continue
        problems = [problem_with(value, part, root, where) for part in parts]
        if None not in problems:
            return _closest([problem for problem in problems if problem], parts, value, where)
    return None


def _closest(problems: list[Problem], parts: list[Any], value: Any, where: str) -> Problem:
    # A problem further inside belongs to the alternative that was meant.
    deepest = max(problems, key=lambda problem: len(problem[0]))
    if len(deepest[0]) > len(where):
        return deepest
    names = [part.get("type") for part in parts if isinstance(part, Mapping)]
    if len(names) == len(parts) and all(isinstance(name, str) for name in names):
        plain = [name for name in names if isinstance(name, str)]
        if not any(TYPES[name](value) for name in plain if name in TYPES):
            return where, f"must be {_words(plain)}, not {show(value)}"
    return next((problem for problem in problems if "must be null" not in problem[1]), problems[0])


def _number(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Problem | None:
    if value in NOT_FINITE and schema.get("type") == "number":
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    limits: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
        ("minimum", "at least", lambda given, limit: given >= limit),
        ("maximum", "at most", lambda given, limit: given <= limit),
        ("exclusiveMinimum", "more than", lambda given, limit: given > limit),
        ("exclusiveMaximum", "less than", lambda given, limit: given < limit),
        ("multipleOf", "a multiple of", lambda given, limit: _is_multiple(given, limit)),
    )
    for key, words, fits in limits:
        if key in schema and not fits(value, schema[key]):
            return where, f"must be {words} {schema[key]}, not {value}"
    return None


def _is_multiple(value: float, unit: float) -> bool:
    return bool(unit) and math.isclose(value / unit, round(value / unit), abs_tol=1e-9)


def _string(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Problem | None:
    if not isinstance(value, str):
        return None
    if problem := _size(len(value), "Length", "characters", schema, where):
        return problem
    try:
        if "pattern" in schema and not re.search(schema["pattern"], value):
            return where, f"must match {schema['pattern']!r}, not {show(value)}"
    except re.error:
        pass  # a pattern of another dialect: the flow itself will check
    read = _FORMATS.get(schema.get("format", ""))
    if read is not None and not _is_unix_time(value, schema["format"]):
        try:
            read(value)
        except ValueError:
            return where, f"must be a {schema['format']}, not {show(value)}"
    return None


def _is_unix_time(text: str, kind: str) -> bool:
    # pydantic reads numbers as seconds since 1970, and those of whole days as dates.
    number = text.strip()
    if kind not in ("date-time", "date") or not number.lstrip("-").replace(".", "", 1).isdigit():
        return False
    return kind == "date-time" or float(number) % 86400 == 0


def _size(count: int, suffix: str, unit: str, schema: Mapping[str, Any], where: str) -> Problem | None:
    least, most = schema.get(f"min{suffix}"), schema.get(f"max{suffix}")
    if least is not None and count < least:
        return where, f"must have at least {least} {unit}, not {count}"
    if most is not None and count > most:
        return where, f"must have at most {most} {unit}, not {count}"
    return None


def _array(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Problem | None:
    if not isinstance(value, (list, tuple)):
        return None
    if problem := _size(len(value), "Items", "items", schema, where):
        return problem
    if schema.get("uniqueItems") and len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
        return where, "must not hold an item twice"
    first = list(schema.get("prefixItems") or ())
    for index, item in enumerate(value):
        part = first[index] if index < len(first) else schema.get("items", {})
        if problem := problem_with(item, part, root, f"{where}[{index}]"):
            return problem
    return None


def _object(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Problem | None:
    if not isinstance(value, Mapping):
        return None
    for name in schema.get("required") or ():
        if name not in value:
            return f"{where}.{name}", "is required"
    if problem := _size(len(value), "Properties", "keys", schema, where):
        return problem
    known = schema.get("properties") or {}
    others = schema.get("additionalProperties", {})
    for name, item in value.items():
        if name not in known and others is False:
            return f"{where}.{name}", f"is unknown{_guess(str(name), list(known))}"
        if problem := problem_with(item, known.get(name, others), root, f"{where}.{name}"):
            return problem
    return None


def _same(value: Any, wanted: Any) -> bool:
    # JSON tells true from 1.
    return bool(value == wanted) and isinstance(value, bool) == isinstance(wanted, bool)


def _words(names: list[str]) -> str:
    return " or ".join(_WORDS.get(name, name) for name in names)


def show(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    if len(text) <= 60:
        return text
    if isinstance(value, (list, tuple, Mapping)):
        return f"{'an object' if isinstance(value, Mapping) else 'a list'} of {len(value)}"
    return f"{text[:57]}..."
