"""Base job templates of work pools: the built-in ones, and how the variables of a run fill them."""

from __future__ import annotations

import json
import re
from collections import ChainMap
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from runyard.base.errors import InvalidInput
from runyard.base.quoting import quoted
from runyard.base.suggestions import closest, did_you_mean
from runyard.domain.job_variables import check_job_variables, env_problem, refers_to_block, unsound
from runyard.domain.parameter_schemas import misfit, read_text

# The types of pools and their descriptions.
TYPES = {
    "process": "Runs each flow run as a separate process on the worker's machine.",
    "docker": "Runs each flow run in a separate Docker container.",
    "kubernetes": "Runs each flow run as a Kubernetes Job.",
}
# Types of Prefect's own workers, which claim the runs of such a pool through the API.
FOREIGN_TYPES = (
    "azure-container-instance", "cloud-run", "cloud-run-v2", "coiled", "ecs", "modal", "prefect-agent",
    "vertex-ai",
)  # fmt: skip
# As in project files, other words in braces (`{{ ref('x') }}`) belong to other programs and stay.
_PLACEHOLDER = re.compile(r"{{\s*([\w.$\-\[\]]+)\s*}}")
_UNSET: Any = object()
_KEEP: Any = object()
# Variables that workers of every type read; a custom template may omit their schema.
_READ_BY_WORKERS: dict[str, dict[str, Any]] = {
    "env": {"type": "object"},
    "labels": {"type": "object"},
    "command": {"type": ["string", "array"]},
    "working_dir": {"type": "string"},
    "stream_output": {"type": "boolean"},
    "auto_remove": {"type": "boolean"},
    "stop_grace_seconds": {"type": "number", "minimum": 0},
}


def known_types() -> tuple[str, ...]:
    """The known types of work pools."""
    return tuple(TYPES)


def worker_command(pool: str, kind: str) -> str:
    """The command that starts a worker for a pool of a type: ours, or Prefect's."""
    program = "prefect" if kind in FOREIGN_TYPES else "runyard"
    return f"{program} worker start --pool {quoted(pool)}"


def default(kind: str) -> dict[str, Any]:
    """A copy of the default base job template of a type of pool.

    An unknown type belongs to other workers, whose users pass their own template.
    """
    if kind not in TYPES:
        return {"job_configuration": {}, "variables": {"type": "object", "properties": {}}}
    template: dict[str, Any] = json.loads(_text(kind))
    return template


@lru_cache(maxsize=len(TYPES))
def _text(kind: str) -> str:
    from importlib.resources import files

    return files("runyard_templates").joinpath("pools", f"{kind}.json").read_text("utf-8")


def check_spelling(kind: str) -> None:
    """Refuse a type that resembles a known one; any other unknown type belongs to other workers.

    Raises:
        InvalidInput: naming the type that is probably meant.
    """
    known = (*TYPES, *FOREIGN_TYPES)
    close = None if kind in known else closest(kind, known, cutoff=0.8)
    if close:
        raise InvalidInput(
            f"unknown type of work pool {kind!r}; did you mean {close!r}? "
            "(to use this type, give it a base job template with --base-job-template)"
        )


def check_template(template: Mapping[str, Any]) -> None:
    """Check a base job template: its job configuration uses only declared variables, its variables are JSON
    schemas, and their defaults are valid.

    Raises:
        InvalidInput: naming the invalid part.
    """
    for part in ("job_configuration", "variables"):
        if not isinstance(template.get(part), Mapping):
            raise InvalidInput(
                f"a base job template needs a mapping {part!r}; "
                "see: runyard work-pool get-default-base-job-template --type process"
            )
    known = template["variables"].get("properties") or {}
    if not isinstance(known, Mapping):
        raise InvalidInput("'variables.properties' of a base job template must be a mapping")
    for name, entry in known.items():
        _check_variable(name, entry, template["variables"])
    for name in sorted(_names(template["job_configuration"])):
        if name.isidentifier() and name not in known:
            raise InvalidInput(
                f"the job configuration uses {{{{ {name} }}}}, which is not in 'variables.properties'"
                + _guess(name, known)
            )


def _check_variable(name: str, entry: Any, schema: Mapping[str, Any]) -> None:
    where = f"variables.properties.{name}"
    if not isinstance(entry, Mapping):
        raise InvalidInput(
            f'{where} of a base job template must be a JSON schema, such as {{"type": "string"}}'
        )
    if problem := unsound(entry, schema, where):
        raise InvalidInput(f"a base job template's {problem}")
    default_value = entry.get("default")
    if default_value is None or "{{" in json.dumps(default_value) or refers_to_block(default_value):
        return
    if problem := misfit(default_value, entry, f"{where}.default", schema):
        raise InvalidInput(f"a base job template's {problem}")


def resolve(
    base_job_template: Mapping[str, Any],
    deployment_job_variables: Mapping[str, Any] | None = None,
    run_job_variables: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The job of a run: the job configuration with all variables filled in.

    Args:
        base_job_template: the pool's template; an empty one returns an empty configuration.
        deployment_job_variables: override the template's defaults. `env` is merged key by key, and a
            name with dots (`env.REGION`) sets a nested value.
        run_job_variables: override the deployment's in the same way.
        context: more values for placeholders by their dotted path, such as
            `{"ctx": {"flow_run": {"name": "calm-otter"}}, "env": os.environ}`; `{{ $NAME }}` reads `env`.

    Returns:
        The configuration. Keys whose variable has no value are omitted. A null value in `env` stays, because
        it removes an inherited environment variable.

    Raises:
        InvalidInput: a variable does not match the template.
    """
    schema = base_job_template.get("variables") or {}
    outside = _outside(context)
    layers = deployment_job_variables or {}, run_job_variables or {}
    given = overlaid(*layers)
    _check_names(given, schema)
    known = schema.get("properties") or {}
    told = overlaid(_defaults(schema), *layers)
    values = _render(_defaults(schema), outside, own=True)
    for name, value in _render(told, outside, own=True).items():
        # Environment variables are always text.
        values[name] = value if value == told[name] else read_text(value, known.get(name), schema)
    given = {name: values[name] for name in given if name in values}
    check_job_variables(given, base_job_template, filled=True)
    for name in schema.get("required") or ():
        if name not in values:
            raise InvalidInput(
                f"the required job variable {name!r} has no value; set it in the job variables of the "
                "deployment"
            )
    found = _filled(base_job_template, outside, values)
    for name, wanted in _READ_BY_WORKERS.items():
        if found.get(name) is not None:
            found[name] = read_text(found[name], wanted, wanted)
            if problem := misfit(found[name], wanted, name):
                raise InvalidInput(f"job configuration: {problem}")
    if wrong := env_problem(found.get("env") or {}):
        raise InvalidInput(f"job configuration: {wrong[0]} {wrong[1]}")
    return found


def fill(
    base_job_template: Mapping[str, Any],
    context: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The job configuration with its variables filled in, unchecked.

    Args:
        base_job_template, context: see `resolve`.
        given: the variables that override the template's defaults.
    """
    outside = _outside(context)
    values = overlaid(_defaults(base_job_template.get("variables") or {}), given or {})
    return _filled(base_job_template, outside, _render(values, outside, own=True))


def _outside(context: Mapping[str, Any] | None) -> dict[str, Any]:
    """The values for placeholders besides variables: `ctx`, and the environment as `env` and `$`."""
    environment = _Environment((context or {}).get("env") or {})
    return {"ctx": {}, **(context or {}), "env": environment, "$": environment}


class _Environment(ChainMap[str, str]):
    """The environment of this process, not a copy: a placeholder may read one variable, never all."""


def _filled(
    base_job_template: Mapping[str, Any], outside: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    configuration = base_job_template.get("job_configuration") or {}
    found: dict[str, Any] = _render(configuration, {**outside, **values})
    if isinstance(configuration.get("env"), Mapping):
        # If the configuration lists variables itself, the run's are merged over them.
        found["env"] = _merged(found["env"], values.get("env") or {})
    return found


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    return {
        name: json.loads(json.dumps(entry["default"]))
        for name, entry in properties.items()
        if isinstance(entry, Mapping) and entry.get("default") is not None
    }


def overlaid(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Merge variables; later ones override earlier ones (see `resolve`)."""
    values: dict[str, Any] = {}
    for variables in layers:
        _overlay(values, variables)
    return values


def _overlay(values: dict[str, Any], variables: Mapping[str, Any]) -> None:
    """Merge variables over values: a name replaces a value; `env` and dotted names merge."""
    for name, value in variables.items():
        if "." in name:
            first, *rest = name.split(".")
            for part in reversed(rest):
                value = {part: value}
            values[first] = _merged(values.get(first), value)
        elif name == "env":
            values[name] = _merged(values.get(name), value)
        else:
            values[name] = value


def _merged(below: Any, above: Any) -> Any:
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    return {**below, **{key: _merged(below.get(key), value) for key, value in above.items()}}


def _check_names(given: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    if schema.get("additionalProperties", True) is not False:
        return
    known = schema.get("properties") or {}
    for name in given:
        if name not in known:
            raise InvalidInput(f"the work pool has no job variable {name!r}{_guess(name, known)}")


def _guess(name: str, known: Mapping[str, Any]) -> str:
    return did_you_mean(name, known, f"it has {', '.join(map(repr, known))}" if known else "it has none")


def _render(value: Any, lookup: Mapping[str, Any], own: bool = False) -> Any:
    """Replace placeholders by values; a mapping's key without a value is omitted.

    Args:
        own: the value is a variable's own value: an unknown placeholder in it stays as text.
    """
    if isinstance(value, Mapping):
        rendered = {key: _render(item, lookup, own) for key, item in value.items()}
        return {key: item for key, item in rendered.items() if item is not _UNSET}
    if isinstance(value, list):
        return [item for item in (_render(item, lookup, own) for item in value) if item is not _UNSET]
    if not isinstance(value, str) or "{{" not in value:
        return value
    whole = _PLACEHOLDER.fullmatch(value.strip())
    if whole:
        found = _look_up(whole[1], lookup, own)
        return value if found is _KEEP else found
    return _PLACEHOLDER.sub(lambda match: _as_text(_look_up(match[1], lookup, own), match[0]), value)


def _as_text(value: Any, placeholder: str) -> str:
    if value is _KEEP:
        return placeholder
    return "" if value is _UNSET or value is None else str(value)


def _look_up(name: str, lookup: Mapping[str, Any], own: bool) -> Any:
    if name.startswith("$"):
        name = f"$.{name[1:]}"
    root, *_ = parts = name.split(".")
    if root not in lookup and (own or not root.isidentifier()):
        return _KEEP
    found: Any = lookup
    for part in parts:
        if not isinstance(found, Mapping) or part not in found:
            return _UNSET
        found = found[part]
    return _UNSET if found is None or isinstance(found, _Environment) else found


def _names(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*(_names(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_names(item) for item in value))
    return set(_PLACEHOLDER.findall(value)) if isinstance(value, str) else set()
