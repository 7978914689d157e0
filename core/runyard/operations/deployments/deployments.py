"""Deployments: create, read, list, update, pause, resume and delete."""

from __future__ import annotations

from typing import Any

from runyard.base.errors import Conflict, NotFound
from runyard.base.suggestions import closest
from runyard.operations.deployments import deployment_versions, deployment_views, schedule_sync
from runyard.operations.deployments.deployment_apply import apply_deployments
from runyard.operations.deployments.deployment_rows import deployment_row, remove, save
from runyard.operations.deployments.deployment_shapes import (
    AppliedDeployment,
    Deployment,
    DeploymentApply,
    DeploymentCreate,
    DeploymentFlowRunCreate,
    DeploymentsApply,
    DeploymentUpdate,
)
from runyard.operations.filters import query
from runyard.operations.operation import Answer, operation
from runyard.operations.references import LAST, id_bounds
from runyard.operations.schedules import next_due
from runyard.operations.schemas import MOST_AT_ONCE, AtOnce, BulkDelete, Filter, Listing, Page, Paging, Query
from runyard.operations.work_pools.work_queues import WorkQueue, read_work_queue_by_id
from runyard.store.database import Transaction

# All models and operations of deployments, under one module name.
__all__ = [
    "AppliedDeployment",
    "Deployment",
    "DeploymentApply",
    "DeploymentCreate",
    "DeploymentFlowRunCreate",
    "DeploymentUpdate",
    "DeploymentsApply",
    "apply_deployments",
    "bulk_delete_deployments",
    "check_work_queue",
    "count_deployments",
    "create_deployment",
    "delete_deployment",
    "filter_deployments",
    "find_deployment",
    "paginate_deployments",
    "pause_deployment",
    "read_deployment",
    "read_deployment_by_name",
    "resume_deployment",
    "update_deployment",
]


class DeploymentPage(Page):
    """A page of deployments."""

    results: list[Deployment]


class DeploymentBulkDelete(Query):
    """Which deployments to delete: a filter; `limit`: the most of this call, default and maximum 50."""

    deployments: dict[str, Any] | None = None
    limit: AtOnce | None = None


@operation("POST", "/deployments/", status=201)
def create_deployment(tx: Transaction, body: DeploymentCreate) -> Answer[Deployment]:
    """Create a deployment. If the flow already has one of that name, update it.

    Raises:
        NotFound: the flow or the work pool does not exist.
        ParameterError: parameters or job variables are invalid.
    """
    if tx.value("SELECT id FROM flows WHERE id = :id", {"id": body.flow_id}) is None:
        raise NotFound(f"flow {body.flow_id} not found")
    saved = save(tx, body.flow_id, body.name, body, None)
    if body.schedules is not None:
        schedule_sync.replace(tx, saved.row, body.schedules)
    deployment_versions.record(tx, saved.row)
    return Answer(deployment_views.one(tx, saved.row["id"]), 201 if saved.created else 200)


@operation("GET", "/deployments/{deployment_id}")
def read_deployment(tx: Transaction, deployment_id: str) -> Deployment:
    """Read a deployment.

    Raises:
        NotFound: the deployment is not found.
    """
    return deployment_views.one(tx, deployment_id)


@operation("GET", "/deployments/name/{flow_name}/{deployment_name}")
def read_deployment_by_name(tx: Transaction, flow_name: str, deployment_name: str) -> Deployment:
    """Read a deployment by the name of its flow and its own name.

    Raises:
        NotFound: the deployment is not found. The message suggests one with a similar name.
    """
    found = deployment_views.select(
        tx, "df.name = :flow AND d.name = :name", {"flow": flow_name, "name": deployment_name}
    )
    if not found:
        raise NotFound(_not_found(tx, f"{flow_name}/{deployment_name}"))
    return found[0]


@operation("GET", "/runyard/deployments/find")
def find_deployment(tx: Transaction, reference: str = "") -> Deployment:
    """Find a deployment by `flow/name`, its id, the beginning of its id (4 or more characters) or its name.

    `-` is the deployment that was created last.

    Raises:
        NotFound: no deployment matches. The message suggests one with a similar name.
        Conflict: several deployments match. The message lists them.
    """
    if reference == LAST:
        newest = tx.value("SELECT id FROM deployments ORDER BY created DESC, id DESC LIMIT 1")
        if newest is None:
            raise NotFound("no deployment exists yet")
        return deployment_views.one(tx, str(newest))
    found = deployment_views.select(
        tx, "df.name || '/' || d.name = :reference OR d.id = :reference", {"reference": reference}
    )
    by_name = False
    if not found:
        by_name = True
        found = deployment_views.select(tx, "d.name = :reference", {"reference": reference})
    bounds = None if found else id_bounds(reference.lower())
    if bounds is not None:
        by_name = False
        values = {"low": bounds[0], "high": bounds[1]}
        found = deployment_views.select(tx, "d.id BETWEEN :low AND :high", values)
    if not found:
        raise NotFound(_not_found(tx, reference))
    if len(found) > 1:
        names = ", ".join(f"{item.flow_name}/{item.name} ({item.id})" for item in found[:5])
        what = f"{len(found)} deployments are named {reference!r}; give the flow too"
        if not by_name:
            what = f"the ids of {len(found)} deployments begin with {reference!r}; give more of the id"
        raise Conflict(f"{what}: {names}")
    return found[0]


def _not_found(tx: Transaction, reference: str) -> str:
    rows = tx.all(
        "SELECT f.name || '/' || d.name AS name FROM deployments d "
        "JOIN flows f ON f.id = d.flow_id LIMIT 1000"
    )
    known = {row["name"]: row["name"] for row in rows}
    known.update({name.rpartition("/")[2]: name for name in known if "/" not in reference})
    close = closest(reference, known)
    hint = f"did you mean {known[close]!r}?" if close else "see: runyard deployment ls"
    return f"deployment {reference!r} not found; {hint}"


@operation("PATCH", "/deployments/{deployment_id}", status=204, prepare=next_due.prepare_deployment)
def update_deployment(tx: Transaction, deployment_id: str, body: DeploymentUpdate) -> None:
    """Update a deployment. Only the given fields change.

    Raises:
        NotFound: the deployment or the work pool does not exist.
        ParameterError: parameters or job variables are invalid.
    """
    row = deployment_row(tx, deployment_id)
    if body.job_variables == {}:
        body = body.model_copy()
        body.model_fields_set.discard("job_variables")
    saved = save(tx, row["flow_id"], row["name"], body, row["owner"])
    if body.schedules is not None:
        schedule_sync.replace(tx, saved.row, body.schedules)
    deployment_versions.record(tx, saved.row)


@operation("DELETE", "/deployments/{deployment_id}", status=204)
def delete_deployment(tx: Transaction, deployment_id: str) -> None:
    """Delete a deployment with its schedules and its waiting runs. Its other runs stay.

    Raises:
        NotFound: the deployment is not found.
    """
    remove(tx, deployment_id)


@operation("POST", "/deployments/filter")
def filter_deployments(tx: Transaction, body: Listing) -> list[Deployment]:
    """List deployments, sorted by name unless `sort` is given."""
    rows = query.search(
        tx, "deployments", body.model_dump(), deployment_views.COLUMNS, deployment_views.JOINS
    )
    return deployment_views.to_models(tx, rows)


@operation("POST", "/deployments/paginate")
def paginate_deployments(tx: Transaction, body: Paging) -> DeploymentPage:
    """List a page of deployments, with the number of all that match.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or `limit` or `page` is out of range.
    """
    rows, place = query.paginate(
        tx, "deployments", body.model_dump(), deployment_views.COLUMNS, deployment_views.JOINS
    )
    return DeploymentPage(results=deployment_views.to_models(tx, rows), **place)


@operation("POST", "/deployments/bulk_delete")
def bulk_delete_deployments(tx: Transaction, body: DeploymentBulkDelete) -> BulkDelete:
    """Delete the first deployments that a filter matches, by name, with their schedules and waiting runs.

    Raises:
        InvalidInput: a filter or an operator is unknown, or `limit` is out of range.
    """
    asked = {"deployments": body.deployments, "limit": body.limit or MOST_AT_ONCE}
    found = [row["id"] for row in query.search(tx, "deployments", asked, "d.id")]
    for deployment_id in found:
        remove(tx, deployment_id)
    return BulkDelete(deleted=found)


@operation("POST", "/deployments/count")
def count_deployments(tx: Transaction, body: Filter) -> int:
    """Count the deployments that a filter matches."""
    return query.count(tx, "deployments", body.model_dump())


@operation("GET", "/deployments/{deployment_id}/work_queue_check")
def check_work_queue(tx: Transaction, deployment_id: str) -> list[WorkQueue]:
    """List the queues in which runs of a deployment wait: its own, or none.

    Raises:
        NotFound: the deployment is not found.
    """
    queue_id = deployment_row(tx, deployment_id)["work_queue_id"]
    return [] if queue_id is None else [read_work_queue_by_id(tx, queue_id)]


@operation("POST", "/deployments/{deployment_id}/pause_deployment", prepare=next_due.prepare_deployment)
def pause_deployment(tx: Transaction, deployment_id: str) -> None:
    """Pause the schedules of a deployment. Scheduled runs that no worker has claimed are deleted."""
    _pause(tx, deployment_id, True)


@operation("POST", "/deployments/{deployment_id}/resume_deployment", prepare=next_due.prepare_deployment)
def resume_deployment(tx: Transaction, deployment_id: str) -> None:
    """Resume the schedules of a deployment. Instants during the pause are not caught up."""
    _pause(tx, deployment_id, False)


def _pause(tx: Transaction, deployment_id: str, paused: bool) -> None:
    row = deployment_row(tx, deployment_id)
    save(tx, row["flow_id"], row["name"], DeploymentUpdate(paused=paused), row["owner"])
