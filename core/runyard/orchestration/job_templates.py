"""Base job templates of work pools: the types' own ones, and what a run's variables make of one."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from runyard.errors import InvalidInput
from runyard.orchestration.parameters import check_job_variables
from runyard.quoting import quoted

# The types of pools, with what they are for.
TYPES = {
    "process": "Runs each flow run as a process of its own on the worker's machine.",
    "docker": "Runs each flow run in a Docker container of its own.",
    "kubernetes": "Runs each flow run as a Kubernetes Job.",
}
# Types of Prefect's own workers elsewhere, which take the runs of such a pool over the API.
FOREIGN_TYPES = (
    "azure-container-instance", "cloud-run", "cloud-run-v2", "coiled", "ecs", "modal", "prefect-agent",
    "vertex-ai",
)  # fmt: skip
_PLACEHOLDER = re.compile(r"{{\s*([^{}]*?)\s*}}")
_UNSET: Any = object()


def known_types() -> tuple[str, ...]:
    """The types a work pool can have."""
    return tuple(TYPES)


def worker_command(pool: str, kind: str) -> str:
    """What starts a worker for a pool of a type: one of ours, or one of Prefect's."""
    program = "prefect" if kind in FOREIGN_TYPES else "runyard"
    return f"{program} worker start --pool {quoted(pool)}"


def default(kind: str) -> dict[str, Any]:
    """The base job template that pools of a type start with; a copy of one's own.

    A type that is not known here is one of workers of others, which bring their template.
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
    """Refuse a type whose name is nearly that of a known one; any other is that of a worker of others.

    Raises:
        InvalidInput: naming the type that is probably meant.
    """
    known = (*TYPES, *FOREIGN_TYPES)
    close = [] if kind in known else get_close_matches(kind, known, n=1, cutoff=0.8)
    if close:
        raise InvalidInput(
            f"{kind!r} is no known type of work pool; did you mean {close[0]!r}? "
            "(with a base job template of its own, --base-job-template, it is taken as it is)"
        )


def check_template(template: Mapping[str, Any]) -> None:
    """Refuse a base job template whose job configuration asks for variables that it does not have.

    Raises:
        InvalidInput: naming the part that is missing or wrong.
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
    for name in sorted(_names(template["job_configuration"])):
        if name.isidentifier() and name not in known:
            raise InvalidInput(
                f"the job configuration uses {{{{ {name} }}}}, which 'variables.properties' does not have"
                + _guess(name, known)
            )


def resolve(
    base_job_template: Mapping[str, Any],
    deployment_job_variables: Mapping[str, Any] | None = None,
    run_job_variables: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a worker starts for a run: the job configuration with all variables in their places.

    Args:
        base_job_template: the pool's; an empty one resolves to nothing.
        deployment_job_variables: override the template's defaults; `env` is merged key by key, and a
            name with dots (`env.REGION`) sets a value within.
        run_job_variables: override the deployment's in the same way.
        context: further values for placeholders by their dotted path, such as
            `{"ctx": {"flow_run": {"name": "calm-otter"}}, "env": os.environ}`; `{{ $NAME }}` reads `env`.

    Returns:
        The configuration. Keys whose variable is not set are left out; a null value in `env` stays, as
        it says that an inherited variable is to be removed.

    Raises:
        InvalidInput: a variable does not fit the template.
    """
    schema = base_job_template.get("variables") or {}
    given = overlaid(deployment_job_variables or {}, run_job_variables or {})
    _check_names(given, schema)
    check_job_variables(given, base_job_template)
    return fill(base_job_template, context, given)


def fill(
    base_job_template: Mapping[str, Any],
    context: Mapping[str, Any] | None = None,
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The job configuration with its variables in their places, which are not checked.

    Args:
        base_job_template, context: as for `resolve`.
        given: the variables that override the template's defaults.
    """
    values = _defaults(base_job_template.get("variables") or {})
    _overlay(values, given or {})
    outside = {**(context or {}), "$": (context or {}).get("env") or {}}
    configuration = base_job_template.get("job_configuration") or {}
    found = _render(configuration, {**outside, **values})
    if isinstance(configuration.get("env"), Mapping):
        # A configuration that spells out variables gets the run's on top of them.
        found["env"] = _merged(found["env"], values.get("env") or {})
    # Values may hold placeholders themselves, such as `name: "{{ ctx.flow.name }}"`.
    return dict(_render(found, outside))


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties") or {}
    return {
        name: json.loads(json.dumps(entry["default"]))
        for name, entry in properties.items()
        if isinstance(entry, Mapping) and entry.get("default") is not None
    }


def overlaid(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Variables of which later ones override earlier ones, as `resolve` says."""
    values: dict[str, Any] = {}
    for variables in layers:
        _overlay(values, variables)
    return values


def _overlay(values: dict[str, Any], variables: Mapping[str, Any]) -> None:
    """Lay variables over values: a name of its own replaces, `env` and dotted names merge."""
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
    close = get_close_matches(name, list(known), n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; it has {', '.join(map(repr, known))}" if known else "; it has none"


def _render(value: Any, lookup: Mapping[str, Any]) -> Any:
    """Put values in the places of placeholders; a mapping's key whose value is not set goes."""
    if isinstance(value, Mapping):
        rendered = {key: _render(item, lookup) for key, item in value.items()}
        return {key: item for key, item in rendered.items() if item is not _UNSET}
    if isinstance(value, list):
        return [item for item in (_render(item, lookup) for item in value) if item is not _UNSET]
    if not isinstance(value, str) or "{{" not in value:
        return value
    whole = _PLACEHOLDER.fullmatch(value.strip())
    if whole:
        return _look_up(whole[1], lookup)
    return _PLACEHOLDER.sub(lambda match: _as_text(_look_up(match[1], lookup)), value)


def _as_text(value: Any) -> str:
    return "" if value is _UNSET or value is None else str(value)


def _look_up(name: str, lookup: Mapping[str, Any]) -> Any:
    if name.startswith("$"):
        name = f"$.{name[1:]}"
    found: Any = lookup
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return _UNSET
        found = found[part]
    return _UNSET if found is None else found


def _names(value: Any) -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*(_names(item) for item in value.values()))
    if isinstance(value, list):
        return set().union(*(_names(item) for item in value))
    return set(_PLACEHOLDER.findall(value)) if isinstance(value, str) else set()
