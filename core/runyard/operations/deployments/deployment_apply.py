"""Applies the deployments of a project's file: all of them in one transaction, or none."""

from __future__ import annotations

from typing import Any

from runyard.base.errors import InvalidInput, NotFound, RunyardError
from runyard.operations.deployments import deployment_versions, deployment_views, schedule_sync
from runyard.operations.deployments.deployment_rows import remove, save
from runyard.operations.deployments.deployment_shapes import (
    AppliedDeployment,
    Change,
    Deployment,
    DeploymentApply,
    DeploymentsApply,
)
from runyard.operations.operation import operation
from runyard.operations.runs.find_or_create_flow import flow_id_of
from runyard.operations.schemas import load
from runyard.store.database import Transaction

_JSON_COLUMNS = frozenset(
    (
        "version_info", "concurrency_options", "parameter_openapi_schema", "pull_steps", "job_variables",
        "parameters", "tags", "labels", "triggers",
    )
)  # fmt: skip
_FLAGS = frozenset(("paused", "enforce_parameter_schema"))


@operation("POST", "/runyard/deployments/apply")
def apply_deployments(tx: Transaction, body: DeploymentsApply) -> list[AppliedDeployment]:
    """Create or update all deployments that one file declares. If one is invalid, nothing changes.

    A field that is not given keeps its stored value. Schedules keep their identity and an operator's pause
    (see `schedule_sync.reconcile`). Missing flows are created. With `prune`, deployments that the owner
    declared before and does not declare now are deleted; with `whole` they are returned and stay. With
    `dry_run` nothing changes.

    Raises:
        NotFound: a work pool does not exist.
        InvalidInput: two deployments have the same name and flow, or several errors occurred, one per line.
        ParameterError: parameters or job variables are invalid.
    """
    seen: set[tuple[str, str]] = set()
    for item in body.deployments:
        if (item.flow_name, item.name) in seen:
            raise InvalidInput(f"deployment {item.flow_name}/{item.name} is declared twice")
        seen.add((item.flow_name, item.name))
    applied = _apply_all(tx, body)
    if body.prune or body.whole:
        applied += _left(tx, body, {each.deployment.id for each in applied})
    tx.kept = not body.dry_run
    return applied


def _apply_all(tx: Transaction, body: DeploymentsApply) -> list[AppliedDeployment]:
    """Apply each deployment. The error reports the problems of all deployments."""
    applied = []
    wrong: dict[str, RunyardError] = {}
    for item in body.deployments:
        try:
            applied.append(_apply(tx, item, body.owner))
        except (InvalidInput, NotFound) as error:
            wrong.setdefault(error.message, error)
    if len(wrong) == 1:
        raise next(iter(wrong.values()))
    if wrong:
        kinds = {type(error) for error in wrong.values()}
        raise (kinds.pop() if len(kinds) == 1 else InvalidInput)("\n".join(wrong))
    return applied


def _left(tx: Transaction, body: DeploymentsApply, kept: set[str]) -> list[AppliedDeployment]:
    """The deployments that this owner declared before and does not declare now; with `prune`, delete them."""
    declared = tx.all("SELECT id FROM deployments WHERE owner = :owner ORDER BY id", {"owner": body.owner})
    gone = [deployment_views.one(tx, row["id"]) for row in declared if row["id"] not in kept]
    if body.prune:
        for each in gone:
            remove(tx, each.id)
    return [_applied(each, "deleted" if body.prune else "left", []) for each in gone]


def _apply(tx: Transaction, item: DeploymentApply, owner: str) -> AppliedDeployment:
    saved = save(tx, flow_id_of(tx, item.flow_name), item.name, item, owner)
    changes = [
        _change(tx, column, None if saved.created else before, after)
        for column, (before, after) in sorted(saved.changes.items())
        if column not in ("owner", "version_info")
    ]
    if item.schedules is not None:
        # A renamed or moved project still owns the schedules that it declared before.
        owners = {owner, saved.changes.get("owner", (owner, owner))[0]}
        changes += schedule_sync.reconcile(tx, saved.row, item.schedules, owner, owners)
    if saved.created or changes:
        deployment_versions.record(tx, saved.row)
    deployment = deployment_views.one(tx, saved.row["id"])
    return _applied(
        deployment, "created" if saved.created else "updated" if changes else "unchanged", changes
    )


def _applied(deployment: Deployment, action: str, changes: list[Change]) -> AppliedDeployment:
    # As deployment_views: of models, so there is nothing to validate; building the validator takes 4 ms.
    return AppliedDeployment.model_construct(deployment=deployment, action=action, changes=changes)


def _change(tx: Transaction, column: str, before: Any, after: Any) -> Change:
    if column == "work_queue_id":
        return Change(field="work_pool", before=_place(tx, before), after=_place(tx, after))
    if column in _JSON_COLUMNS:
        return Change(field=column, before=load(before), after=load(after))
    if column in _FLAGS:
        return Change(field=column, before=bool(before), after=bool(after))
    return Change(field=column, before=before, after=after)


def _place(tx: Transaction, queue_id: str | None) -> str | None:
    """The name of a queue for people: `pool`, or `pool/queue` if it is not the default queue."""
    row = tx.one(
        """SELECT pool.name AS pool, queue.name AS queue FROM work_queues queue
           JOIN work_pools pool ON pool.id = queue.work_pool_id WHERE queue.id = :id""",
        {"id": queue_id},
    )
    if row is None:
        return None
    return row["pool"] if row["queue"] == "default" else f"{row['pool']}/{row['queue']}"
