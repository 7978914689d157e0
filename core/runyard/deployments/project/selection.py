"""Selects deployments of a project: by name, by pattern, all of them, or the only one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

from runyard.base.errors import InvalidInput, NotFound
from runyard.base.suggestions import did_you_mean
from runyard.deployments.placeholders import fill_placeholders
from runyard.deployments.project.flag_overrides import Overrides
from runyard.deployments.project.project_shapes import DeploymentSpec
from runyard.deployments.project.read_project import Entry, Project


def select(
    project: Project,
    names: Sequence[str] = (),
    overrides: Overrides | None = None,
    everything: bool = False,
    say: fill_placeholders.Warn = fill_placeholders.silent,
    may_be_none: bool = False,
) -> list[Entry]:
    """The selected deployments of a project; see `plan.build`.

    With `may_be_none`, "all" may be none. A name that the file does not have is a new deployment if an
    entrypoint was given.
    """
    if everything and names:
        raise InvalidInput("give names or --all, not both")
    if everything:
        named = _all_named(project, say)
        if not named and not may_be_none:
            raise NotFound(_nothing_in(project))
        return named
    if not names:
        return [_only_one(project, overrides)]
    found: dict[int, Entry] = {}
    for name in names:
        matches = [entry for entry in project.entries if _matches(name, entry)]
        if not matches:
            matches = [_unmatched(project, name, len(names) == 1, overrides)]
        found.update((entry.index, entry) for entry in matches)
    return list(found.values())


def _all_named(project: Project, say: fill_placeholders.Warn) -> list[Entry]:
    named = [entry for entry in project.entries if entry.spec.name]
    for entry in project.entries:
        if not entry.spec.name:
            say(f"{project.places.at(('deployments', entry.index))}: skipped, it has no name")
    return named


def entries_of(project: Project, entrypoint: str) -> list[Entry]:
    """The deployments of the file with an entrypoint, however its path is written."""
    wanted = _place_of(project, entrypoint)
    return [each for each in project.entries if _place_of(project, each.spec.entrypoint or "") == wanted]


def _place_of(project: Project, entrypoint: str) -> tuple[str, str]:
    path, colon, name = entrypoint.rpartition(":")
    return (os.path.normpath(os.path.join(project.folder, path)) if colon else "", name)


def _only_one(project: Project, overrides: Overrides | None) -> Entry:
    entrypoint = overrides.entrypoint if overrides else None
    described = entries_of(project, entrypoint) if entrypoint else []
    if len(described) == 1 and described[0].spec.name:
        return described[0]
    if len(project.entries) == 1:
        entry = project.entries[0]
        if entry.spec.name is None:
            place = project.places.at(("deployments", 0))
            raise InvalidInput(f"{place}: the deployment has no name; add one, or use --name NAME")
        return entry
    if project.entries:
        known = ", ".join(entry.spec.name or "(no name)" for entry in described or project.entries)
        if described:
            raise InvalidInput(
                f"{project.places.name} has several deployments of {entrypoint}: {known}; use --name NAME"
            )
        if entrypoint:
            raise InvalidInput(
                f"{project.places.name} has no deployment of {entrypoint}, but these: {known}; "
                "use --name NAME, a new one or one of these to change"
            )
        raise InvalidInput(
            f"{project.places.name} has several deployments: {known}; use --name NAME or --all"
        )
    if entrypoint:
        return _new("default")
    raise InvalidInput(_nothing_in(project))


def _nothing_in(project: Project) -> str:
    if project.file is None:
        return "no prefect.yaml here; change the folder, or give an entrypoint"
    named = " with a name" if project.entries else ""
    return f"{project.places.name} has no deployment{named}; add one, or give an entrypoint"


def _unmatched(project: Project, name: str, alone: bool, overrides: Overrides | None) -> Entry:
    nameless = [entry for entry in project.entries if entry.spec.name is None]
    plain = "*" not in name and "/" not in name
    if plain and alone and len(project.entries) == len(nameless) == 1:
        entry = nameless[0]
        return Entry(entry.index, {**entry.raw, "name": name}, entry.spec.model_copy(update={"name": name}))
    if plain and alone and overrides and overrides.entrypoint:
        return _new(name)
    if "*" not in name and alone and overrides and overrides.entrypoint:
        raise InvalidInput(f"no deployment can be called {name!r}: a name has no /")
    if project.file is None:
        raise NotFound(_nothing_in(project))
    known = [entry.spec.name for entry in project.entries if entry.spec.name]
    others = f"it has: {', '.join(known)}" if known else "it has none; give an entrypoint to make one"
    hint = did_you_mean(name.rpartition("/")[2], known, others)
    raise NotFound(f"{project.places.name} has no deployment {name!r}{hint}")


def _new(name: str) -> Entry:
    """A deployment that only the command line defines."""
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
