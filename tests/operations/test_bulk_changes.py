"""Cancel, retry or delete all runs that a filter matches: what is counted, changed, and left out."""

from __future__ import annotations

import pytest
from runyard.base.errors import InvalidInput
from runyard.domain.states import Completed, Failed, Running, Scheduled
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import bulk_changes, flow_runs
from runyard.operations.schemas import Listing, StateCreate
from runyard.operations.task_runs import task_runs


@pytest.fixture
def made(client):
    """Create a run in a state, of a deployment unless it is told otherwise."""
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    item = {"flow_name": "etl", "name": "daily"}
    apply = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    daily = client.call(deployments.apply_deployments, apply)[0].deployment

    def make(state, name=None, **fields):
        fields = {"deployment_id": daily.id, **fields}
        first = state if state.type in ("SCHEDULED", "RUNNING") else Running()
        body = flow_runs.FlowRunCreate(flow_id=flow.id, name=name, state=StateCreate.of(first), **fields)
        run = client.call(flow_runs.create_flow_run, body)
        if state is not first:
            propose = flow_runs.SetState(state=StateCreate.of(state), force=True)
            client.call(flow_runs.set_flow_run_state, run.id, propose)
        return run

    return make


def count(client, action, **filters):
    return client.call(bulk_changes.count_bulk_change, bulk_changes.BulkFilter(action=action, **filters))


def change(client, action, until, limit=200, **filters):
    runs, after = [], ""
    while after is not None:
        body = bulk_changes.BulkChange(action=action, until=until, after=after, limit=limit, **filters)
        part = client.call(bulk_changes.change_flow_runs, body)
        runs += part.runs
        after = part.next
    return runs


def states(client):
    return {run.name: run.state_name for run in client.call(flow_runs.filter_flow_runs, Listing())}


def test_cancel_of_all_that_wait_or_run_and_of_no_other(client, made):
    for number in range(5):
        made(Scheduled(), f"waits-{number}")
    made(Running(), "runs")
    made(Failed(), "failed")
    told = count(client, "cancel")
    assert (told.count, told.states, told.left_out) == (6, {"Scheduled": 5, "Running": 1}, {"Failed": 1})
    made(Scheduled(), "later")
    changed = change(client, "cancel", told.until, limit=2)
    assert len(changed) == 6
    assert {run.reason for run in changed} == {None}
    assert states(client) == {
        **{f"waits-{number}": "Cancelled" for number in range(5)},
        "runs": "Cancelling", "failed": "Failed", "later": "Scheduled",
    }  # fmt: skip
    assert count(client, "cancel").states == {"Scheduled": 1}


def test_the_filters_of_listings(client, made):
    made(Scheduled(), "a", tags=["x"])
    made(Scheduled(), "b")
    chosen = {"flow_runs": {"tags": {"all_": ["x"]}}}
    told = count(client, "cancel", **chosen)
    assert told.count == 1
    (only,) = change(client, "cancel", told.until, **chosen)
    assert (only.name, only.state_name) == ("a", "Cancelled")
    assert states(client) == {"a": "Cancelled", "b": "Scheduled"}
    nothing = count(client, "cancel", flows={"name": {"any_": ["nosuch"]}})
    assert (nothing.count, nothing.until) == (0, "")
    with pytest.raises(InvalidInput):
        count(client, "cancel", flow_runs={"nosuch": {"any_": []}})


def test_retry_of_failed_runs_whose_code_is_known(client, made):
    made(Failed(), "a")
    made(Failed(), "by-hand", deployment_id=None)
    made(Completed(), "well")
    chosen = {"flow_runs": {"state": {"name": {"any_": ["Failed"]}}}}
    told = count(client, "retry", **chosen)
    assert (told.count, told.unknown_code) == (1, 1)
    (only,) = change(client, "retry", told.until, **chosen)
    assert (only.name, only.state_name, only.reason) == ("a", "AwaitingRetry", None)
    assert states(client) == {"a": "AwaitingRetry", "by-hand": "Failed", "well": "Completed"}


def test_delete_keeps_what_executes_and_takes_subflows_along(client, made):
    run = made(Completed(), "old")
    task = task_runs.TaskRunCreate(task_key="sub", dynamic_key="0", flow_run_id=run.id)
    caller = client.call(task_runs.create_task_run, task)
    made(Failed(), "inner", deployment_id=None, parent_task_run_id=caller.id)
    made(Running(), "runs")
    told = count(client, "delete")
    assert (told.count, told.left_out) == (1, {"Running": 1})
    (only,) = change(client, "delete", told.until)
    assert only.name == "old"
    assert states(client) == {"runs": "Running"}
