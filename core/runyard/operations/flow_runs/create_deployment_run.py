"""Creates runs of deployments."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import RunyardError, StoreError, TooMany
from runyard.domain import parameter_schemas as rules
from runyard.domain import states
from runyard.domain.typed_parameters import fill_name, read_parameters
from runyard.operations import lease_clock
from runyard.operations.deployments import deployment_places
from runyard.operations.deployments.deployment_rows import deployment_row
from runyard.operations.deployments.deployment_shapes import (
    DeploymentFlowRunCreate,
    DeploymentRunCreate,
)
from runyard.operations.deployments.deployments import find_deployment
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.flow_run_shapes import FlowRun
from runyard.operations.flow_runs.insert_deployment_runs import check_parameters, insert_deployment_run
from runyard.operations.operation import Answer, operation
from runyard.operations.schemas import Model, load
from runyard.store.database import Row, Transaction

# The most runs that one call creates, as in Prefect.
_MOST_AT_ONCE = 100


@operation("POST", "/deployments/{deployment_id}/create_flow_run", status=201)
def create_flow_run_from_deployment(
    tx: Transaction, deployment_id: str, body: DeploymentFlowRunCreate
) -> Answer[FlowRun]:
    """Create a run of a deployment. Given parameters override the deployment's; tags are merged.

    If a run with the same idempotency key exists, that run is returned.

    Raises:
        NotFound: the deployment is not found.
        ParameterError: the parameters do not match the flow.
    """
    return _create(tx, deployment_row(tx, deployment_id), body)


class BulkCreated(Model):
    """What became of one item: the id of its run, or the reason why there is none."""

    flow_run_id: str | None = None
    status: Literal["CREATED", "FAILED"]
    error: str | None = None


class BulkCreate(Model):
    """What became of each item, in their order."""

    results: list[BulkCreated] = Field(default_factory=list)


@operation("POST", "/deployments/{deployment_id}/create_flow_run/bulk")
def bulk_create_flow_runs(
    tx: Transaction, deployment_id: str, body: list[DeploymentFlowRunCreate]
) -> BulkCreate:
    """Create up to 100 runs of a deployment. An item that cannot run does not stop the others.

    Raises:
        NotFound: the deployment is not found.
        TooMany: there are more than 100 items.
    """
    if len(body) > _MOST_AT_ONCE:
        raise TooMany(f"Cannot create more than {_MOST_AT_ONCE} flow runs at once; these are {len(body)}")
    deployment = deployment_row(tx, deployment_id)
    results = []
    for item in body:
        tx.execute("SAVEPOINT item")
        try:
            made = _create(tx, deployment, item).result
        except StoreError:
            raise
        except RunyardError as error:
            tx.execute("ROLLBACK TO SAVEPOINT item")
            results.append(BulkCreated(status="FAILED", error=error.message))
        else:
            results.append(BulkCreated(flow_run_id=made.id, status="CREATED"))
        tx.execute("RELEASE SAVEPOINT item")
    return BulkCreate(results=results)


class DeploymentRun(Model):
    """The created run, and the `flow/name` of its deployment."""

    flow_run: FlowRun
    deployment: str


@operation("POST", "/runyard/deployments/run", status=201)
def run_deployment(tx: Transaction, body: DeploymentRunCreate) -> Answer[DeploymentRun]:
    """Create a run of a deployment by its name or id, with parameters as typed text.

    Raises:
        NotFound: the deployment is not found.
        Conflict: several deployments match.
        ParameterError: the parameters do not match the flow, or the job variables do not match the work pool.
    """
    found = find_deployment(tx, body.deployment)
    deployment = deployment_row(tx, found.id)
    schema = found.parameter_openapi_schema
    typed = read_parameters(body.parameter_texts, body.parameters_text, schema or {})
    given = {**body.parameters, **typed}
    if body.strict:
        rules.check_names(given, schema, f"deployment {found.name!r}")
        deployment_places.refuse_unread(tx, deployment["work_queue_id"], body.job_variables or {})
    changes: dict[str, Any] = {"parameters": given}
    if body.name_template:
        changes["name"] = fill_name(body.name_template, {**found.parameters, **given})
    made = _create(tx, deployment, body.model_copy(update=changes))
    full_name = f"{found.flow_name}/{found.name}"
    return Answer(DeploymentRun(flow_run=made.result, deployment=full_name), made.status)


def _create(tx: Transaction, deployment: Row, body: DeploymentFlowRunCreate) -> Answer[FlowRun]:
    given = {name: rules.hydrate(value) for name, value in body.parameters.items()}
    parameters = {**load(deployment["parameters"], {}), **given}
    check_parameters(deployment, parameters, body.enforce_parameter_schema)
    wanted = None if body.state is None else body.state.to_state()
    columns: dict[str, Any] = {"context": body.context, "empirical_policy": body.empirical_policy}
    columns["parent_task_run_id"] = body.parent_task_run_id
    if body.name:
        columns["name"] = body.name
    if body.job_variables:
        deployment_places.check_job_variables(tx, deployment["work_queue_id"], body.job_variables)
        columns["job_variables"] = body.job_variables
    if body.work_queue_name:
        columns["work_queue_id"] = deployment_places.sibling_queue_id(tx, deployment, body.work_queue_name)
    if wanted is not None and wanted.type == states.SCHEDULED:
        moment = wanted.state_details.get("scheduled_time")
        first = states.Scheduled(_moment(moment), name=wanted.name, message=wanted.message)
    else:
        first = states.Scheduled(clock.from_us(lease_clock.wall(tx)))
    run_id, created = insert_deployment_run(
        tx,
        deployment,
        first,
        parameters=parameters,
        tags=body.tags,
        labels=body.labels,
        idempotency_key=body.idempotency_key,
        **columns,
    )
    if created and wanted is not None and wanted.type != states.SCHEDULED:
        change_flow_run_state(tx, run_id, wanted, force=True)
    return Answer(flow_runs.read_flow_run(tx, run_id), 201 if created else 200)


def _moment(value: Any) -> Any:
    return clock.parse_time(value) if isinstance(value, str) else value
