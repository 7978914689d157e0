"""Task runs: got or created by their place in a flow run, and their states by the API's rules."""

import pytest
from runyard.base.errors import NotFound
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, SetState
from runyard.operations.schemas import Listing, StateCreate
from runyard.operations.task_runs import task_runs
from runyard.operations.task_runs.task_runs import TaskRunCreate, TaskRunUpdate


@pytest.fixture
def run(client):
    flow = client.call(known_flows.create_flow, body=known_flows.FlowCreate(name="etl"))
    body = FlowRunCreate(flow_id=flow.id, state=StateCreate(type="RUNNING"))
    return client.call(flow_runs.create_flow_run, body=body)


def make(client, run, key="0", **fields):
    body = TaskRunCreate(task_key="load", dynamic_key=key, flow_run_id=run.id, **fields)
    return client.call(task_runs.create_task_run, body=body)


def propose(client, task_run, kind, **state):
    body = SetState(state=StateCreate(type=kind, **state))
    return client.call(task_runs.set_task_run_state, task_run.id, body=body)


def test_a_place_is_one_task_run(client, run):
    first = make(client, run, task_inputs={"x": [{"input_type": "parameter", "name": "x"}]})
    assert make(client, run).id == first.id
    assert first.task_inputs["x"][0]["name"] == "x"
    assert make(client, run, "1").id != first.id


def test_states_retries_and_history(client, run):
    task_run = make(client, run, empirical_policy={"retries": 1, "retry_delay": [0]})
    assert propose(client, task_run, "RUNNING").status == "ACCEPT"
    assert propose(client, task_run, "FAILED").state.name == "AwaitingRetry"
    assert propose(client, task_run, "RUNNING").state.name == "Retrying"
    assert propose(client, task_run, "FAILED").status == "ACCEPT"
    over = client.call(task_runs.read_task_run, task_run.id)
    assert (over.state_type, over.run_count, over.flow_run_run_count) == ("FAILED", 2, 1)
    states = client.call(task_runs.read_task_run_states, task_run_id=task_run.id)
    assert [state.name for state in states] == [
        "Pending", "Running", "AwaitingRetry", "Retrying", "Failed"
    ]  # fmt: skip


def test_nothing_starts_in_a_flow_run_that_is_over(client, run):
    task_run = make(client, run)
    body = SetState(state=StateCreate(type="COMPLETED"))
    client.call(flow_runs.set_flow_run_state, run.id, body=body)
    assert propose(client, task_run, "RUNNING").status == "ABORT"


def test_listing_renaming_deleting(client, run):
    first, second = make(client, run), make(client, run, "1")
    client.call(task_runs.update_task_run, first.id, body=TaskRunUpdate(name="named"))
    body = Listing(task_runs={"flow_run_id": {"any_": [run.id]}}, sort="NAME_DESC")
    assert [one.id for one in client.call(task_runs.filter_task_runs, body=body)] == [first.id, second.id]
    assert client.call(task_runs.find_task_run, reference="named").id == first.id
    client.call(task_runs.delete_task_run, first.id)
    with pytest.raises(NotFound):
        client.call(task_runs.read_task_run, first.id)
