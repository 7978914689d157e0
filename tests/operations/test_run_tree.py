"""The tree of a flow run: subflows, tasks inside tasks, the failed ones first, and what is left out."""

from __future__ import annotations

import pytest
from runyard.base.errors import NotFound
from runyard.domain.states import Completed, Failed, Running
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs, run_tree
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs import task_runs


@pytest.fixture
def run(client):
    """Create a running flow run."""
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))

    def make(name, **fields):
        body = flow_runs.FlowRunCreate(flow_id=flow.id, name=name, state=StateCreate.of(Running()), **fields)
        return client.call(flow_runs.create_flow_run, body)

    return make


def task(client, run, name, state, **fields):
    body = task_runs.TaskRunCreate(
        task_key=name, dynamic_key=name, name=name, flow_run_id=run.id, state=StateCreate.of(state), **fields
    )
    return client.call(task_runs.create_task_run, body)


def tree(client, run, **fields):
    return client.call(run_tree.read_flow_run_tree, run.id, **fields)


def shape(node):
    return {f"{child.kind} {child.name} {child.state_name}": shape(child) for child in node.children}


def test_subflows_and_tasks_inside_tasks(client, run):
    root = run("calm-otter")
    outer = task(client, root, "outer", Completed())
    inside = {"__parents__": [{"input_type": "task_run", "id": outer.id}]}
    task(client, root, "inner", Completed(), task_inputs=inside)
    caller = task(client, root, "sub-0", Running())
    sub = run("keen-heron", parent_task_run_id=caller.id)
    task(client, sub, "load", Failed(message="Task run encountered an exception: KeyError: 'x'"))
    told = tree(client, root)
    assert (told.kind, told.name, told.left_out) == ("flow_run", "calm-otter", {})
    assert shape(told) == {
        "flow_run keen-heron Running": {"task_run load Failed": {}},
        "task_run outer Completed": {"task_run inner Completed": {}},
    }
    (first, _) = told.children
    assert (first.id, first.task_run_id) == (sub.id, caller.id)
    assert first.children[0].error == "KeyError: 'x'"


def test_the_failed_ones_come_first_and_the_rest_is_counted(client, run):
    root = run("calm-otter")
    for number in range(8):
        task(client, root, f"t-{number}", Failed(message="x") if number == 6 else Completed())
    told = tree(client, root, limit=3)
    assert [child.name for child in told.children] == ["t-6", "t-0", "t-1"]
    assert told.left_out == {"Completed": 5}
    with pytest.raises(NotFound):
        client.call(run_tree.read_flow_run_tree, "nosuch")
