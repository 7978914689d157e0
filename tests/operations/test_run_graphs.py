"""The graph of a flow run: nodes, edges, subflows, artifacts and states; its limits."""

from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.base.errors import InvalidInput, NotFound, TooMany
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.records import stored_artifacts
from runyard.operations.task_runs import run_graphs, task_runs


@pytest.fixture
def run(client):
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    body = flow_runs.FlowRunCreate(flow_id=flow.id, state={"type": "RUNNING"})
    return client.call(flow_runs.create_flow_run, body)


def task(client, run, name, states=("RUNNING", "COMPLETED"), **inputs):
    """A task run that went through states; `inputs` are lists of the runs that it waited for."""
    given = {
        key: [{"input_type": "task_run", "id": each.id} for each in value] for key, value in inputs.items()
    }
    body = task_runs.TaskRunCreate(
        flow_run_id=run.id,
        name=name,
        task_key="t",
        dynamic_key=name,
        state={"type": "PENDING"},
        task_inputs={**given, "days": [{"input_type": "constant", "type": "int"}]},
    )
    made = client.call(task_runs.create_task_run, body)
    for state in states:
        propose = flow_runs.SetState(state={"type": state}, force=True)
        client.call(task_runs.set_task_run_state, made.id, propose)
    return made


def subflow(client, run, stand_in):
    body = flow_runs.FlowRunCreate(
        flow_id=run.flow_id, name="inner", parent_task_run_id=stand_in.id, state={"type": "RUNNING"}
    )
    return client.call(flow_runs.create_flow_run, body)


def graph(client, run, **more):
    return client.call(run_graphs.read_flow_run_graph_v2, run.id, **more)


def ids(edges):
    return [edge.id for edge in edges]


def test_nodes_have_the_edges_of_their_inputs(client, run):
    load = task(client, run, "load")
    clean = task(client, run, "clean", data=[load], again=[load])
    save = task(client, run, "save", ("RUNNING",), data=[clean], wait_for=[load], __parents__=[clean])
    found = graph(client, run)
    assert [name for name, _ in found.nodes] == [load.id, clean.id, save.id]
    nodes = dict(found.nodes)
    assert found.root_node_ids == [load.id]
    assert {node.kind for node in nodes.values()} == {"task-run"}
    assert (ids(nodes[clean.id].parents), ids(nodes[clean.id].children)) == ([load.id], [save.id])
    assert ids(nodes[load.id].children) == [clean.id, save.id]
    assert sorted(ids(nodes[save.id].parents)) == sorted([clean.id, load.id])
    assert ids(nodes[save.id].encapsulating) == [clean.id]
    assert (nodes[save.id].label, nodes[save.id].state_type, nodes[save.id].end_time) == (
        "save",
        "RUNNING",
        None,
    )
    assert nodes[load.id].end_time is not None
    assert [(state.type, state.name) for state in found.states] == [("RUNNING", "Running")]
    assert (found.start_time, found.end_time) == (run.start_time, None)


def test_a_subflow_is_shown_as_its_run(client, run):
    load = task(client, run, "load")
    stand_in = task(client, run, "inner-0", (), data=[load])
    inner = subflow(client, run, stand_in)
    after = task(client, run, "after", data=[stand_in])
    nodes = dict(graph(client, run).nodes)
    assert set(nodes) == {load.id, inner.id, after.id}
    assert (nodes[inner.id].kind, nodes[inner.id].label) == ("flow-run", "etl / inner")
    assert (ids(nodes[inner.id].parents), ids(nodes[inner.id].children)) == ([load.id], [after.id])
    assert ids(nodes[after.id].parents) == [inner.id]


def test_since_leaves_out_what_ended_before_but_no_edge_to_it(client, run):
    load = task(client, run, "load")
    later = clock.format_time(
        client.call(task_runs.read_task_run, load.id).end_time + timedelta(microseconds=1)
    )
    save = task(client, run, "save", ("RUNNING",), data=[load])
    found = graph(client, run, since=later)
    assert [name for name, _ in found.nodes] == [save.id]
    assert ids(found.nodes[0][1].parents) == [load.id]
    assert found.root_node_ids == []
    assert len(graph(client, run, since="2000-01-01T00:00:00Z").nodes) == 2
    with pytest.raises(InvalidInput, match="yesterday"):
        graph(client, run, since="yesterday")


def test_artifacts_are_with_their_task_runs(client, run):
    load = task(client, run, "load")

    def make(**fields):
        body = stored_artifacts.ArtifactCreate(flow_run_id=run.id, **fields)
        return client.call(stored_artifacts.create_artifact, body)

    old = make(key="report", type="markdown", data="one")
    new = make(key="report", type="markdown", data="two", task_run_id=load.id)
    progress = make(type="progress", data=40)
    make(type="result", data="hidden")
    found = graph(client, run)
    assert [(each.id, each.is_latest, each.data) for each in found.artifacts] == [
        (old.id, False, None),
        (progress.id, True, 40),
    ]
    assert [(each.id, each.is_latest) for each in dict(found.nodes)[load.id].artifacts] == [(new.id, True)]


def test_the_first_form_lists_what_each_task_run_waited_for(client, run):
    load = task(client, run, "load")
    task(client, run, "save", ("RUNNING",), data=[load], wait_for=[load])
    first, second = client.call(run_graphs.read_flow_run_graph, run.id)
    assert (first.id, first.name, first.upstream_dependencies) == (load.id, "load", [])
    assert second.upstream_dependencies == [{"input_type": "task_run", "id": load.id}]
    assert (first.state.type, second.state.type, second.untrackable_result) == ("COMPLETED", "RUNNING", False)


def test_a_graph_of_no_run_or_of_too_many_nodes_is_refused(client, run, monkeypatch):
    for operation in (run_graphs.read_flow_run_graph, run_graphs.read_flow_run_graph_v2):
        with pytest.raises(NotFound, match="0000"):
            client.call(operation, "0000")
    for name in ("a", "b"):
        task(client, run, name)
    monkeypatch.setattr(run_graphs, "_MOST_NODES", 1)
    for operation in (run_graphs.read_flow_run_graph, run_graphs.read_flow_run_graph_v2):
        with pytest.raises(TooMany, match="more than 1 nodes"):
            client.call(operation, run.id)
