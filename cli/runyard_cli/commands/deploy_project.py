"""The steps of a deploy: read the file, plan, apply, and tell; for `deploy` and for `init`."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from runyard_cli.shared import output as out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runyard.client import Client
    from runyard.deployments.project.plan import Plan
    from runyard.deployments.project.read_project import Project


_MODULES = (
    "runyard.deployments.project.plan",
    "runyard.operations.deployments.deployment_apply",
    "runyard.operations.work_pools.work_pools",
)


def _import_modules() -> None:
    """Import what a deploy needs, without garbage collection, and leave it out of all later collections.

    Modules stay to the end: walking them takes a fifth of the whole command. No code of a user is loaded yet.
    """
    gc.disable()
    try:
        for name in _MODULES:
            import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def read(entrypoint: str | None, prefect_file: str, names: Sequence[str], refuse: bool) -> Project:
    """The project's file, or an empty project where questions or an entrypoint can replace it.

    Args:
        entrypoint: of a deployment that the file does not describe.
        prefect_file: the file.
        names: of the deployments that are wanted.
        refuse: refuse a file with any mistake, also in other deployments.

    Raises:
        ProjectError: the file is invalid, or missing.
    """
    _import_modules()
    from runyard.deployments.project.read_project import Project, read_project

    if not os.path.exists(prefect_file) and (entrypoint or out.at_keyboard()):
        return Project.empty()
    return read_project(prefect_file, names, refuse)


def plan(
    client: Client,
    project: Project,
    names: Sequence[str],
    overrides: Any,
    before: Callable[[Any], None] | None = None,
    **options: Any,
) -> Plan:
    """What a deploy will apply; see `plan.build`, whose options these are. Warnings go to standard error.

    Args:
        client: where it will be applied.
        project, names, overrides, options: as for `plan.build`.
        before: called with what is known before the first step, and with the whole plan.
    """

    def accepts(body: Any) -> None:
        if before is not None:
            before(body)
        apply(client, body, dry_run=True, project=project)

    from runyard.deployments.project.plan import build

    wanted = build(
        project,
        names,
        overrides,
        say=out.progress,
        accepts=accepts,
        **options,
    )
    if before is not None:
        before(wanted.body)
    _warn_of_unread(client, wanted.body.deployments)
    return wanted


def apply(client: Client, wanted: Any, dry_run: bool = False, project: Project | None = None) -> list[Any]:
    """Apply deployments, or see what applying them would do.

    Args:
        client: where to.
        wanted: the body of a plan.
        dry_run: change nothing.
        project: errors tell where in its file an unknown work pool is named.

    Returns:
        What became of each.

    Raises:
        RunyardError: one of them is invalid; nothing has changed.
    """
    from runyard.base.errors import RunyardError
    from runyard.operations.deployments.deployment_apply import apply_deployments

    try:
        applied: list[Any] = client.call(
            apply_deployments, body=wanted.model_copy(update={"dry_run": dry_run})
        )
    except RunyardError as error:
        if project is None:
            raise
        raise type(error)(_with_places(error.message, project), **error.details) from None
    return applied


def _with_places(message: str, project: Project) -> str:
    """An error with the place in the file before each line about a work pool that is named there."""
    lines = message.split("\n")
    for entry in project.entries:
        name = entry.spec.work_pool and entry.spec.work_pool.name
        for number, line in enumerate(lines):
            if name and line.startswith(f"work pool {name!r} not found"):
                place = project.places.at(("deployments", entry.index, "work_pool", "name"))
                lines[number] = f"{place}: {line}"
    return "\n".join(lines)


def pools_by_name(client: Client, applied: Sequence[Any]) -> dict[str, dict[str, Any]]:
    """The work pools, if a deployment has one: name -> as `list_work_pools` has it."""
    from runyard.operations.work_pools.list_work_pools import list_work_pools

    if not any(each.deployment.work_pool_name for each in applied):
        return {}
    return {pool["name"]: pool for pool in client.call(list_work_pools)}


def warn_of_places(client: Client, applied: Sequence[Any], pools: dict[str, dict[str, Any]]) -> None:
    """Say which runs would look for their code where it is not."""
    from runyard.deployments.project.code_place_warnings import code_place_warnings, is_shared

    types = {name: str(pool["type"]) for name, pool in pools.items()}
    for warning in code_place_warnings(applied, types, is_shared(client)):
        out.progress(warning)


def _warn_of_unread(client: Client, deployments: Sequence[Any]) -> None:
    """Say which job variables nothing reads: they are most often misspelled."""
    from runyard.base.errors import NotFound
    from runyard.deployments.project import job_variable_warnings
    from runyard.operations.work_pools.work_pools import read_work_pool

    pools: dict[str, Any] = {}
    for each in deployments:
        name = each.work_pool_name
        if name and each.job_variables:
            if name not in pools:
                with suppress(NotFound):  # which the deploy says
                    pools[name] = client.call(read_work_pool, name)
            if name in pools:
                for warning in job_variable_warnings.unread(each.name, pools[name], each.job_variables):
                    out.progress(warning)
