"""Deployments: creating, reading, changing, pausing and deleting them."""

from __future__ import annotations

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
from runyard.operations.references import id_bounds
from runyard.operations.schedules import next_due
from runyard.operations.schemas import Filter, Listing
from runyard.store.database import Transaction

# All that is done with deployments, under one name.
__all__ = [
    "AppliedDeployment",
    "Deployment",
    "DeploymentApply",
    "DeploymentCreate",
    "DeploymentFlowRunCreate",
    "DeploymentUpdate",
    "DeploymentsApply",
    "apply_deployments",
    "count_deployments",
    "create_deployment",
    "delete_deployment",
    "filter_deployments",
    "find_deployment",
    "pause_deployment",
    "read_deployment",
    "read_deployment_by_name",
    "resume_deployment",
    "update_deployment",
]


@operation("POST", "/deployments/", status=201)
def create_deployment(tx: Transaction, body: DeploymentCreate) -> Answer[Deployment]:
    """Create a deployment, or update the one of that name of the flow.

    Raises:
        NotFound: the flow or the work pool does not exist.
        ParameterError: parameters or job variables do not fit.
    """
    if tx.value("SELECT id FROM flows WHERE id = :id", {"id": body.flow_id}) is None:
        raise NotFound(f"no flow has the id {body.flow_id}")
    saved = save(tx, body.flow_id, body.name, body, None)
    if body.schedules is not None:
        schedule_sync.replace(tx, saved.row, body.schedules)
    deployment_versions.record(tx, saved.row)
    return Answer(deployment_views.one(tx, saved.row["id"]), 201 if saved.created else 200)


@operation("GET", "/deployments/{deployment_id}")
def read_deployment(tx: Transaction, deployment_id: str) -> Deployment:
    """One deployment.

    Raises:
        NotFound: there is none of that id.
    """
    return deployment_views.one(tx, deployment_id)


@operation("GET", "/deployments/name/{flow_name}/{deployment_name}")
def read_deployment_by_name(tx: Transaction, flow_name: str, deployment_name: str) -> Deployment:
    """One deployment, by the names of its flow and its own.

    Raises:
        NotFound: there is none; the message names one that may be meant.
    """
    found = deployment_views.select(
        tx, "df.name = :flow AND d.name = :name", {"flow": flow_name, "name": deployment_name}
    )
    if not found:
        raise NotFound(_not_found(tx, f"{flow_name}/{deployment_name}"))
    return found[0]


@operation("GET", "/runyard/deployments/find")
def find_deployment(tx: Transaction, reference: str = "") -> Deployment:
    """One deployment by `flow/name`, its id, the beginning of its id (4 characters or more) or its name.

    Raises:
        NotFound: none fits; the message names one that may be meant.
        Conflict: several do; the message lists them.
    """
    found = deployment_views.select(
        tx, "df.name || '/' || d.name = :reference OR d.id = :reference", {"reference": reference}
    )
    if not found:
        found = deployment_views.select(tx, "d.name = :reference", {"reference": reference})
    bounds = None if found else id_bounds(reference.lower())
    if bounds is not None:
        values = {"low": bounds[0], "high": bounds[1]}
        found = deployment_views.select(tx, "d.id BETWEEN :low AND :high", values)
    if not found:
        raise NotFound(_not_found(tx, reference))
    if len(found) > 1:
        names = ", ".join(f"{item.flow_name}/{item.name} ({item.id})" for item in found[:5])
        raise Conflict(f"{reference!r} may be any of {names}; say which one")
    return found[0]


def _not_found(tx: Transaction, reference: str) -> str:
    rows = tx.all(
        "SELECT f.name || '/' || d.name AS name FROM deployments d "
        "JOIN flows f ON f.id = d.flow_id LIMIT 1000"
    )
    known = {row["name"]: row["name"] for row in rows}
    known.update({name.rpartition("/")[2]: name for name in known if "/" not in reference})
    close = closest(reference, known)
    hint = f"did you mean {known[close]!r}?" if close else "see `runyard deployment ls`"
    return f"no deployment is called {reference!r}; {hint}"


@operation("PATCH", "/deployments/{deployment_id}", status=204, prepare=next_due.prepare_deployment)
def update_deployment(tx: Transaction, deployment_id: str, body: DeploymentUpdate) -> None:
    """Change a deployment; only the fields that are given change.

    Raises:
        NotFound: the deployment or the work pool does not exist.
        ParameterError: parameters or job variables do not fit.
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
    """Delete a deployment, its schedules and its runs that wait; its other runs stay.

    Raises:
        NotFound: there is none of that id.
    """
    remove(tx, deployment_id)


@operation("POST", "/deployments/filter")
def filter_deployments(tx: Transaction, body: Listing) -> list[Deployment]:
    """Deployments that fit the filters, by name unless sorted otherwise."""
    rows = query.search(
        tx, "deployments", body.model_dump(), deployment_views.COLUMNS, deployment_views.JOINS
    )
    return deployment_views.to_models(tx, rows)


@operation("POST", "/deployments/count")
def count_deployments(tx: Transaction, body: Filter) -> int:
    """How many deployments fit the filters."""
    return query.count(tx, "deployments", body.model_dump())


@operation("POST", "/deployments/{deployment_id}/pause_deployment", prepare=next_due.prepare_deployment)
def pause_deployment(tx: Transaction, deployment_id: str) -> None:
    """Stop a deployment's schedules; scheduled runs that nobody took are removed."""
    _pause(tx, deployment_id, True)


@operation("POST", "/deployments/{deployment_id}/resume_deployment", prepare=next_due.prepare_deployment)
def resume_deployment(tx: Transaction, deployment_id: str) -> None:
    """Let a deployment's schedules go on from now; what was due meanwhile is not caught up."""
    _pause(tx, deployment_id, False)


def _pause(tx: Transaction, deployment_id: str, paused: bool) -> None:
    row = deployment_row(tx, deployment_id)
    save(tx, row["flow_id"], row["name"], DeploymentUpdate(paused=paused), row["owner"])
