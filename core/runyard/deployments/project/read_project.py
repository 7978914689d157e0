"""A project file, `prefect.yaml`, parsed strictly; every mistake has its place."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from pydantic import ValidationError

from runyard.base.errors import NotFound, ProjectError, ScheduleError
from runyard.base.suggestions import did_you_mean
from runyard.deployments.placeholders import fill_placeholders
from runyard.deployments.project.project_keys import Faults, check_keys, flatten
from runyard.deployments.project.project_shapes import (
    FIELD_NAMES,
    JOB_VARIABLES,
    SCHEDULE_KINDS,
    DeploymentSpec,
    ProjectSpec,
)
from runyard.deployments.project.version_info import TYPES as VERSION_TYPES
from runyard.deployments.project.yaml_places import Path, Places, load
from runyard.deployments.steps import check_steps
from runyard.domain.schedules import instants as schedule_rules

FILE_NAME = "prefect.yaml"
PHASES = ("build", "push", "pull")
_TOP_LEVEL = (*ProjectSpec.model_fields, "prefect-version")
_NAME_FORBIDS = "/%&<>"


@dataclass
class Entry:
    """A deployment of the file.

    Args:
        index: its position in `deployments`.
        raw: its mapping, with environment variables filled in; steps and step placeholders unchanged.
        spec: the same, checked as far as possible before the steps run.
    """

    index: int
    raw: dict[str, Any]
    spec: DeploymentSpec


@dataclass
class Project:
    """A project file, or a folder without one.

    Args:
        folder: the absolute path of the folder to which its entrypoints are relative.
        file: its absolute path; None without a file.
        name: the project's name.
        steps: build, push and pull for the deployments without their own.
        entries: its deployments.
        places: the places of everything in the file, for messages.
        warnings: messages that are not errors.
        faults: the mistakes, if it was read without `refuse`; those deployments are not in `entries`.
    """

    folder: str
    file: str | None = None
    name: str | None = None
    steps: dict[str, list[Any]] = field(default_factory=lambda: {phase: [] for phase in PHASES})
    entries: list[Entry] = field(default_factory=list)
    places: Places = field(default_factory=lambda: Places("the command line"))
    warnings: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, folder: str | None = None) -> Project:
        """A folder without a project file."""
        return cls(os.path.abspath(folder or os.getcwd()))

    @property
    def owner(self) -> str:
        """The owner of its deployments: the project by name, else by its file; `cli` without a file.

        A project may have one file per environment: each owns its own deployments.
        """
        if not self.file:
            return "cli"
        if not self.name:
            return f"file {self.file}"
        base = os.path.basename(self.file)
        return f"project {self.name}" if base == FILE_NAME else f"project {self.name} ({base})"

    def phase(self, entry: Entry, phase: str) -> list[Any]:
        """The build, push or pull steps of a deployment: its own, or the file's."""
        if phase in entry.raw:
            return list(getattr(entry.spec, phase) or ())
        return self.steps[phase]


def read_project(path: str = FILE_NAME, names: Sequence[str] = (), refuse: bool = True) -> Project:
    """Read a project file.

    Args:
        path: the file, or its folder.
        names: the selected deployments, as for `selection.select`; mistakes in the others are warnings,
            and the others are left out. Empty: all are selected.
        refuse: raise mistakes in deployments; otherwise they are stored in `faults`, because `plan.build`
            reports them together with the mistakes in their flows and parameters.

    Raises:
        NotFound: the file does not exist.
        ProjectError: it is invalid: `file:line:column: key: what`.
    """
    file = os.path.abspath(os.path.join(path, FILE_NAME) if os.path.isdir(path) else path)
    shown = os.path.relpath(file)
    shown = file if shown.startswith(os.pardir) else shown
    try:
        with open(file, encoding="utf-8-sig") as stream:
            text = stream.read()
    except FileNotFoundError:
        raise NotFound(_missing(shown)) from None
    except UnicodeDecodeError as error:
        raise ProjectError(f"{shown}: is not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise ProjectError(f"{shown}: cannot be read: {error.strerror}") from None
    return parse_project(text, file, shown, names, refuse)


def _missing(shown: str) -> str:
    """The error for a missing file; who does not name one may be in another folder."""
    if shown != FILE_NAME:
        return f"file {shown} not found; `runyard init` creates a {FILE_NAME} in the current folder"
    return "no prefect.yaml here; change the folder, give an entrypoint, or create it with: runyard init"


def parse_project(
    text: str, file: str, shown: str | None = None, names: Sequence[str] = (), refuse: bool = True
) -> Project:
    """Parse the text of a project file; see `read_project`."""
    data, places = load(text, shown or file)
    project = Project(os.path.dirname(os.path.abspath(file)), os.path.abspath(file), places=places)
    if data is None:
        return project
    if not isinstance(data, dict):
        raise places.error((), f"a project file must be a mapping, not {_kind(data)}")
    faults = Faults()
    with faults:
        check_keys(places, (), data, _TOP_LEVEL, project.warnings)
    name = data.get("name")
    if name is not None and isinstance(name, dict | list):
        raise places.error(("name",), f"should be text, not {_kind(name)}")
    project.name = None if name is None else (places.text(("name",)) or str(name))
    for phase in PHASES:
        with faults:
            project.steps[phase] = _steps(data.get(phase), places, (phase,))
    entries = data.get("deployments") or []
    if not isinstance(entries, list):
        raise places.error(("deployments",), f"should be a list of deployments, not {_kind(entries)}")
    # The only deployment of a file is selected, whatever name it gets.
    strict = not names or len(entries) == 1
    for index, raw in enumerate(entries):
        others = Faults()
        with faults if strict or _is_meant(raw, names) else others:
            project.entries.append(_entry(project, index, raw))
        project.warnings += [f"{fault} (this deployment is not selected)" for fault in others.found]
    with faults:
        _refuse_same_names(project)
    project.faults = faults.found
    if refuse:
        faults.raise_all()
    return project


def check_deployment(
    raw: Mapping[str, Any], places: Places, path: Path, final: bool = True
) -> DeploymentSpec:
    """Check one deployment's mapping.

    Args:
        raw: the mapping, steps as lists.
        places: for the messages.
        path: its place in the file.
        final: whether steps have run: no placeholder is left that may still become a number.

    Raises:
        ProjectError: a value is invalid.
    """
    faults = Faults()
    spec, malformed = _shaped(dict(raw) if final else _without_placeholders(raw), faults, places, path)
    if spec.schedule and spec.schedules:
        with faults:
            raise places.error((*path, "schedule"), "give either schedule or schedules, not both", key=True)
    if spec.name is not None:
        wrong = next((sign for sign in spec.name if sign in _NAME_FORBIDS), None)
        if wrong or not spec.name.strip():
            message = f"a name must not be empty or contain any of {' '.join(_NAME_FORBIDS)}"
            with faults:
                raise places.error((*path, "name"), message)
    if spec.version_type is not None and spec.version_type not in VERSION_TYPES:
        message = f"is unknown: {spec.version_type!r}; valid are {', '.join(VERSION_TYPES)}"
        with faults:
            raise places.error((*path, "version_type"), message)
    _check_schedules(spec, malformed, places, path, faults)
    if spec.triggers:
        with faults:
            spec.triggers = _check_triggers(raw["triggers"], places, (*path, "triggers"), final)
    faults.raise_all()
    return spec


def _shaped(
    body: dict[str, Any], faults: Faults, places: Places, path: Path
) -> tuple[DeploymentSpec, set[int]]:
    """A deployment's mapping as a spec, without its invalid parts, because the rest may have mistakes too.

    Returns:
        The spec, and the positions of invalid schedules, which are empty in it.
    """
    try:
        return DeploymentSpec.model_validate(body), set()
    except ValidationError as error:
        with faults:
            raise _invalid(error, places, path) from None
        places_wrong = [fault["loc"] for fault in error.errors(include_url=False)]
    malformed = {int(loc[1]) for loc in places_wrong if loc[0] == "schedules" and len(loc) > 1}
    wrong = {loc[0] for loc in places_wrong if loc[0] != "schedules" or len(loc) == 1}
    rest = {key: value for key, value in body.items() if key not in wrong}
    if malformed:
        rest["schedules"] = [
            {} if position in malformed else item for position, item in enumerate(rest["schedules"])
        ]
    return DeploymentSpec.model_validate(rest), malformed


def _is_meant(raw: Any, names: Sequence[str]) -> bool:
    """Whether names may select a deployment that may be invalid."""
    name = raw.get("name") if isinstance(raw, dict) else None
    if name is None or isinstance(name, dict | list):
        return False
    shown = str(fill_placeholders.fill_environment(name, os.environ))
    return any(fnmatchcase(shown, pattern.rpartition("/")[2]) for pattern in names)


def _entry(project: Project, index: int, raw: Any) -> Entry:
    places, path = project.places, ("deployments", index)
    if not isinstance(raw, dict):
        raise places.error(path, f"a deployment must be a mapping, not {_kind(raw)}")
    raw = dict(raw)
    for key in ("name", "version"):
        # As written: the version 1.10 is not the number 1.1.
        if isinstance(raw.get(key), int | float):
            raw[key] = places.text((*path, key)) or str(raw[key])
    faults = Faults()
    with faults:
        check_keys(places, path, raw, tuple(DeploymentSpec.model_fields), project.warnings)
    for phase in PHASES:
        if phase in raw:
            with faults:
                raw[phase] = _steps(raw[phase], places, (*path, phase))
    with faults:
        flatten(raw, places, path, project.warnings)
    if faults.found:
        # Find further mistakes as far as possible.
        with faults:
            check_deployment({key: raw[key] for key in raw if key not in PHASES}, places, path, final=False)
        faults.raise_all()
    rest = {key: value for key, value in raw.items() if key not in PHASES}

    def warn(message: str) -> None:
        project.warnings.append(f"{places.at(path)}: {message}")

    raw.update(_fill_environment(rest))
    spec = check_deployment(raw, places, path, final=False)
    if spec.triggers:
        warn("triggers are stored, without effect until Runyard has events")
    if spec.sla:
        warn("sla is a feature of Prefect Cloud and is ignored")
    return Entry(index, raw, spec)


def _fill_environment(raw: dict[str, Any]) -> dict[str, Any]:
    """A deployment with the set environment variables filled in; one that is not selected needs none.

    In job variables, only those that may be stored; the worker fills in the rest.
    """
    pool = raw.get("work_pool")
    filled: dict[str, Any] = fill_placeholders.fill_environment(raw, os.environ)
    if isinstance(pool, dict):
        for key in JOB_VARIABLES:
            if key in pool:
                filled["work_pool"][key] = fill_placeholders.fill_shareable_environment(pool[key], os.environ)
    return filled


def _steps(value: Any, places: Places, path: Path) -> list[Any]:
    steps = [value] if isinstance(value, dict) and value else value or []
    if not isinstance(steps, list):
        raise places.error(path, f"should be a list of steps, not {_kind(value)}")
    faults = Faults()
    for position, step in enumerate(steps):
        place = (*path, position) if isinstance(value, list) else path
        try:
            check_steps([step])
        except ProjectError as error:
            with faults:
                raise places.error(place, str(error)) from None
    faults.raise_all()
    return list(steps)


def _check_schedules(
    spec: DeploymentSpec, malformed: set[int], places: Places, path: Path, faults: Faults
) -> None:
    single = bool(spec.schedule)
    slugs: set[str] = set()
    for position, item in enumerate(spec.all_schedules()):
        place = (*path, "schedule") if single else (*path, "schedules", position)
        if position in malformed and not single:
            continue
        timing = item.timing()
        with faults:
            if not _zone_is_known(timing, places, place, faults):
                timing.pop("timezone")
            _check_timing(timing, places, place)
        if item.slug and item.slug in slugs:
            with faults:
                raise places.error((*place, "slug"), f"two schedules have the slug {item.slug!r}")
        slugs.add(item.slug or "")


def _zone_is_known(timing: Mapping[str, Any], places: Places, path: Path, faults: Faults) -> bool:
    try:
        schedule_rules.check_zone(timing)
    except ScheduleError as error:
        with faults:
            raise places.error((*path, "timezone"), str(error)) from None
        return False
    return True


def _check_timing(timing: Mapping[str, Any], places: Places, path: Path) -> None:
    try:
        schedule_rules.parse(timing)
    except ScheduleError as error:
        kind = next((kind for kind in SCHEDULE_KINDS if timing.get(kind) is not None), None)
        raise places.error((*path, kind) if kind else path, str(error)) from None


def _check_triggers(triggers: list[Any], places: Places, path: Path, final: bool) -> list[Any]:
    # Few deployments have triggers (12 ms).
    from runyard.deployments.triggers import KEYS, check_triggers

    checked: list[Any] = []
    for position, trigger in enumerate(triggers):
        if not final and fill_placeholders.has_placeholder(trigger):
            continue
        try:
            checked += check_triggers([trigger])
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            # After the position of a trigger comes its type, which is not a key of the file.
            loc = first["loc"]
            keys = [step for step, before in zip(loc[1:], loc, strict=False) if not isinstance(before, int)]
            message = _message(first)
            if first["type"] == "extra_forbidden":
                message += did_you_mean(str(keys[-1]), KEYS, f"known are {', '.join(KEYS)}")
            raise places.error((*path, position, *keys), message, key="extra" in first["type"]) from None
    return checked


def _refuse_same_names(project: Project) -> None:
    seen: dict[tuple[str, str | None], int] = {}
    for entry in project.entries:
        name, entrypoint = entry.spec.name, entry.spec.entrypoint
        if name is None or fill_placeholders.has_placeholder(name):
            continue
        first = seen.setdefault((name, entrypoint), entry.index)
        if first != entry.index:
            path = ("deployments", entry.index, "name")
            raise project.places.error(path, f"deployments[{first}] of this flow is called {name!r} too")


def _without_placeholders(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping without the values that a step's output will make numbers, booleans or times."""
    loose = (
        *("parameters", "tags", "name", "version", "description", "entrypoint", "work_pool", "triggers"),
        *PHASES,
    )
    kept: dict[str, Any] = {}
    for key, value in raw.items():
        if key in loose or not fill_placeholders.has_placeholder(value):
            kept[key] = value
        elif key == "schedules" and isinstance(value, list):
            kept[key] = [item for item in value if not fill_placeholders.has_placeholder(item)]
    return kept


def _invalid(error: ValidationError, places: Places, path: Path) -> ProjectError:
    """Pydantic's errors with their places, one per place; names of union members are not keys."""
    found: dict[Path, str] = {}
    for fault in error.errors(include_url=False):
        steps: list[str | int] = []
        for step in fault["loc"]:
            if isinstance(step, int) or step in FIELD_NAMES or not steps or steps[-1] not in FIELD_NAMES:
                steps.append(step)
        found.setdefault((*path, *steps), str(places.error((*path, *steps), _message(fault))))
    return ProjectError("\n".join(found.values()))


def _message(fault: Any) -> str:
    """One of pydantic's errors in our words."""
    message = fault["msg"].removeprefix("Value error, ")
    given = fault.get("input")
    if fault["type"] in ("dict_type", "model_type", "model_attributes_type"):
        message = f"should be a mapping, not {_kind(given)}"
    if fault["type"] == "extra_forbidden":
        return "unknown key"
    if not isinstance(given, dict | list):
        message += f" (given: {given!r})"
    return message[0].lower() + message[1:]


def _kind(value: Any) -> str:
    names = {dict: "a mapping", list: "a list", str: "text", bool: "true or false", type(None): "empty"}
    return names.get(type(value), "a number")
