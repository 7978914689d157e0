"""From a project file and options to the deployments to apply: checks, steps, placeholders."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.base.errors import InvalidInput, ParameterError, RunyardError
from runyard.deployments import signature_schema
from runyard.deployments.loading import absent, loading
from runyard.deployments.placeholders import fill_placeholders, stored_placeholders
from runyard.deployments.project import job_variable_warnings, placeholder_checks, version_info
from runyard.deployments.project.flag_overrides import Overrides, lay_over
from runyard.deployments.project.project_keys import AllFaults
from runyard.deployments.project.project_shapes import JOB_VARIABLES, SCHEDULE_KINDS, DeploymentSpec
from runyard.deployments.project.read_project import Entry, Project, check_deployment
from runyard.deployments.project.selection import select
from runyard.deployments.project.yaml_places import Path
from runyard.deployments.steps import run_steps
from runyard.domain.parameter_schemas import check, fitted_all
from runyard.domain.schedules.schedule_warnings import warnings
from runyard.operations.deployments.deployment_shapes import POLICIES, DeploymentApply, DeploymentsApply

if TYPE_CHECKING:
    from runyard.engine.flow_definition import FlowDefinition

Say = Callable[[str], None]

_STEP_KEYS = ("build", "push", "pull")


@dataclass
class Plan:
    """What a deploy will apply.

    Args:
        body: the deployments.
        unknown: for each, the fields that depend on outputs of build and push steps that did not run:
            field -> its text in the file. They are not in `body`.
    """

    body: DeploymentsApply
    unknown: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class _Chosen:
    """One deployment in progress: its mapping with the options merged, its place, its flow."""

    entry: Entry
    raw: dict[str, Any]
    path: Path
    flow: FlowDefinition | None = None
    folder: str = ""


def build(
    project: Project | None,
    names: Sequence[str] = (),
    overrides: Overrides | None = None,
    *,
    everything: bool = False,
    steps: bool = True,
    push: bool = True,
    may_be_none: bool = False,
    say: Say = fill_placeholders.silent,
    accepts: Callable[[DeploymentsApply], object] | None = None,
) -> Plan:
    """Check everything and return what `deploy` will apply. Nothing has changed anywhere before it returns.

    Every entrypoint is loaded (each file once), and every parameter and placeholder is checked, before the
    first build step runs. Deployments with the same steps share one run of them.

    Args:
        project: the file; None for the current folder without one.
        names: of deployments: `name`, `flow/name`, or either with `*`.
        overrides: the options; with several deployments they are ignored, with a warning to `say`.
        everything: all deployments of the file that have a name.
        steps: run the build and push steps; if false, fields that depend on their outputs are unknown.
        push: run the push steps too.
        may_be_none: with `everything`, a file without any deployment is valid.
        say: called with progress and warnings, one line each.
        accepts: called before the first step, if there are any, with what is known by then. It raises what
            applying would raise, such as a missing work pool: an image is not built in vain.

    Raises:
        ProjectError: the file is invalid.
        NotFound: no deployment has a requested name.
        InvalidInput: it is not clear what to deploy, or an option is invalid.
        EntrypointError: a flow cannot be loaded.
        ParameterError: parameters are invalid.
        RunyardError: a step failed.
    """
    project = project or Project.empty()
    overrides = overrides or Overrides()
    for warning in project.warnings:
        say(warning)
    faults = AllFaults(project.faults)
    try:
        entries = select(project, names, overrides, everything, say, may_be_none)
    except RunyardError:
        # The requested deployment may be one of the malformed ones.
        faults.raise_all()
        raise
    if len(entries) > 1 and overrides.given():
        flags = ", ".join(name.replace("_", " ") for name in overrides.given())
        say(f"{len(entries)} deployments are selected, so these options are ignored: {flags}")
        overrides = Overrides()
    loader = absent.FlowLoader(project.folder)
    here = os.getcwd()
    with contextlib.chdir(project.folder):
        phases = ("build", "push") if push else ("build",)
        chosen = _choose_all(project, entries, overrides, phases, faults)
        for item in chosen:
            _warn_of_schedules(project, item, say)
            _warn_of_places(project, item, say)
        _load_all(project, chosen, loader, here, say, faults)
        faults.raise_all()
        loader.report(say)
        runs = _StepRuns(project, phases, say) if steps else None
        commits = _Commits(project.folder)

        def finished(runs: _StepRuns | None) -> Plan:
            made = DeploymentsApply.model_construct(deployments=[], owner=project.owner, whole=everything)
            plan = Plan(made)
            for item in chosen:
                declared, unknown = _finish(project, item, runs, commits)
                plan.body.deployments.append(declared)
                plan.unknown.append(unknown)
            return plan

        if accepts and runs and any(map(runs.of, (item.entry for item in chosen))):
            accepts(finished(None).body)
        return finished(runs)


class _StepRuns:
    """Runs the build and push steps of this deploy; equal ones run once."""

    def __init__(self, project: Project, phases: Sequence[str], say: Say) -> None:
        self._project = project
        self._phases = phases
        self._say = say
        self._done: dict[str, dict[str, Any]] = {}

    def of(self, entry: Entry) -> list[Any]:
        """The steps of a deployment."""
        return [step for phase in self._phases for step in self._project.phase(entry, phase)]

    def outputs(self, entry: Entry) -> dict[str, Any]:
        """The outputs of a deployment's steps."""
        lists = [self._project.phase(entry, phase) for phase in self._phases]
        key = json.dumps(lists, default=str)
        if key not in self._done:
            outputs: dict[str, Any] = {}
            for steps in lists:
                run_steps(steps, outputs, self._say)
            self._done[key] = outputs
        return self._done[key]


class _Commits:
    """The commit of the code, looked up once per deploy."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._found: dict[str | None, dict[str, Any] | None] = {}

    def of(self, version_type: str | None) -> dict[str, Any] | None:
        """The commit; see `version_info.find`."""
        if version_type not in self._found:
            self._found[version_type] = version_info.find(self._folder, version_type)
        return self._found[version_type]


def _choose_all(
    project: Project, entries: Sequence[Entry], overrides: Overrides, phases: Sequence[str], faults: AllFaults
) -> list[_Chosen]:
    """All deployments with the options merged, without those whose mistakes go into `faults`."""
    chosen = []
    for entry in entries:
        with faults.of(""):
            chosen.append(_choose(project, entry, overrides, phases))
    return chosen


def _load_all(
    project: Project,
    chosen: Sequence[_Chosen],
    loader: absent.FlowLoader,
    here: str,
    say: Say,
    faults: AllFaults,
) -> None:
    """Load all flows; report the mistakes of all of them."""
    for item in chosen:
        with faults.of(project.places.at((*item.path, "entrypoint")) if item.path else ""):
            _load(project, item, loader, here, say)


def _choose(project: Project, entry: Entry, overrides: Overrides, phases: Sequence[str]) -> _Chosen:
    """Merge the options over a deployment's mapping and check the result."""
    raw = lay_over(entry.raw, entry.spec, overrides)
    path: Path = ("deployments", entry.index) if entry.index >= 0 else ()
    placeholder_checks.check(project, entry, raw, path, phases)
    _fill_stored(raw, project.places.at(path) if path else "the command line")
    spec = check_deployment(raw, project.places, path, final=False)
    return _Chosen(Entry(entry.index, raw, spec), raw, path)


def _fill_stored(raw: dict[str, Any], where: str) -> None:
    """Fill in variables and blocks, except in steps and job variables.

    Those are filled in when they are used, so that no secret is stored with the deployment.
    """
    for key, value in raw.items():
        if key in _STEP_KEYS or key not in DeploymentSpec.model_fields:
            continue
        if key == "work_pool" and isinstance(value, dict):
            named = {name: item for name, item in value.items() if name not in JOB_VARIABLES}
            raw[key] = {**value, **stored_placeholders.resolve(named, where, secrets=False)}
        else:
            raw[key] = stored_placeholders.resolve(value, where, secrets=False)


def _load(project: Project, item: _Chosen, loader: absent.FlowLoader, here: str, say: Say) -> None:
    """Load the flow, and check what can be checked before any step runs."""
    spec, places = item.entry.spec, project.places
    if not spec.entrypoint:
        place = f"{places.at(item.path)}: " if item.path else ""
        raise InvalidInput(
            f"{place}deployment {spec.name!r} has no entrypoint; write entrypoint: path/file.py:function"
        )
    where = (*item.path, "entrypoint")
    if fill_placeholders.has_placeholder(spec.entrypoint):
        raise places.error(where, "an entrypoint must be known before the steps run")
    item.folder = _folder_of(spec.entrypoint, project.folder, here)
    if item.folder != project.folder:
        say(f"{places.at(where)}: {spec.entrypoint} is read from the current folder, {item.folder}")
    item.flow = loader.load(spec.entrypoint, item.folder)
    _fit_parameters(project, item, spec)
    _check_parameters(project, item, spec)


def _warn_of_schedules(project: Project, item: _Chosen, say: Say) -> None:
    """Warn of schedules that are over or read differently than they look."""
    spec = item.entry.spec
    for position, schedule in enumerate(spec.all_schedules()):
        key: Path = ("schedule",) if spec.schedule else ("schedules", position)
        kind = next((kind for kind in SCHEDULE_KINDS if getattr(schedule, kind) is not None), "cron")
        place = f"{project.places.at((*item.path, *key, kind))}: " if item.path else ""
        for warning in warnings(schedule.timing(), clock.now()):
            say(f"{place}{warning}")


def _warn_of_places(project: Project, item: _Chosen, say: Say) -> None:
    """Warn of job variables that point runs to another database than their worker's."""
    spec = item.entry.spec
    if spec.work_pool is None:
        return
    place = f"{project.places.at((*item.path, 'work_pool'))}: " if item.path else ""
    for warning in job_variable_warnings.warnings(str(spec.name), spec.work_pool.variables()):
        say(f"{place}{warning}")


def _folder_of(entrypoint: str, folder: str, here: str) -> str:
    """The folder of an entrypoint: the file's, or the current one if only that contains it."""
    file = loading.parse(entrypoint).file
    if file is None or os.path.isfile(os.path.join(folder, file)):
        return folder
    return here if os.path.isfile(os.path.join(here, file)) else folder


def _fit_parameters(project: Project, item: _Chosen, spec: DeploymentSpec) -> None:
    """Convert texts of placeholders to the types of the flow's parameters."""
    assert item.flow is not None
    if spec.enforce_parameter_schema is False or not item.path:
        return
    wanted = signature_schema.parameter_schema(item.flow.fn)

    def fit(values: dict[str, Any] | None, *keys: str | int) -> dict[str, Any] | None:
        return values and placeholder_checks.fitted(values, wanted, project.places, (*item.path, *keys))

    spec.parameters = fit(spec.parameters, "parameters")
    for position, schedule in enumerate(spec.all_schedules()):
        key: Path = ("schedule",) if spec.schedule else ("schedules", position)
        schedule.parameters = fit(schedule.parameters, *key, "parameters")


def _check_parameters(project: Project, item: _Chosen, spec: DeploymentSpec) -> None:
    assert item.flow is not None
    if spec.enforce_parameter_schema is False:
        return
    at = project.places.at
    wrong: list[str] = []
    place = at((*item.path, "parameters")) + ": " if item.path else ""
    wrong += _misfits(item.flow, spec.parameters or {}, f"{place}deployment {spec.name}")
    for position, schedule in enumerate(spec.all_schedules()):
        key: Path = ("schedule",) if spec.schedule else ("schedules", position)
        place = at((*item.path, *key, "parameters")) + ": " if item.path else ""
        wrong += _misfits(item.flow, schedule.parameters or {}, f"{place}schedule of {spec.name}")
        given = {**(spec.parameters or {}), **(schedule.parameters or {})}
        wrong += [
            f"{place}deployment {spec.name}: its scheduled runs would lack the parameter {name!r}, "
            "which has no default; add it to parameters"
            for name in signature_schema.missing_parameters(item.flow.fn, given)
        ]
    if wrong:
        raise ParameterError("\n".join(wrong))


def _misfits(flow: FlowDefinition, given: dict[str, Any], where: str) -> list[str]:
    """The faults of values, one line each."""
    try:
        _check_values(flow, given, where)
    except ParameterError as error:
        return error.message.split("\n")
    return []


def _check_values(flow: FlowDefinition, given: dict[str, Any], where: str) -> None:
    """Check values like the flow, and like the database, which does not accept a text for a number."""
    signature_schema.check_parameters(flow.fn, given, where)
    known = {name: value for name, value in given.items() if not fill_placeholders.has_placeholder(value)}
    wanted = signature_schema.parameter_schema(flow.fn)
    try:
        check(fitted_all(known, wanted), wanted, flow.name, complete=False)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error.message}") from None


def _finish(
    project: Project, item: _Chosen, runs: _StepRuns | None, commits: _Commits
) -> tuple[DeploymentApply, dict[str, Any]]:
    """Fill in the outputs of build and push steps, and create the request.

    Returns:
        The deployment, and its fields that are unknown because the steps did not run.
    """
    outputs = runs.outputs(item.entry) if runs else {}
    rest = {key: value for key, value in item.raw.items() if key not in _STEP_KEYS}
    filled = placeholder_checks.fill_outputs(project, rest, outputs, item.path, final=runs is not None)
    spec = check_deployment(filled, project.places, item.path, final=runs is not None)
    _fit_parameters(project, item, spec)
    if runs:
        _check_parameters(project, item, spec)
    pull = fill_placeholders.fill_outputs(project.phase(item.entry, "pull"), outputs)
    pull = fill_placeholders.fill_shareable_environment(pull, os.environ)
    body = _body(project, item, spec, pull, commits)
    unknown = {} if runs else _take_unknown(body, filled)
    return DeploymentApply.model_validate(body), unknown


def _take_unknown(body: dict[str, Any], filled: dict[str, Any]) -> dict[str, Any]:
    """Remove the fields from `body` that need outputs of steps."""
    unknown = {
        name: body.pop(name)
        for name in list(body)
        if name != "pull_steps" and placeholder_checks.waits_for_step(body[name])
    }
    for name in ("schedules", "concurrency_limit", "paused", *POLICIES):
        if placeholder_checks.waits_for_step(filled.get(name)):
            body.pop(name, None)
            unknown[name] = filled[name]
    return unknown


def _body(
    project: Project, item: _Chosen, spec: DeploymentSpec, pull: list[Any], commits: _Commits
) -> dict[str, Any]:
    """The fields to apply. Fields that are not set are omitted, so a redeploy keeps their stored values."""
    assert item.flow is not None
    flow: FlowDefinition = item.flow
    parameter_schema = signature_schema.parameter_schema(flow.fn)
    body: dict[str, Any] = {
        "name": spec.name,
        "flow_name": flow.name,
        "entrypoint": spec.entrypoint,
        **version_info.describe(flow, spec.version, spec.version_type, item.folder, commits.of),
        "parameter_openapi_schema": parameter_schema,
        "pull_steps": pull or None,
        # A run without pull steps uses the code in the folder from which it was deployed.
        "path": None if pull else item.folder,
    }
    said = {
        "description": spec.description or getattr(flow, "description", None),
        "tags": spec.tags,
        "parameters": spec.parameters and fitted_all(spec.parameters, parameter_schema),
        "paused": spec.paused,
        "enforce_parameter_schema": spec.enforce_parameter_schema,
        **{name: getattr(spec, name) for name in POLICIES},
        "triggers": spec.triggers,
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
    # A file always defines its schedules: one that it no longer names is deleted.
    if schedules or project.file:
        body["schedules"] = schedules
    return body
