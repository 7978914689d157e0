"""Versions of deployments: each change creates a version, and a rollback restores one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import NotFound
from runyard.operations.deployments import deployment_views, schedule_sync
from runyard.operations.deployments.deployment_rows import deployment_row, save
from runyard.operations.deployments.deployment_shapes import PLAIN, Change, Deployment, DeploymentApply
from runyard.operations.operation import operation
from runyard.operations.schedules import next_due
from runyard.operations.schedules.schedules import rows_of
from runyard.operations.schemas import Input, Model, Time, dump, load
from runyard.store.database import Row, Transaction

KEPT = 100
"""The most versions that are kept of a deployment."""

_JSON = (
    "concurrency_options", "job_variables", "parameters", "tags", "labels", "parameter_openapi_schema",
    "pull_steps", "triggers",
)  # fmt: skip
_OF_SCHEDULE = ("slug", "catchup", "catchup_limit", "overlap", "max_scheduled_runs")
_PLACE = """SELECT pool.name AS pool, queue.name AS queue FROM work_queues queue
    JOIN work_pools pool ON pool.id = queue.work_pool_id WHERE queue.id = :id"""


class DeploymentVersion(Model):
    """One version of a deployment.

    Args:
        number: counted from 1. The newest version is active.
        content: the fields of the deployment, in the format of `DeploymentApply`.
        changes: the differences to the previous version.
    """

    number: int
    created: Time
    version: str | None = None
    version_info: dict[str, Any] | None = None
    owner: str | None = None
    content: dict[str, Any] = Field(default_factory=dict)
    changes: list[Change] = Field(default_factory=list)


class Rollback(Input):
    """Which version to restore; by default the version before the newest."""

    number: int | None = None
    dry_run: bool = False


class RolledBack(Model):
    """What a rollback changed, or would change, in the words of a deploy.

    `number` is the restored version.
    """

    deployment: Deployment
    number: int
    changes: list[Change] = Field(default_factory=list)


def record(tx: Transaction, deployment: Row) -> None:
    """Store a new version of a deployment, if its content changed.

    Args:
        deployment: the row of the deployment, after all changes.
    """
    values = {"id": deployment["id"]}
    newest = tx.one(
        "SELECT number, content FROM deployment_versions WHERE deployment_id = :id "
        "ORDER BY number DESC LIMIT 1",
        values,
    )
    content = dump(_content(tx, deployment))
    if newest is not None and newest["content"] == content:
        return
    number = 1 if newest is None else newest["number"] + 1
    tx.execute(
        """INSERT INTO deployment_versions
               (id, created, deployment_id, number, version, version_info, owner, content)
           VALUES (:id, :created, :deployment_id, :number, :version, :version_info, :owner, :content)""",
        {
            "id": ids.new_id(),
            "created": clock.now_us(),
            "deployment_id": deployment["id"],
            "number": number,
            "version": deployment["version"],
            "version_info": deployment["version_info"],
            "owner": deployment["owner"],
            "content": content,
        },
    )
    if number > KEPT:
        tx.execute(
            "DELETE FROM deployment_versions WHERE deployment_id = :id AND number <= :last",
            {**values, "last": number - KEPT},
        )


def _content(tx: Transaction, deployment: Row) -> dict[str, Any]:
    place = tx.one(_PLACE, {"id": deployment["work_queue_id"]}) if deployment["work_queue_id"] else None
    content = {
        **{name: deployment[name] for name in PLAIN},
        **{name: load(deployment[name]) for name in _JSON},
        "enforce_parameter_schema": bool(deployment["enforce_parameter_schema"]),
        "work_pool_name": place["pool"] if place else None,
        "work_queue_name": place["queue"] if place else None,
    }
    if deployment["owner"] is not None:
        # The schedules and pauses of an operator do not belong to the declared content.
        content["schedules"] = [
            {
                "schedule": load(row["spec"], {}),
                "active": bool(row["declared_active"]),
                "parameters": load(row["parameters"], {}),
                **{name: row[name] for name in _OF_SCHEDULE},
            }
            for row in rows_of(tx, deployment["id"])
            if row["owner"] is not None
        ]
    return content


@operation("GET", "/runyard/deployments/{deployment_id}/versions")
def read_deployment_versions(
    tx: Transaction, deployment_id: str, limit: int = KEPT
) -> list[DeploymentVersion]:
    """List the versions of a deployment with their changes, newest first.

    Raises:
        NotFound: the deployment is not found.
    """
    deployment_row(tx, deployment_id)
    rows = tx.all(
        "SELECT * FROM deployment_versions WHERE deployment_id = :id ORDER BY number DESC LIMIT :limit",
        {"id": deployment_id, "limit": max(0, min(limit, KEPT)) + 1},
    )
    found = [
        DeploymentVersion(
            number=row["number"],
            created=clock.from_us(row["created"]),
            version=row["version"],
            version_info=load(row["version_info"]),
            owner=row["owner"],
            content=load(row["content"], {}),
        )
        for row in rows
    ]
    for newer, older in pairwise(found):
        newer.changes = _differences(older.content, newer.content)
    return found[:limit]


@operation("POST", "/runyard/deployments/{deployment_id}/rollback", prepare=next_due.prepare_deployment)
def roll_back_deployment(tx: Transaction, deployment_id: str, body: Rollback) -> RolledBack:
    """Restore a version of a deployment, as a new version.

    The declared schedules are restored too. Schedules and pauses of an operator stay.

    Raises:
        NotFound: the deployment, the version, or the work pool of the version is not found.
    """
    deployment = deployment_row(tx, deployment_id)
    rows = tx.all(
        "SELECT number, content FROM deployment_versions WHERE deployment_id = :id ORDER BY number DESC",
        {"id": deployment_id},
    )
    wanted = body.number if body.number is not None else (rows[1]["number"] if len(rows) > 1 else None)
    chosen = next((row for row in rows if row["number"] == wanted), None)
    if chosen is None:
        known = f"kept are {rows[-1]['number']} to {rows[0]['number']}" if rows else "none is kept"
        what = f"version {wanted}" if wanted is not None else "earlier version"
        raise NotFound(f"deployment {deployment['name']!r} has no {what}; {known}")
    before = _content(tx, deployment)
    given = DeploymentApply.model_validate(
        {**load(chosen["content"], {}), "name": deployment["name"], "flow_name": "."}
    )
    owner = deployment["owner"]
    saved = save(tx, deployment["flow_id"], deployment["name"], given, owner)
    of_schedules: list[Change] = []
    if given.schedules is not None and owner is not None:
        of_schedules = schedule_sync.reconcile(tx, saved.row, given.schedules, owner)
    after = _content(tx, saved.row)
    record(tx, saved.row)
    shown = deployment_views.one(tx, deployment_id)
    tx.kept = not body.dry_run
    changes = [change for change in _differences(before, after) if change.field != "schedules"]
    return RolledBack(deployment=shown, number=chosen["number"], changes=[*changes, *of_schedules])


def _differences(before: dict[str, Any], after: dict[str, Any]) -> list[Change]:
    return [
        Change(field=name, before=before.get(name), after=after.get(name))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
