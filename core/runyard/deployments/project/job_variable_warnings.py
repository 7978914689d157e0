"""Warnings about job variables: unknown ones, and those that point runs to another database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base.suggestions import did_you_mean
from runyard.domain import job_variables

if TYPE_CHECKING:
    from runyard.operations.work_pools.work_pools import WorkPool

_PLACES = {"home": "home", "database_url": "database", "api_url": "API"}


def warnings(deployment: str, variables: Mapping[str, Any] | None) -> list[str]:
    """One line for each variable that points runs to another home, database or API than their worker's.

    A value that is the same in this process gives no warning: the worker probably has it too.

    Args:
        deployment: its name, for the lines.
        variables: its job variables; `env`, and names such as `env.RUNYARD_HOME`, are checked.
    """
    return _warnings(f"deployment {deployment}: the job variable", variables or {})


def unread(deployment: str, pool: WorkPool, variables: Mapping[str, Any] | None) -> list[str]:
    """One line for each job variable that a pool's base job template does not have."""
    known = list((pool.base_job_template.get("variables") or {}).get("properties") or {})
    found = []
    for name in job_variables.unknown(variables or {}, pool.base_job_template):
        hint = did_you_mean(name.partition(".")[0], known)
        found.append(
            f"deployment {deployment}: work pool {pool.name!r} has no job variable {name!r}, "
            f"so it has no effect{hint}"
        )
    return found


def _warnings(whose: str, variables: Mapping[str, Any]) -> list[str]:
    found = []
    for name, value in _environment(variables).items():
        setting = next((one for one in _PLACES if name in settings.variables(one)), None)
        if setting is None or _is_ours(setting, value):
            continue
        does = (
            f"removes the worker's {_PLACES[setting]} from its runs"
            if value is None
            else f"points its runs to another {_PLACES[setting]} than the one set here"
        )
        found.append(
            f"{whose} env.{name} {does}; a run that is not found "
            "there is Crashed. Omit it, unless its worker has the same"
        )
    return found


def template_warnings(pool: str, template: Mapping[str, Any]) -> list[str]:
    """Like `warnings`, for the variables that a pool's base job template sets for all its runs."""
    configured = template.get("job_configuration")
    properties = (template.get("variables") or {}).get("properties") or {}
    variable = properties.get("env")
    sources = [configured.get("env") if isinstance(configured, Mapping) else None]
    sources.append(variable.get("default") if isinstance(variable, Mapping) else None)
    found: dict[str, Any] = {}
    for source in sources:
        if isinstance(source, Mapping):
            found.update(source)
    return _warnings(f"work pool {pool}: the variable", {"env": found})


def _environment(variables: Mapping[str, Any]) -> dict[str, Any]:
    env = variables.get("env")
    found = dict(env) if isinstance(env, Mapping) else {}
    for name, value in variables.items():
        first, dot, rest = name.partition(".")
        if first == "env" and dot:
            found[rest] = value
    return found


def _is_ours(setting: str, value: Any) -> bool:
    ours = settings.get(setting)
    if value is None:
        return settings.given(setting) is None
    if setting == "home":
        return _folder(str(value)) == _folder(ours)
    return str(value).rstrip("/") == str(ours).rstrip("/")


def _folder(path: str) -> str:
    return os.path.realpath(os.path.expanduser(path))
