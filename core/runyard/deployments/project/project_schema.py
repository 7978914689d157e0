"""The JSON schema and the documentation tables of a project file, generated from its models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from runyard.deployments.project.project_shapes import (
    SCHEDULE_KINDS,
    ConcurrencySpec,
    DeploymentSpec,
    ProjectSpec,
    ScheduleSpec,
    WorkPoolSpec,
)
from runyard.deployments.steps import step_functions
from runyard.deployments.steps.outputs import known_names, outputs_of
from runyard.deployments.triggers import TRIGGERS

_PLACEHOLDER = {"type": "string", "pattern": r"\{\{.*\}\}"}
_TABLES: tuple[tuple[str, str, type[BaseModel]], ...] = (
    ("The file", "", ProjectSpec),
    ("A deployment", "deployments[]", DeploymentSpec),
    ("A schedule", "schedule, schedules[]", ScheduleSpec),
    ("A work pool", "work_pool", WorkPoolSpec),
    ("A limit", "concurrency_limit", ConcurrencySpec),
)
_WORDS = {
    "string": "text", "integer": "whole number", "number": "number", "boolean": "true or false",
    "array": "list", "object": "mapping",
}  # fmt: skip


def json_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a project file.

    It accepts what the parser accepts, including unknown keys, except in schedules. A value of any type may
    be a placeholder.
    """
    schema: dict[str, Any] = ProjectSpec.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    triggers = TRIGGERS.json_schema(ref_template="#/$defs/{model}")
    definitions.update(triggers.pop("$defs"))
    for shape in (schema, *(definitions[part.__name__] for _, _, part in _TABLES[1:])):
        for name, field in shape["properties"].items():
            shape["properties"][name] = _loosened(field)
    deployment = definitions["DeploymentSpec"]["properties"]
    deployment["triggers"]["anyOf"].insert(0, triggers)
    deployment["tags"]["anyOf"].append({"type": "string"})
    deployment["concurrency_limit"]["anyOf"].append({"type": "integer", "minimum": 0})
    _spell_out_steps(schema)
    _spell_out_steps(definitions["DeploymentSpec"])
    schedule = definitions["ScheduleSpec"]
    schedule["properties"]["schedule"] = {"type": "object", "description": "The API's form of a schedule."}
    schedule["additionalProperties"] = False
    schedule["anyOf"] = [{"required": [kind]} for kind in (*SCHEDULE_KINDS, "schedule")]
    schedule["anyOf"].append({"maxProperties": 0})
    schema["properties"]["prefect_version"] = schema["properties"]["prefect-version"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "prefect.yaml",
        "type": ["object", "null"],
    }


def markdown() -> str:
    """The tables of the documentation: every key, its type, its meaning."""
    schema = json_schema()
    parts: list[str] = []
    for title, where, shape in _TABLES:
        found = schema if shape is ProjectSpec else schema["$defs"][shape.__name__]
        parts += [f"### {title}" + (f" (`{where}`)" if where else ""), ""]
        parts += ["| Key | Takes | Meaning |", "|---|---|---|"]
        for name, field in shape.model_fields.items():
            key = field.alias or name
            takes = " or ".join(dict.fromkeys(_words(found["properties"][key])))
            parts.append(f"| `{key}` | {takes} | {(field.description or '').replace('|', chr(92) + '|')} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def steps_markdown() -> str:
    """The table of the documentation: every step, its inputs, its outputs."""
    import inspect

    rows = ["| Step | Inputs | Outputs |", "|---|---|---|"]
    for name in known_names():
        function = getattr(step_functions, name.rpartition(".")[2])
        signature = inspect.signature(function)
        inputs = []
        for each in signature.parameters.values():
            if each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL):
                inputs.append("..." if function is not step_functions.agit_clone else "as git_clone")
            elif each.default is each.empty:
                inputs.append(f"**{each.name}**")
            else:
                shown = "" if each.default in (None, "") else f" ({each.default})"
                inputs.append(each.name + shown)
        outputs = ", ".join(sorted(outputs_of(name) or ()))
        rows.append(f"| `{name}` | {', '.join(dict.fromkeys(inputs))} | {outputs} |")
    return "\n".join(rows) + "\n"


def _loosened(field: dict[str, Any]) -> dict[str, Any]:
    """A field that may also be a placeholder, and a number where a text is expected."""
    choices = field.pop("anyOf", None) or [
        {key: value for key, value in field.items() if key not in ("title", "description", "default")}
    ]
    if any(choice.get("type") == "string" and "enum" not in choice for choice in choices):
        choices = [*choices, {"type": "number"}]
    else:
        choices = [*choices, _PLACEHOLDER] if choices != [{}] else choices
    kept = {key: field[key] for key in ("description",) if key in field}
    return {**kept, "anyOf": choices}


def _spell_out_steps(shape: dict[str, Any]) -> None:
    """Let editors suggest the built-in steps."""
    step = {
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {name: {"type": ["object", "null"]} for name in known_names()},
        "additionalProperties": {"type": ["object", "null"]},
    }
    for phase in ("build", "push", "pull"):
        empty = {"type": "object", "maxProperties": 0}
        choices = [{"type": "array", "items": step}, step, empty, {"type": "null"}]
        shape["properties"][phase]["anyOf"] = choices


def _words(field: dict[str, Any]) -> list[str]:
    found: list[str] = []
    for choice in field["anyOf"]:
        kinds = choice.get("type", "object" if "$ref" in choice else "anything")
        kind = str(kinds[0] if isinstance(kinds, list) else kinds)
        if choice == _PLACEHOLDER or kind == "null":
            continue
        enum = choice.get("enum")
        found.append(", ".join(f"`{each}`" for each in enum) if enum else _WORDS.get(kind, kind))
    if "text" in found and "number" in found and found[-1] == "number":
        found.pop()  # text that looks like a number
    return found
