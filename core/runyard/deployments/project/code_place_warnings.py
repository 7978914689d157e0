"""Warnings about deployments whose runs look for their code where it may not be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from runyard.base.texts import listed
from runyard.client import LocalClient

if TYPE_CHECKING:
    from runyard.client import Client
    from runyard.operations.deployments.deployment_shapes import AppliedDeployment, Deployment


def is_shared(client: Client) -> bool:
    """Whether workers of other machines may serve this API or database."""
    return not (isinstance(client, LocalClient) and client.database.dialect == "sqlite")


def code_place_warnings(
    applied: Sequence[AppliedDeployment], pool_types: Mapping[str, str], shared: bool
) -> list[str]:
    """One line for each folder of this machine in which runs elsewhere would look for their code.

    Only deployments that are new, or whose folder or pool has changed, are named: who deploys the same again
    has read it.

    Args:
        applied: the result of a deploy.
        pool_types: the types of the work pools by name.
        shared: see `is_shared`.
    """
    in_containers: dict[str, list[str]] = {}
    elsewhere: dict[str, list[str]] = {}
    for each in applied:
        deployment = each.deployment
        if not deployment.path or deployment.pull_steps or not _is_news(each):
            continue
        name = f"{deployment.flow_name}/{deployment.name}"
        kind = pool_types.get(deployment.work_pool_name or "")
        if kind in ("docker", "kubernetes"):
            if not _mounts(deployment):
                in_containers.setdefault(deployment.path, []).append(name)
        elif kind == "process" and shared:
            elsewhere.setdefault(deployment.path, []).append(name)
    lines = [
        f"{listed(names)}: runs look for the code in {path} of their container; add pull steps "
        "(docs/steps.md), unless the pool mounts it there"
        for path, names in in_containers.items()
    ]
    lines += [
        f"{listed(names)}: runs use the code in {path} of this machine; workers on other machines do not "
        "have it: add pull steps (docs/steps.md), or start the workers here"
        for path, names in elsewhere.items()
    ]
    return lines


def _is_news(applied: AppliedDeployment) -> bool:
    return applied.action == "created" or any(
        change.field in ("path", "pull_steps", "work_pool") for change in applied.changes
    )


def _mounts(deployment: Deployment) -> bool:
    """Whether a volume puts something at the deployment's folder, or above it."""
    volumes = deployment.job_variables.get("volumes")
    for volume in volumes if isinstance(volumes, list) else ():
        target = str(volume).split(":")[1:2]
        if target and f"{deployment.path}/".startswith(target[0].rstrip("/") + "/"):
            return True
    return False
