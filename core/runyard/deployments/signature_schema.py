"""A flow's parameters: their JSON schema, and validation of values."""

from __future__ import annotations

import copy
import inspect
import re
import typing
import warnings
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any

from pydantic import (
    ConfigDict,
    Field,
    PydanticSchemaGenerationError,
    PydanticUserError,
    TypeAdapter,
    ValidationError,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, JsonSchemaWarningKind
from typing_extensions import is_typeddict

from runyard.base.errors import ParameterError
from runyard.base.suggestions import did_you_mean
from runyard.engine.library_types import understood
from runyard.engine.typed_dicts import readable

_SECTION = re.compile(r"^\s*(Args|Arguments|Parameters|Params):\s*$")
_ARGUMENT = re.compile(r"^(\*{0,2}\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_KINDS = {inspect.Parameter.VAR_POSITIONAL: list[Any], inspect.Parameter.VAR_KEYWORD: dict[str, Any]}


class _Schema(GenerateJsonSchema):
    """Pydantic's JSON schema, in which types without a schema accept anything."""

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        """Does nothing: a default without a JSON form is omitted without a warning."""

    def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> JsonSchemaValue:
        """A type without a schema, such as a user's class: accepts anything."""
        return {}

    def decimal_schema(self, schema: Any) -> JsonSchemaValue:
        """A number, or a string that keeps all its digits."""
        found = super().decimal_schema(schema)
        for choice in found.get("anyOf", ()):
            if choice.get("type") == "string":
                choice["format"] = "decimal"
        return found


def parameter_schema(function: Callable[..., Any]) -> dict[str, Any]:
    """The JSON schema of a flow function's parameters.

    A parameter with a default of None may be null whatever its annotation says. `*args` and `**kwargs`
    are an optional array and object; `self` and `cls` are left out.

    Returns:
        An object schema with title, properties (each with a title and its position), required and
        definitions.
    """
    return copy.deepcopy(_parameter_schema(function))


@lru_cache(maxsize=64)
def _parameter_schema(function: Callable[..., Any]) -> dict[str, Any]:
    signature = parameters(function)
    model = _model(signature, described(function))
    schema = model.model_json_schema(
        by_alias=True, ref_template="#/definitions/{model}", schema_generator=_Schema
    )
    properties = {
        name: _property(schema.get("properties", {}).get(name, {}), name, position)
        for position, name in enumerate(signature)
    }
    return {
        "title": "Parameters",
        "type": "object",
        "properties": properties,
        "required": [name for name in schema.get("required", []) if name in properties],
        "definitions": schema.get("$defs", {}),
        **({"additionalProperties": True} if _open_ended(signature) else {}),
    }


def check_parameters(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> None:
    """Validate values for a flow function's parameters; missing ones are allowed.

    Args:
        function: the flow's function.
        given: values by parameter name, as they come from JSON or YAML.
        where: where they come from, for the message.

    Raises:
        ParameterError: unknown names or invalid values, one line each.
    """
    signature = _signature(function)
    open_ended = _open_ended(signature)
    wrong = []
    for name in given:
        if name not in signature and not open_ended:
            hint = did_you_mean(name, signature, f"it has: {', '.join(signature) or 'none'}")
            wrong.append(f"{where}: the flow has no parameter {name!r}{hint}")
    # Values that are created with the run cannot be checked yet.
    fixed = {name: value for name, value in given.items() if name in signature and not _deferred(value)}
    try:
        _model_of(function, tuple(fixed)).model_validate(fixed)
    except ValidationError as error:
        told: set[Any] = set()
        for fault in error.errors(include_url=False):
            # Every member of a union reports an error: the first is enough.
            if fault["loc"][0] in told:
                continue
            told.add(fault["loc"][0])
            place = ".".join(str(step) for step in fault["loc"])
            wrong.append(f"{where}: parameter {place}: {fault['msg']} (given: {_short(fault['input'])})")
    if wrong:
        raise ParameterError("\n".join(wrong))


def missing_parameters(function: Callable[..., Any], given: Mapping[str, Any]) -> list[str]:
    """The parameters without a default that are not given."""
    return [
        name
        for name, item in _signature(function).items()
        if item.default is item.empty and item.kind not in _KINDS and name not in given
    ]


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """A function's parameters by name, without self and cls, annotations resolved if possible."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except Exception:  # an annotation may be any expression, and raise anything
        signature = inspect.signature(function)
    return {name: item for name, item in signature.parameters.items() if name not in ("self", "cls")}


# Many deployments may share a flow.
@lru_cache(maxsize=64)
def _signature(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return parameters(function)


@lru_cache(maxsize=256)
def _model_of(function: Callable[..., Any], names: tuple[str, ...]) -> Any:
    signature = _signature(function)
    return _model({name: signature[name] for name in names}, {})


def _model(signature: Mapping[str, inspect.Parameter], descriptions: Mapping[str, str]) -> Any:
    """A pydantic model whose fields p0, p1, ... carry the parameters' names as aliases.

    So a parameter may be called `schema`, `copy` or `_x`, which pydantic reserves.
    """
    fields: dict[str, Any] = {}
    for position, (name, item) in enumerate(signature.items()):
        if item.kind in _KINDS:
            annotation: Any = _KINDS[item.kind]
            info = Field(default_factory=annotation.__origin__, alias=name, title=name)
        else:
            # An annotation that is still a string could not be resolved: it accepts anything.
            annotation = item.annotation
            if annotation is item.empty or isinstance(annotation, str):
                annotation = Any
            if item.default is None:
                annotation = typing.Optional[annotation]  # noqa: UP045  # `|` fails on non-types
            info = _field(name, item, descriptions)
        fields[f"p{position}"] = (_describable(annotation), info)
    return create_model("Parameters", __config__=_CONFIG, **fields)


_CONFIG = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())


def _field(name: str, item: inspect.Parameter, descriptions: Mapping[str, str]) -> Any:
    texts: dict[str, Any] = {"alias": name, "title": name}
    if name in descriptions:
        texts["description"] = descriptions[name]
    if isinstance(item.default, FieldInfo):
        return _copy(item.default, texts)
    return Field(**texts) if item.default is item.empty else Field(item.default, **texts)


def _copy(info: FieldInfo, texts: dict[str, Any]) -> FieldInfo:
    """A parameter's own `Field(...)`, with our names where it has none."""
    own = copy.copy(info)
    own.alias = own.validation_alias = own.serialization_alias = texts["alias"]
    own.title = own.title or texts["title"]
    own.description = own.description or texts.get("description")
    return own


def _describable(annotation: Any) -> Any:
    """The annotation, or Any if pydantic does not support it."""
    annotation = understood(readable(annotation))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pydantic warns of an annotation that is not a type, such as `x: 3`
        try:
            TypeAdapter(annotation, config=None if _has_own_config(annotation) else _CONFIG)
        except (PydanticSchemaGenerationError, PydanticUserError, TypeError, NameError, UserWarning):
            return Any
    return annotation


def _has_own_config(annotation: Any) -> bool:
    """Whether pydantic ignores an outer configuration for it: models, dataclasses, TypedDicts."""
    if hasattr(annotation, "__pydantic_core_schema__") or hasattr(annotation, "__pydantic_config__"):
        return True
    return (isinstance(annotation, type) and is_dataclass(annotation)) or is_typeddict(annotation)


def _property(found: JsonSchemaValue, name: str, position: int) -> dict[str, Any]:
    return {**found, "title": found.get("title", name), "position": position}


def _deferred(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "__prefect_kind" in value
    return isinstance(value, str) and "{{" in value


def _open_ended(signature: Mapping[str, inspect.Parameter]) -> bool:
    return any(item.kind is inspect.Parameter.VAR_KEYWORD for item in signature.values())


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def described(function: Callable[..., Any]) -> dict[str, str]:
    """The descriptions of the arguments in a Google-style docstring."""
    lines = inspect.cleandoc(function.__doc__ or "").splitlines()
    start = next((i for i, line in enumerate(lines) if _SECTION.match(line)), None)
    if start is None:
        return {}
    found: dict[str, str] = {}
    name, margin = "", None
    for line in lines[start + 1 :]:
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip())
        if indent == 0:
            break
        margin = indent if margin is None else margin
        match = _ARGUMENT.match(line.strip()) if indent <= margin else None
        if match:
            name = match.group(1).lstrip("*")
            found[name] = match.group(2)
        elif name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found
