"""From a project and the command line's flags to what is applied: selection, checks, steps, filling."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.deployments import loading, schema, stored, templating
from runyard.deployments.project import Entry, Project, check_deployment
from runyard.deployments.project_shapes import DeploymentSpec
from runyard.deployments.steps import run_steps
from runyard.deployments.yaml_places import Path
from runyard.errors import InvalidInput, NotFound, ParameterError
from runyard.operations.deployment_shapes import DeploymentApply, DeploymentsApply

if TYPE_CHECKING:
    from types import ModuleType

    from runyard.flows import Flow

Say = Callable[[str], None]

# The flags that stand in place of what the file says under the same key.
_REPLACED = ("entrypoint", "description", "version", "enforce_parameter_schema", "paused", "crash_retries")


@dataclass(frozen=True)
class Overrides:
    """What the command line says of one deployment; it wins over the file. None: not said.

    Args:
        entrypoint: `path/file.py:function`, relative to the project's folder.
        schedules: further schedules, such as `{"cron": "0 6 * * *"}`, added to the file's.
        timezone: for every schedule, also the file's.
        anchor_date: for every interval schedule, also the file's.
        parameters: laid over the file's.
        job_variables: laid over the file's.
        tags: instead of the file's.
    """

    entrypoint: str | None = None
    description: str | None = None
    version: str | None = None
    tags: Sequence[str] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = field(default_factory=dict)
    concurrency_limit: int | None = None
    collision_strategy: str | None = None
    enforce_parameter_schema: bool | None = None
    paused: bool | None = None
    crash_retries: int | None = None
    schedules: Sequence[dict[str, Any]] = ()
    timezone: str | None = None
    anchor_date: str | None = None

    def given(self) -> list[str]:
        """The names of what was said."""
        return [name for name, value in vars(self).items() if value not in (None, {}, ()) and value != []]


@dataclass
class _Chosen:
    """One deployment on its way: its entry, the flags laid over it, its flow."""

    entry: Entry
    raw: dict[str, Any]
    path: Path
    flow: Flow | None = None


def build(
    project: Project | None,
    names: Sequence[str] = (),
    overrides: Overrides | None = None,
    *,
    everything: bool = False,
    steps: bool = True,
    say: Say = templating.silent,
) -> DeploymentsApply:
    """Everything that `deploy` will apply, checked: nothing has changed anywhere before it returns.

    Every entrypoint is loaded and every parameter checked before the first build step runs.

    Args:
        project: the file; None for the current folder without one.
        names: of deployments: `name`, `flow/name`, or either with `*`.
        overrides: the flags; with several deployments they are not used, and `say` is told so.
        everything: all deployments of the file that have a name.
        steps: run the build and push steps; without, their outputs stay as placeholders.
        say: told of progress and warnings, a line each.

    Raises:
        ProjectError: the file says something wrong.
        NotFound: no deployment has a name that was asked for.
        InvalidInput: it is not clear what to deploy, or a flag is wrong.
        EntrypointError: a flow cannot be loaded.
        ParameterError: parameters do not fit the flow.
        RunyardError: a step failed.
    """
    project = project or Project.empty()
    overrides = overrides or Overrides()
    for warning in project.warnings:
        say(warning)
    entries = select(project, names, overrides, everything, say)
    if len(entries) > 1 and overrides.given():
        flags = ", ".join(name.replace("_", " ") for name in overrides.given())
        say(f"{len(entries)} deployments are selected, so these flags are not used: {flags}")
        overrides = Overrides()
    modules: dict[str, ModuleType] = {}
    with contextlib.chdir(project.folder):
        chosen = [_choose(project, entry, overrides) for entry in entries]
        for item in chosen:
            _load(project, item, modules)
        deployments = [_finish(project, item, steps, say) for item in chosen]
    return DeploymentsApply(deployments=deployments, owner=project.owner)


def select(
    project: Project,
    names: Sequence[str] = (),
    overrides: Overrides | None = None,
    everything: bool = False,
    say: Say = templating.silent,
) -> list[Entry]:
    """The deployments of a project that were asked for; see `build`.

    A name that the file does not have is a new deployment when an entrypoint was given.
    """
    if everything and names:
        raise InvalidInput("give names or --all, not both")
    if everything:
        return _all_named(project, say)
    if not names:
        return [_only_one(project, overrides)]
    found: list[Entry] = []
    for name in names:
        matches = [entry for entry in project.entries if _matches(name, entry)]
        if not matches:
            matches = [_unmatched(project, name, len(names) == 1, overrides)]
        found.extend(entry for entry in matches if entry not in found)
    return found


def _all_named(project: Project, say: Say) -> list[Entry]:
    named = [entry for entry in project.entries if entry.spec.name]
    for entry in project.entries:
        if not entry.spec.name:
            say(f"{project.places.at(('deployments', entry.index))}: skipped, it has no name")
    if not named:
        raise NotFound(f"{project.places.name} has no deployment with a name")
    return named


def _only_one(project: Project, overrides: Overrides | None) -> Entry:
    if len(project.entries) == 1:
        entry = project.entries[0]
        if entry.spec.name is None:
            place = project.places.at(("deployments", 0))
            raise InvalidInput(f"{place}: the deployment has no name; give it one, or say --name NAME")
        return entry
    if project.entries:
        known = ", ".join(entry.spec.name or "(no name)" for entry in project.entries)
        raise InvalidInput(
            f"{project.places.name} has several deployments: {known}; say --name NAME or --all"
        )
    if overrides and overrides.entrypoint:
        return _new("default")
    raise InvalidInput(
        "there is nothing to deploy: no prefect.yaml with a deployment, and no entrypoint given"
    )


def _unmatched(project: Project, name: str, alone: bool, overrides: Overrides | None) -> Entry:
    nameless = [entry for entry in project.entries if entry.spec.name is None]
    plain = "*" not in name and "/" not in name
    if plain and alone and len(project.entries) == len(nameless) == 1:
        entry = nameless[0]
        return Entry(entry.index, {**entry.raw, "name": name}, entry.spec.model_copy(update={"name": name}))
    if plain and alone and overrides and overrides.entrypoint:
        return _new(name)
    known = [entry.spec.name for entry in project.entries if entry.spec.name]
    close = get_close_matches(name.rpartition("/")[2], known, 1)
    if close:
        hint = f"did you mean {close[0]!r}?"
    else:
        hint = f"it has: {', '.join(known)}" if known else "it has none; give an entrypoint to make one"
    raise NotFound(f"{project.places.name} has no deployment {name!r}; {hint}")


def _new(name: str) -> Entry:
    """A deployment that only the command line describes."""
    raw = {"name": name}
    return Entry(-1, dict(raw), DeploymentSpec(name=name))


def _matches(pattern: str, entry: Entry) -> bool:
    name = entry.spec.name
    if name is None:
        return False
    flow, slash, last = pattern.rpartition("/")
    if not fnmatchcase(name, last):
        return False
    if not slash:
        return True
    function = (entry.spec.entrypoint or "").replace(":", ".").rpartition(".")[2]
    spellings = {function, function.replace("_", "-"), entry.spec.flow_name or function}
    return any(fnmatchcase(spelling, flow) for spelling in spellings)


def _choose(project: Project, entry: Entry, overrides: Overrides) -> _Chosen:
    """Lay the flags over a deployment's mapping and check the result."""
    raw = dict(entry.raw)
    for key in (
        "entrypoint",
        "description",
        "version",
        "enforce_parameter_schema",
        "paused",
        "crash_retries",
    ):
        if getattr(overrides, key) is not None:
            raw[key] = getattr(overrides, key)
    if overrides.tags is not None:
        raw["tags"] = list(overrides.tags)
    if overrides.parameters:
        raw["parameters"] = {**(raw.get("parameters") or {}), **overrides.parameters}
    _lay_over_pool(raw, entry.spec, overrides)
    _lay_over_limit(raw, overrides)
    _lay_over_schedules(raw, overrides)
    path: Path = ("deployments", entry.index) if entry.index >= 0 else ()
    _fill_stored(raw, project.places.at(path) if path else "the command line")
    spec = check_deployment(raw, project.places, path, final=False)
    return _Chosen(Entry(entry.index, raw, spec), raw, path)


def _fill_stored(raw: dict[str, Any], where: str) -> None:
    """Fill in variables and blocks. Steps and job variables have theirs filled in when they are used, so
    that no secret is stored with the deployment."""
    for key, value in raw.items():
        if key in ("build", "push", "pull"):
            continue
        if key == "work_pool" and isinstance(value, dict):
            named = {name: item for name, item in value.items() if name != "job_variables"}
            raw[key] = {**value, **stored.resolve(named, where, secrets=False)}
        else:
            raw[key] = stored.resolve(value, where, secrets=False)


def _lay_over_pool(raw: dict[str, Any], spec: DeploymentSpec, overrides: Overrides) -> None:
    pool = dict(raw.get("work_pool") or {})
    if overrides.work_pool_name:
        pool["name"] = overrides.work_pool_name
    elif not pool.get("name") and settings.get("default_work_pool_name"):
        pool["name"] = settings.get("default_work_pool_name")
    if overrides.work_queue_name:
        pool["work_queue_name"] = overrides.work_queue_name
    if overrides.job_variables:
        said = (spec.work_pool.variables() if spec.work_pool else None) or {}
        pool["job_variables"] = {**said, **overrides.job_variables}
    if pool:
        raw["work_pool"] = pool


def _lay_over_limit(raw: dict[str, Any], overrides: Overrides) -> None:
    limit = raw.get("concurrency_limit")
    if overrides.concurrency_limit is not None:
        said = dict(limit) if isinstance(limit, dict) else {}
        limit = {**said, "limit": overrides.concurrency_limit}
    if overrides.collision_strategy is not None:
        if limit is None:
            raise InvalidInput("--collision-strategy needs a concurrency limit")
        limit = {**(limit if isinstance(limit, dict) else {"limit": limit})}
        limit["collision_strategy"] = overrides.collision_strategy.upper()
    if limit is not None:
        raw["concurrency_limit"] = limit


def _lay_over_schedules(raw: dict[str, Any], overrides: Overrides) -> None:
    if not (overrides.schedules or overrides.timezone or overrides.anchor_date):
        return
    said = raw.pop("schedule", None)
    schedules = [dict(item) for item in ([said] if said else raw.get("schedules") or [])]
    schedules.extend(dict(item) for item in overrides.schedules)
    for item in schedules:
        if overrides.timezone and "at" not in item:
            item["timezone"] = overrides.timezone
        if overrides.anchor_date and item.get("interval") is not None:
            item["anchor_date"] = overrides.anchor_date
    raw["schedules"] = schedules


def _load(project: Project, item: _Chosen, modules: dict[str, ModuleType]) -> None:
    """Load the flow, and check what can be checked before any step runs."""
    spec, places = item.entry.spec, project.places
    if not spec.entrypoint:
        place = f"{places.at(item.path)}: " if item.path else ""
        raise InvalidInput(
            f"{place}deployment {spec.name!r} has no entrypoint; write entrypoint: path/file.py:function"
        )
    where = (*item.path, "entrypoint")
    if templating.has_placeholder(spec.entrypoint):
        raise places.error(where, "an entrypoint must be known before the steps run")
    item.flow = loading.load_flow(spec.entrypoint, project.folder, modules)
    _check_parameters(project, item, spec)


def _check_parameters(project: Project, item: _Chosen, spec: DeploymentSpec) -> None:
    assert item.flow is not None
    if spec.enforce_parameter_schema is False:
        return
    at = project.places.at
    place = at((*item.path, "parameters")) + ": " if item.path else ""
    schema.check_parameters(item.flow.fn, spec.parameters or {}, f"{place}deployment {spec.name}")
    for position, schedule in enumerate(spec.all_schedules()):
        key: Path = ("schedule",) if spec.schedule else ("schedules", position)
        place = at((*item.path, *key, "parameters")) + ": " if item.path else ""
        schema.check_parameters(item.flow.fn, schedule.parameters or {}, f"{place}schedule of {spec.name}")
        given = {**(spec.parameters or {}), **(schedule.parameters or {})}
        missing = schema.missing_parameters(item.flow.fn, given)
        if missing:
            raise ParameterError(
                f"{place}deployment {spec.name}: its scheduled runs would lack the parameter {missing[0]!r}, "
                "which has no default; write it under parameters"
            )


def _finish(project: Project, item: _Chosen, steps: bool, say: Say) -> DeploymentApply:
    """Run the build and push steps, fill in what they put out, and write the deployment down."""
    outputs: dict[str, Any] = {}
    if steps:
        for phase in ("build", "push"):
            run_steps(project.phase(item.entry, phase), outputs, say)
    warn = say if steps else None
    rest = {key: value for key, value in item.raw.items() if key not in ("build", "push", "pull")}
    spec = check_deployment(
        templating.fill_outputs(rest, outputs, warn), project.places, item.path, final=steps
    )
    if steps:
        _check_parameters(project, item, spec)
    pull = templating.fill_outputs(project.phase(item.entry, "pull"), outputs)
    pull = templating.fill_environment(pull, os.environ, say)
    return DeploymentApply.model_validate(_body(project, item, spec, pull))


def _body(project: Project, item: _Chosen, spec: DeploymentSpec, pull: list[Any]) -> dict[str, Any]:
    """The fields to apply. What nobody said is not among them, so that a redeploy keeps what is stored."""
    assert item.flow is not None
    flow: Flow = item.flow
    body: dict[str, Any] = {
        "name": spec.name,
        "flow_name": flow.name,
        "entrypoint": spec.entrypoint,
        "version": spec.version or getattr(flow, "version", None) or _file_version(flow),
        "parameter_openapi_schema": schema.parameter_schema(flow.fn),
        "pull_steps": pull or None,
        # A run without pull steps finds its code where it was deployed from.
        "path": None if pull else project.folder,
    }
    said = {
        "description": spec.description or getattr(flow, "description", None),
        "tags": spec.tags,
        "parameters": spec.parameters,
        "paused": spec.paused,
        "enforce_parameter_schema": spec.enforce_parameter_schema,
        "crash_retries": spec.crash_retries,
    }
    body.update({key: value for key, value in said.items() if value is not None})
    if spec.work_pool is not None:
        pool = {
            "work_pool_name": spec.work_pool.name,
            "work_queue_name": spec.work_pool.work_queue_name,
            "job_variables": spec.work_pool.variables(),
        }
        body.update({key: value for key, value in pool.items() if value is not None})
    if spec.concurrency_limit is not None:
        options = spec.concurrency_limit.model_dump(exclude_none=True)
        body["concurrency_limit"] = options.pop("limit")
        if options:
            body["concurrency_options"] = options
    schedules = [{"schedule": one.timing(), **one.behaviour()} for one in spec.all_schedules()]
    # A file always speaks for its schedules: one that it names no longer is removed.
    if schedules or project.file:
        body["schedules"] = schedules
    return body


def _file_version(flow: Flow) -> str | None:
    """A version for a flow that names none: it changes whenever its file does."""
    file = getattr(getattr(flow.fn, "__code__", None), "co_filename", None)
    try:
        with open(file or "", "rb") as stream:
            return hashlib.sha256(stream.read()).hexdigest()[:12]
    except OSError:
        return None
