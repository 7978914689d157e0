"""Checks the placeholders of a project's file before anything runs; one without a value is refused."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from runyard.base.errors import ParameterError
from runyard.base.suggestions import did_you_mean
from runyard.deployments.placeholders import fill_placeholders, stored_placeholders
from runyard.deployments.project.project_keys import Faults
from runyard.deployments.project.project_shapes import JOB_VARIABLES, DeploymentSpec
from runyard.deployments.project.read_project import PHASES, Entry, Project
from runyard.deployments.project.yaml_places import Path, Places
from runyard.deployments.steps import named
from runyard.deployments.steps.outputs import outputs_of
from runyard.domain import parameter_schemas as rules

# As people write them in environment variables; JSON uses lower case.
_WORDS = ("true", "false", "null")
_ROOT = re.compile(r"[^.\[]+")


class _Known:
    """The outputs of the steps so far.

    Args:
        outputs: by step id; None if they are unknown before it runs.
        flat: the outputs of steps without an id.
        open: whether one of the steps may have any output.
    """

    def __init__(self) -> None:
        self.ids: dict[str, frozenset[str] | None] = {}
        self.flat: set[str] = set()
        self.open = False

    def add(self, name: str, identity: Any) -> None:
        """Add a step that runs next."""
        outputs = outputs_of(name)
        if identity is not None:
            self.ids[str(identity)] = outputs
        if outputs is None:
            self.open = True
        else:
            self.flat |= outputs

    def problem(self, name: str) -> str | None:
        """Why no step has the output `name`; None if one may have it."""
        for identity, outputs in self.ids.items():
            if name == identity:
                return None
            if name.startswith((f"{identity}.", f"{identity}[")):
                match = _ROOT.search(name, len(identity) + 1)
                if outputs is None or (match and match.group(0) in outputs):
                    return None
                return f"the step {identity!r} has the outputs {', '.join(sorted(outputs)) or 'nothing'}"
        match = _ROOT.match(name)
        if self.open or (match and match.group(0) in self.flat):
            return None
        wanted = name.partition(".")[0]
        if "." in name and name.rpartition(".")[2] in self.flat:
            return f"no step has the id {wanted!r}; add `id: {wanted}` to the step with this output"
        known = [f"{identity}.{key}" for identity, keys in self.ids.items() for key in keys or ()]
        return "no earlier step has this output" + did_you_mean(name, [*known, *self.flat], cutoff=0.5)


def check(project: Project, entry: Entry, raw: Mapping[str, Any], path: Path, phases: Sequence[str]) -> None:
    """Refuse placeholders of a deployment that nothing can fill.

    Args:
        project: its file.
        entry: its entry, for its steps.
        raw: its mapping with the options merged.
        path: its place in the file; () for one from the command line.
        phases: whose steps run before it is stored: build, push.

    Raises:
        ProjectError: an environment variable is not set, or no step has such an output.
    """
    known, faults = _Known(), Faults()
    for phase in phases:
        for place, step in _placed_steps(project, entry, phase, path):
            _check_value(project, step, place, known, faults)
            # These steps run now, on this machine, so their variables and blocks must exist.
            with faults:
                stored_placeholders.resolve(step, project.places.at(place))
            _add(known, step)
    rest = {
        key: value for key, value in raw.items() if key in DeploymentSpec.model_fields and key not in PHASES
    }
    pool = rest.get("work_pool")
    if isinstance(pool, Mapping):
        rest["work_pool"] = {key: value for key, value in pool.items() if key not in JOB_VARIABLES}
        for key in JOB_VARIABLES:
            place = (*path, "work_pool", key)
            _check_value(project, pool.get(key), place, known, faults, environment=False)
    _check_value(project, rest, path, known, faults)
    for place, step in _placed_steps(project, entry, "pull", path):
        _check_value(project, step, place, known, faults, environment=False)
        _add(known, step)
    faults.raise_all()


def fill_outputs(
    project: Project, raw: dict[str, Any], outputs: Mapping[str, Any], path: Path, final: bool
) -> dict[str, Any]:
    """A deployment with the steps' outputs filled in.

    Raises:
        ProjectError: with `final`, no step had the output of a placeholder.
    """
    try:
        filled: dict[str, Any] = fill_placeholders.fill_outputs(raw, outputs, final)
    except fill_placeholders.MissingValue as error:
        place = fill_placeholders.place_of(raw, error.placeholder.text)
        raise project.places.error((*path, *place), str(error)) from None
    return filled


def waits_for_step(value: Any) -> bool:
    """Whether `value` still contains a placeholder of a step's output."""
    return any(found.kind == fill_placeholders.STEP for found in fill_placeholders.placeholders(value))


def _placed_steps(project: Project, entry: Entry, phase: str, path: Path) -> list[tuple[Path, Any]]:
    """The steps of a deployment, with their places in the file."""
    base: Path = (*path, phase) if phase in entry.raw else (phase,)
    single = project.places.is_mapping(base)
    steps: Sequence[Any] = project.phase(entry, phase)
    return [((*base,) if single else (*base, position), step) for position, step in enumerate(steps)]


def _add(known: _Known, step: Mapping[str, Any]) -> None:
    name, inputs = named(step)
    known.add(name, inputs.get("id"))


def _check_value(
    project: Project, value: Any, path: Path, known: _Known, faults: Faults, environment: bool = True
) -> None:
    for found in fill_placeholders.placeholders(value):
        problem = None
        if found.kind == fill_placeholders.STEP:
            problem = known.problem(found.name)
        elif found.kind == fill_placeholders.ENVIRONMENT and environment and found.name[1:] not in os.environ:
            problem = f"the environment variable {found.name[1:]} is not set"
        if problem:
            place = fill_placeholders.place_of(value, found.text)
            with faults:
                raise project.places.error((*path, *place), f"{found.text}: {problem}")


def fitted(
    values: Mapping[str, Any], schema: Mapping[str, Any], places: Places, path: Path
) -> dict[str, Any]:
    """Convert texts from placeholders to numbers, booleans or null if a parameter accepts only those.

    Args:
        values: by name, placeholders filled in.
        schema: of the flow's parameters.
        places: the file.
        path: the place of the parameters in it.
    """
    made = dict(values)
    for name, value in values.items():
        if not _fits(name, value, schema):
            read = _read(value, places, (*path, name))
            if _fits(name, read, schema):
                made[name] = read
    return made


def _fits(name: str, value: Any, schema: Mapping[str, Any]) -> bool:
    try:
        rules.check({name: value}, schema, complete=False)
    except ParameterError:
        return False
    return True


def _read(value: Any, places: Places, path: Path) -> Any:
    """Parse as JSON each text that came from a placeholder that was the whole value."""
    if isinstance(value, Mapping):
        return {key: _read(item, places, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_read(item, places, (*path, position)) for position, item in enumerate(value)]
    written = places.text(path)
    if not isinstance(value, str) or written is None or not fill_placeholders.is_placeholder(written):
        return value
    try:
        return json.loads(value.strip().lower() if value.strip().lower() in _WORDS else value)
    except ValueError:
        return value
