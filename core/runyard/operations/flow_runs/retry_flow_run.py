"""Runs an ended run of a deployment again, with other parameters if they are given."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import Conflict
from runyard.domain import parameter_schemas as rules
from runyard.domain.flow_run_rules import ACCEPT
from runyard.domain.states import TERMINAL, AwaitingRetry
from runyard.domain.typed_parameters import read_parameters
from runyard.operations.deployments.deployment_rows import deployment_row
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.flow_run_shapes import FlowRun, flow_run_of
from runyard.operations.flow_runs.flow_runs import context_of, read_row
from runyard.operations.flow_runs.insert_deployment_runs import check_parameters
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, dump, load
from runyard.store.database import Transaction


class FlowRunRetry(Input):
    """Parameters that differ from those of the run.

    `parameter_texts`: a text for each, JSON or plain text. `parameters_text`: a JSON object.
    """

    parameter_texts: dict[str, str] = Field(default_factory=dict)
    parameters_text: str | None = None


@operation("POST", "/runyard/flow_runs/{flow_run_id}/retry")
def retry_flow_run(tx: Transaction, flow_run_id: str, body: FlowRunRetry) -> FlowRun:
    """Schedule an ended run of a deployment again. Tasks with kept results and equal inputs do not run again.

    Raises:
        NotFound: the flow run or its deployment is not found.
        Conflict: the run has not ended, has no deployment, or cannot be scheduled.
        ParameterError: the parameters do not match the flow.
    """
    run = read_row(tx, flow_run_id)
    if run["state_type"] not in TERMINAL:
        raise Conflict(f"flow run {run['name']!r} is {run['state_name']}; only an ended run can be retried")
    if run["deployment_id"] is None:
        raise Conflict(f"flow run {run['name']!r} has no deployment; only its own code can run it again")
    if body.parameter_texts or body.parameters_text is not None:
        parameters = _parameters(tx, run["deployment_id"], load(run["parameters"], {}), body)
        tx.execute(
            "UPDATE flow_runs SET parameters = :parameters, context = :context, updated = :now "
            "WHERE id = :id",
            {
                "parameters": dump(parameters),
                "context": dump(context_of(run, parameters)),
                "now": clock.now_us(),
                "id": flow_run_id,
            },
        )
    outcome = change_flow_run_state(tx, flow_run_id, AwaitingRetry(), force=True)
    if outcome.status != ACCEPT:
        reason = outcome.reason or f"it is {outcome.state.name}"
        raise Conflict(f"flow run {run['name']!r} cannot be retried: {reason}")
    return flow_run_of(read_row(tx, flow_run_id))


def _parameters(
    tx: Transaction, deployment_id: str, present: dict[str, Any], body: FlowRunRetry
) -> dict[str, Any]:
    deployment = deployment_row(tx, deployment_id)
    schema = load(deployment["parameter_openapi_schema"])
    given = read_parameters(body.parameter_texts, body.parameters_text, schema or {})
    rules.check_names(given, schema, f"deployment {deployment['name']!r}")
    parameters = {**present, **given}
    check_parameters(deployment, parameters, None)
    return parameters
