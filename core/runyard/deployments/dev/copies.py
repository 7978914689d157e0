"""Deploys copies of a project's deployments to the pool of a development session.

A copy runs the code of the folder, in a process, without pull steps, image and schedules. The deployment that
it was copied from stays as it is.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from runyard.base.errors import NotFound
from runyard.base.suggestions import did_you_mean
from runyard.deployments.loading import discovery
from runyard.deployments.project import plan
from runyard.deployments.project.project_shapes import DeploymentSpec
from runyard.deployments.project.read_project import Entry, Project, read_project
from runyard.deployments.project.selection import entries_of
from runyard.operations.deployments.deployment_apply import apply_deployments
from runyard.operations.deployments.deployment_shapes import DeploymentsApply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.client import Client
    from runyard.operations.deployments.deployment_shapes import DeploymentApply

# The job variables of other types of pools mean nothing to a process.
_LONGEST = 240  # of the original's name
_JOB_VARIABLES = ("env", "environment", "python")


@dataclass(frozen=True)
class Wanted:
    """What to copy.

    Args:
        pool: the pool of the session.
        file: the project's file, which may not exist.
        entrypoint: `file.py:flow`, or `file.py` for all its flows; None: the deployments of the file, or of
            each flow of the folder if the file has none.
        names: of the file's deployments; empty: all.
        schedules: keep the schedules, so that they create runs.
    """

    pool: str
    file: str
    entrypoint: str | None = None
    names: list[str] = field(default_factory=list)
    schedules: bool = False


@dataclass(frozen=True)
class Copy:
    """A deployed copy.

    Args:
        name: `flow/name`.
        entrypoint: of its flow.
        action: created, updated or unchanged.
        needs: its parameters without a value.
    """

    name: str
    entrypoint: str
    action: str
    needs: list[str]


@dataclass
class Copied:
    """The copies of a session, and the warnings about them."""

    copies: list[Copy] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return asdict(self)

    @classmethod
    def of_json(cls, body: dict[str, Any]) -> Copied:
        """Read `to_json`."""
        return cls([Copy(**each) for each in body["copies"]], body["warnings"])


def deploy_copies(client: Client, wanted: Wanted) -> Copied:
    """Deploy the copies, or update them.

    Args:
        client: where to.
        wanted: what to copy.

    Returns:
        The copies in the order of the file.

    Raises:
        NotFound: there is nothing to copy.
        RunyardError: the file or a flow is invalid; nothing has changed.
    """
    copied = Copied()
    project = read_project(wanted.file, wanted.names) if os.path.exists(wanted.file) else Project.empty()
    found = [
        _copy(each, unknown, wanted, project.folder, copied.warnings)
        for each, unknown in _planned(project, wanted, copied.warnings)
    ]
    body = DeploymentsApply(deployments=found, owner=f"dev {wanted.pool}")
    answer = client.call(apply_deployments, body)
    for given, applied in zip(found, answer, strict=True):
        needed = (given.parameter_openapi_schema or {}).get("required") or ()
        copied.copies.append(
            Copy(
                name=f"{given.flow_name}/{given.name}",
                entrypoint=given.entrypoint or "",
                action=applied.action,
                needs=[name for name in needed if name not in (given.parameters or {})],
            )
        )
    return copied


def _planned(
    project: Project, wanted: Wanted, warnings: list[str]
) -> list[tuple[DeploymentApply, dict[str, Any]]]:
    """What the file, or the flows without one, would deploy; and the fields that only steps will tell."""
    names, everything = wanted.names, not wanted.names
    described = entries_of(project, wanted.entrypoint) if wanted.entrypoint else project.entries
    if wanted.entrypoint and described:
        names, everything = [entry.spec.name for entry in described if entry.spec.name], False
    elif not described:
        flows = _flows(wanted.entrypoint, wanted.names)
        project, names, everything = Project.empty(), [], True
        project.entries = [_entry(name, entrypoint) for name, entrypoint in flows]
    made = plan.build(project, names, everything=everything, steps=False, say=warnings.append)
    return list(zip(made.body.deployments, made.unknown, strict=True))


def _entry(name: str, entrypoint: str) -> Entry:
    """A deployment that no file describes."""
    raw: dict[str, Any] = {"name": name, "entrypoint": entrypoint}
    return Entry(-1, raw, DeploymentSpec(**raw))


def _flows(entrypoint: str | None, names: Sequence[str]) -> list[tuple[str, str]]:
    """Flows without a deployment: name and entrypoint."""
    if entrypoint is not None and (":" in entrypoint or not entrypoint.endswith(".py")):
        return [(entrypoint.rpartition(":")[2].rpartition(".")[2].replace("_", "-"), entrypoint)]
    flows = discovery.find_flows(".")
    if entrypoint is not None:
        path = os.path.relpath(entrypoint).replace(os.sep, "/")
        flows = [flow for flow in flows if flow.path == path]
        if not flows:
            raise NotFound(f"no flow found in {entrypoint}; a flow is a function with @flow")
    if names:
        known = [flow.name for flow in flows]
        for name in names:
            if name not in known:
                raise NotFound(f"no flow {name!r} found here{did_you_mean(name, known)}")
        flows = [flow for flow in flows if flow.name in names]
    if not flows:
        raise NotFound(
            "no prefect.yaml with deployments here, and no flow; change the folder, or write both with: "
            "runyard init"
        )
    entrypoints = [flow.entrypoint for flow in flows]
    return list(zip(discovery.deployment_names(flows), entrypoints, strict=True))


def _copy(
    each: DeploymentApply, unknown: dict[str, Any], wanted: Wanted, folder: str, warnings: list[str]
) -> DeploymentApply:
    """The copy of a deployment."""
    left_out = [
        name for name in unknown if name not in ("job_variables", "work_pool_name", "work_queue_name")
    ]
    if left_out:
        warnings.append(
            f"deployment {each.name}: left out, as only build steps tell it: {', '.join(left_out)}"
        )
    variables = {name: value for name, value in (each.job_variables or {}).items() if _is_kept(name)}
    changes: dict[str, Any] = {
        "name": f"{each.name[:_LONGEST]}-{wanted.pool}",
        "work_pool_name": wanted.pool,
        "work_queue_name": None,
        "job_variables": variables,
        "path": each.path or folder,
        "pull_steps": None,
        "paused": False,
        "triggers": None,
    }
    if not wanted.schedules:
        changes["schedules"] = []
    return each.model_copy(update=changes)


def _is_kept(job_variable: str) -> bool:
    return job_variable.partition(".")[0] in _JOB_VARIABLES
