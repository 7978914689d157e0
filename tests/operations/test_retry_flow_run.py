"""An ended run of a deployment runs again, with other parameters if they are given."""

from __future__ import annotations

import pytest
from runyard.base.errors import Conflict, InvalidInput
from runyard.domain.states import Failed, Running, Scheduled
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.retry_flow_run import FlowRunRetry, retry_flow_run
from runyard.operations.schemas import StateCreate

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "day": {"type": "string"}},
    "required": ["n"],
}


@pytest.fixture
def failed(client):
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    item = {"flow_name": "etl", "name": "daily", "parameter_openapi_schema": SCHEMA, "parameters": {"n": 1}}
    apply = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    daily = client.call(deployments.apply_deployments, apply)[0].deployment

    def make(state=None, **fields):
        body = flow_runs.FlowRunCreate(
            flow_id=flow.id, name="calm-otter", parameters={"n": 1, "day": "monday"},
            state=StateCreate.of(Running()), **{"deployment_id": daily.id, **fields},
        )  # fmt: skip
        run = client.call(flow_runs.create_flow_run, body)
        propose = flow_runs.SetState(state=StateCreate.of(state or Failed()), force=True)
        client.call(flow_runs.set_flow_run_state, run.id, propose)
        return run

    return make


def retry(client, run, **fields):
    return client.call(retry_flow_run, run.id, FlowRunRetry(**fields))


def test_it_is_scheduled_again_as_it_was(client, failed):
    run = retry(client, failed())
    assert (run.state_name, run.parameters) == ("AwaitingRetry", {"n": 1, "day": "monday"})


def test_other_parameters_by_the_schema_of_the_flow(client, failed):
    run = retry(client, failed(), parameter_texts={"day": "20261122"}, parameters_text='{"n": 7}')
    assert run.parameters == {"n": 7, "day": "20261122"}


def test_what_is_refused_changes_nothing(client, failed):
    run = failed()
    for texts, words in (({"n": "many"}, "'n'|n:"), ({"dya": "x"}, "did you mean 'day'")):
        with pytest.raises(InvalidInput, match=words):
            retry(client, run, parameter_texts=texts)
    assert client.call(flow_runs.read_flow_run, run.id).state_name == "Failed"
    with pytest.raises(Conflict, match="'calm-otter' is Scheduled; only an ended run"):
        retry(client, failed(Scheduled()))
    with pytest.raises(Conflict, match="has no deployment"):
        retry(client, failed(deployment_id=None))
