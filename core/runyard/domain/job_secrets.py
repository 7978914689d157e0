"""Checks that variables put secrets only into those parts of a Kubernetes Job that a Secret can hold.

Everybody who may read Jobs and pods can read their labels, annotations, images and volumes. A worker can keep
secrets out of the environment and of the words of each container's command, but not out of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runyard.base.errors import InvalidInput
from runyard.domain import job_templates

_BLOCK = re.compile(r"{{\s*prefect\.blocks\.([^\s{}.]+)\.([^\s{}.]+)((?:\.[^\s{}.]+)*)\s*}}")
_ENVIRONMENT = re.compile(r"{{\s*(?:\$|env\.)(\w+)\s*}}", re.ASCII)
# Variables of a worker that are secrets; the name of a Secret object, as in $PULL_SECRET, is not one.
_SECRET_VARIABLE = re.compile(
    r"(?i)(token|passw(or)?d|pwd|passphrase|(api|access|private)_?key|auth_string|client_secret)\Z"
)
# A placeholder for a secret that no user's text contains.
_MARK = "\0secret\0"
_POD = ("job_manifest", "spec", "template", "spec")
_CONTAINERS, _KEPT = ("containers", "initContainers"), ("env", "args", "command")
# The parts of the configuration that become part of the manifest.
_SHOWN = ("name", "namespace", "image", "labels", "annotations", "job_manifest")

HiddenFields = Callable[[str, str], list[str] | None]


def check(template: Mapping[str, Any], *variables: Mapping[str, Any], hidden_fields: HiddenFields) -> None:
    """Refuse secrets that a base job template, or job variables, put where others can read them.

    Args:
        template: the template of any pool; without a `job_manifest` there is nothing to check.
        variables: those of a deployment, merged with those of a run.
        hidden_fields: returns the secret fields of a saved block by type slug and name; None if it is
            not saved.

    Raises:
        InvalidInput: naming the first such place.
    """
    if "job_manifest" not in (template.get("job_configuration") or {}):
        return
    mark = _marker(hidden_fields)
    job = job_templates.fill(_with_hidden_defaults(mark(template)), None, _merged(template, mark, variables))
    for path in _marked(job, ()):
        if not _is_kept(path):
            place = ".".join(map(str, path))
            raise InvalidInput(
                f"{place} would show a secret to everybody who may read the Job; move it to env, args or "
                f"command "
                "of a container, from where it goes to a Secret"
            )


def _merged(template: Mapping[str, Any], mark: Callable[[Any], Any], variables: Any) -> dict[str, Any]:
    properties = (template.get("variables") or {}).get("properties") or {}
    merged = job_templates.overlaid(*(mark(given or {}) for given in variables))
    return {
        name: _MARK if value and _is_hidden(properties.get(name)) else value for name, value in merged.items()
    }


def _with_hidden_defaults(template: Any) -> Any:
    variables = template.get("variables") or {}
    properties = {
        name: {**entry, "default": _MARK} if _is_hidden(entry) and entry.get("default") else entry
        for name, entry in (variables.get("properties") or {}).items()
    }
    return {**template, "variables": {**variables, "properties": properties}}


def _is_hidden(entry: Any) -> bool:
    """Whether the schema says that a variable is a secret."""
    return isinstance(entry, Mapping) and (
        entry.get("format") == "password" or entry.get("writeOnly") is True
    )


def _marker(hidden_fields: HiddenFields) -> Callable[[Any], Any]:
    """A copy of a value in which marks replace the placeholders of secrets."""

    def block(match: re.Match[str]) -> str:
        hidden = hidden_fields(match[1], match[2])
        if hidden is None:
            return _MARK if match[1] == "secret" else match[0]
        asked = match[3].split(".")[1:]
        fields = (field.removesuffix(".*").split(".") for field in hidden)
        return _MARK if any(its[: len(asked)] == asked[: len(its)] for its in fields) else match[0]

    def variable(match: re.Match[str]) -> str:
        return _MARK if _SECRET_VARIABLE.search(match[1]) else match[0]

    def mark(value: Any) -> Any:
        if isinstance(value, str):
            return _ENVIRONMENT.sub(variable, _BLOCK.sub(block, value)) if "{{" in value else value
        if isinstance(value, Mapping):
            return {name: mark(item) for name, item in value.items()}
        return [mark(item) for item in value] if isinstance(value, list) else value

    return mark


def _marked(value: Any, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str):
        if _MARK in value:
            yield path
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _marked(item, (*path, str(name)))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _marked(item, (*path, number))


def _is_kept(path: tuple[str | int, ...]) -> bool:
    if path[0] not in _SHOWN:
        return True
    rest = path[len(_POD) :]
    return path[: len(_POD)] == _POD and len(rest) > 2 and rest[0] in _CONTAINERS and rest[2] in _KEPT
