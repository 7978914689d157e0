"""Prefect's bulk routes: the first objects that a filter matches are deleted or changed, or runs created."""

import pytest
from runyard.base.errors import InvalidInput, NotFound, TooMany
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import bulk_changes, create_deployment_run, flow_runs
from runyard.operations.schemas import Filter, Listing, StateCreate

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture
def flow(client):
    return client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))


@pytest.fixture
def deployment(client, flow):
    body = deployments.DeploymentCreate(
        name="daily",
        flow_id=flow.id,
        parameters={"n": 1},
        parameter_openapi_schema=SCHEMA,
        enforce_parameter_schema=True,
    )
    return client.call(deployments.create_deployment, body)


def make(client, flow, count, kind="SCHEDULED", **more):
    """The ids of new runs in a state, the newest first."""
    made = []
    for _ in range(count):
        body = flow_runs.FlowRunCreate(flow_id=flow.id, state=StateCreate(type=kind), **more)
        made.insert(0, client.call(flow_runs.create_flow_run, body).id)
    return made


def left(client):
    return [run.id for run in client.call(flow_runs.filter_flow_runs, Listing())]


def test_the_newest_matching_flow_runs_are_deleted(client, flow):
    running, waiting = make(client, flow, 2, "RUNNING"), make(client, flow, 3)
    chosen = {"state": {"type": {"any_": ["SCHEDULED"]}}}
    body = bulk_changes.FlowRunBulkDelete(flow_runs=chosen, limit=2)
    assert client.call(bulk_changes.bulk_delete_flow_runs, body).deleted == waiting[:2]
    assert left(client) == [waiting[2], *running]
    assert client.call(bulk_changes.bulk_delete_flow_runs, body).deleted == waiting[2:]
    assert client.call(bulk_changes.bulk_delete_flow_runs, body).deleted == []
    assert left(client) == running


@pytest.mark.parametrize("limit", [0, 51, -1])
def test_a_bulk_call_takes_1_to_50_objects(client, limit):
    for model in (
        bulk_changes.FlowRunBulkDelete,
        known_flows.FlowBulkDelete,
        deployments.DeploymentBulkDelete,
    ):
        with pytest.raises(ValueError, match="limit"):
            model(limit=limit)


def test_one_call_deletes_50_flow_runs(client, flow):
    make(client, flow, 51)
    deleted = client.call(bulk_changes.bulk_delete_flow_runs, bulk_changes.FlowRunBulkDelete()).deleted
    assert (len(deleted), len(left(client))) == (50, 1)


@pytest.mark.parametrize(
    ("operation", "model", "kind"),
    [
        (bulk_changes.bulk_delete_flow_runs, bulk_changes.FlowRunBulkDelete, "flow_runs"),
        (known_flows.bulk_delete_flows, known_flows.FlowBulkDelete, "flows"),
        (deployments.bulk_delete_deployments, deployments.DeploymentBulkDelete, "deployments"),
    ],
)
def test_an_unknown_filter_deletes_nothing(client, flow, deployment, operation, model, kind):
    make(client, flow, 1)
    with pytest.raises(InvalidInput, match="colour"):
        client.call(operation, model(**{kind: {"colour": {"any_": ["red"]}}}))
    with pytest.raises(ValueError, match="work_pools"):
        model(work_pools={"name": {"any_": ["x"]}})
    assert len(left(client)) == 1
    assert client.call(known_flows.count_flows, Filter()) == 1
    assert client.call(deployments.count_deployments, Filter()) == 1


def test_flows_go_with_their_deployments_and_runs(client, flow, deployment):
    make(client, flow, 2, deployment_id=deployment.id)
    other = client.call(known_flows.create_flow, known_flows.FlowCreate(name="other"))
    kept = make(client, other, 1)
    body = known_flows.FlowBulkDelete(flows={"name": {"any_": ["etl"]}})
    assert client.call(known_flows.bulk_delete_flows, body).deleted == [flow.id]
    assert left(client) == kept
    assert client.call(deployments.count_deployments, Filter()) == 0
    assert [each.id for each in client.call(known_flows.filter_flows, Listing())] == [other.id]


def test_deployments_go_with_their_waiting_runs_only(client, flow, deployment):
    make(client, flow, 2, deployment_id=deployment.id)
    running = make(client, flow, 1, "RUNNING", deployment_id=deployment.id)
    body = deployments.DeploymentBulkDelete(deployments={"name": {"like_": "DAI"}})
    assert client.call(deployments.bulk_delete_deployments, body).deleted == [deployment.id]
    assert left(client) == running
    assert client.call(known_flows.count_flows, Filter()) == 1


def test_a_state_is_proposed_for_each_matching_run_and_each_has_its_outcome(client, flow):
    running, waiting = make(client, flow, 1, "RUNNING"), make(client, flow, 1)
    over = make(client, flow, 1, "RUNNING")
    end = flow_runs.SetState(state=StateCreate(type="COMPLETED"))
    client.call(flow_runs.set_flow_run_state, over[0], end)
    body = bulk_changes.FlowRunBulkSetState(state=StateCreate(type="CANCELLING"))
    results = client.call(bulk_changes.bulk_set_flow_run_state, body).results
    assert [(each.flow_run_id, each.status, each.state.type) for each in results] == [
        (over[0], "ABORT", "COMPLETED"),
        (waiting[0], "REJECT", "CANCELLED"),
        (running[0], "ACCEPT", "CANCELLING"),
    ]
    assert results[0].details["type"] == "abort_details"
    assert results[0].details["reason"]
    assert client.call(flow_runs.read_flow_run, waiting[0]).state_type == "CANCELLED"


def test_force_and_a_filter_apply_to_a_proposed_state(client, flow):
    ids = make(client, flow, 3, "RUNNING")
    body = bulk_changes.FlowRunBulkSetState(
        flow_runs={"id": {"any_": ids[:2]}}, state=StateCreate(type="FAILED", message="given up"), force=True
    )
    results = client.call(bulk_changes.bulk_set_flow_run_state, body).results
    assert [(each.flow_run_id, each.status) for each in results] == [(ids[0], "ACCEPT"), (ids[1], "ACCEPT")]
    states = [client.call(flow_runs.read_flow_run, run_id).state for run_id in ids]
    assert [(state.type, state.message) for state in states] == [
        ("FAILED", "given up"),
        ("FAILED", "given up"),
        ("RUNNING", None),
    ]


def item(**fields):
    return deployments.DeploymentFlowRunCreate(**fields)


def test_runs_are_created_for_the_items_that_can_run(client, deployment):
    items = [
        item(name="first"),
        item(parameters={"n": "many"}),
        item(work_queue_name="no-pool"),
        item(parameters={"n": 5}, name="last", tags=["bulk"]),
    ]
    results = client.call(create_deployment_run.bulk_create_flow_runs, deployment.id, items).results
    assert [each.status for each in results] == ["CREATED", "FAILED", "FAILED", "CREATED"]
    assert "n" in results[1].error
    assert "no-pool" in results[2].error
    assert [each.flow_run_id is None for each in results] == [False, True, True, False]
    last = client.call(flow_runs.read_flow_run, results[3].flow_run_id)
    assert (last.name, last.parameters, last.tags) == ("last", {"n": 5}, ["bulk"])
    assert sorted(left(client)) == sorted([results[0].flow_run_id, results[3].flow_run_id])


def test_an_item_with_a_known_key_is_its_run(client, deployment):
    items = [item(idempotency_key="one"), item(idempotency_key="one")]
    results = client.call(create_deployment_run.bulk_create_flow_runs, deployment.id, items).results
    assert [each.status for each in results] == ["CREATED", "CREATED"]
    assert results[0].flow_run_id == results[1].flow_run_id
    assert len(left(client)) == 1


def test_a_call_creates_at_most_100_runs_of_a_known_deployment(client, deployment):
    bulk = create_deployment_run.bulk_create_flow_runs
    assert client.call(bulk, deployment.id, []).results == []
    with pytest.raises(TooMany, match="more than 100 flow runs at once"):
        client.call(bulk, deployment.id, [item()] * 101)
    with pytest.raises(NotFound, match="deployment 0000"):
        client.call(bulk, "0000", [])
    assert left(client) == []
    assert len(client.call(bulk, deployment.id, [item()] * 100).results) == 100


def test_states_are_read_by_id(client, flow):
    run = make(client, flow, 1)[0]
    state = client.call(flow_runs.read_flow_run, run).state
    assert client.call(flow_runs.read_flow_run_state, state.id) == state
    with pytest.raises(NotFound, match="state 0000 of a flow run"):
        client.call(flow_runs.read_flow_run_state, "0000")
