"""Checks job variables against the schema in their pool's base job template, and checks that schema."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from runyard.base.errors import ParameterError
from runyard.domain.parameter_schemas import NOWHERE, TYPES, problem_with, referred, show


def refers_to_block(value: Any) -> bool:
    """Whether a value refers to a saved block: `{"$ref": {"block_document_id": "..."}}`."""
    reference = value.get("$ref") if isinstance(value, Mapping) else None
    return isinstance(reference, Mapping) and "block_document_id" in reference


def unsound(schema: Any, root: Mapping[str, Any], where: str) -> str | None:
    """What is invalid in a JSON schema: an unknown type, a `$ref` without a target, a pattern."""
    if isinstance(schema, list):
        found = (unsound(item, root, f"{where}[{number}]") for number, item in enumerate(schema))
        return next(filter(None, found), None)
    if not isinstance(schema, Mapping):
        return None
    seen: list[Any] = []
    at: Any = schema
    while isinstance(at, Mapping) and "$ref" in at:
        seen.append(at["$ref"])
        at = referred(at["$ref"], root)
        if at is NOWHERE or seen.count(seen[-1]) > 1:
            why = "does not exist" if at is NOWHERE else "points back to it"
            return f"{where}.$ref points to {show(seen[-1])}, which {why}"
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind not in TYPES:
            return f"{where}.type must be one of {', '.join(TYPES)}, not {show(kind)}"
    if "pattern" in schema:
        try:
            re.compile(schema["pattern"])
        except (re.error, TypeError) as error:
            return f"{where}.pattern is not a valid regular expression: {error}"
    for key in ("items", "additionalProperties", "anyOf", "oneOf", "allOf"):
        if problem := unsound(schema.get(key), root, f"{where}.{key}"):
            return problem
    for name, entry in (schema.get("properties") or {}).items():
        if problem := unsound(entry, root, f"{where}.properties.{name}"):
            return problem
    return None


def check_job_variables(
    variables: Mapping[str, Any],
    base_job_template: Mapping[str, Any],
    work_pool: str | None = None,
    filled: bool = False,
) -> None:
    """Refuse job variables that do not match a pool's template; blocks and values with placeholders pass.

    Args:
        work_pool: its name, for the message.
        filled: placeholders are already filled in: braces are text now.

    Raises:
        ParameterError: naming the variables, one line each.
    """
    schema = base_job_template.get("variables") or {}
    known = schema.get("properties") or {}
    wrong = []
    for name, value in variables.items():
        later = refers_to_block(value) or (not filled and "{{" in json.dumps(value, default=str))
        problem = None if later else problem_with(value, known.get(name), schema, name)
        if problem is None and name == "env" and isinstance(value, Mapping):
            problem = env_problem(value)
        if problem:
            whose = f" of work pool {work_pool!r}" if work_pool else ""
            wrong.append(f"job variable {problem[0]!r}{whose} {problem[1]}")
    if wrong:
        raise ParameterError("\n".join(wrong))


def unknown(variables: Mapping[str, Any], base_job_template: Mapping[str, Any]) -> list[str]:
    """The names of job variables that a pool's template does not have, so nothing reads them."""
    known = (base_job_template.get("variables") or {}).get("properties") or {}
    # A name with dots, such as env.REGION, sets a nested value.
    return [name for name in variables if known and not {name, name.partition(".")[0]} & set(known)]


def env_problem(env: Mapping[str, Any]) -> tuple[str, str] | None:
    """Names and values that no system accepts for an environment variable."""
    for name, value in env.items():
        if not name or "=" in name or "\0" in name:
            return f"env.{name}", "is not a valid variable name: it must not be empty or contain = or NUL"
        if isinstance(value, str) and "\0" in value:
            return f"env.{name}", "contains a NUL character, which an environment variable cannot contain"
    return None
