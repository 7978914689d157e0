"""Filters and sorts: every operator, and/or, relations between objects, refusals."""

from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, SetState
from runyard.operations.schemas import Filter, Listing, StateCreate
from runyard.operations.task_runs import task_runs


@pytest.fixture
def runs(client):
    """Runs of two flows; the second flow's are scheduled, an hour from now."""
    due = clock.format_time(clock.now() + timedelta(hours=1))
    made = {}
    for name in ("etl", "report"):
        flow = client.call(known_flows.create_flow, body=known_flows.FlowCreate(name=name, tags=[name]))
        for number in (1, 2):
            later = StateCreate(type="SCHEDULED", state_details={"scheduled_time": due})
            body = FlowRunCreate(
                flow_id=flow.id,
                name=f"{name}-{number}",
                tags=["all", f"n{number}"] if number == 1 else [],
                state=later if name == "report" else None,
                created_by={"id": f"user-{number}", "type": "USER"},
            )
            made[f"{name}-{number}"] = client.call(flow_runs.create_flow_run, body=body).id
    body = SetState(state=StateCreate(type="RUNNING"))
    client.call(flow_runs.set_flow_run_state, made["etl-1"], body=body)
    body = task_runs.TaskRunCreate(task_key="t", dynamic_key="0", name="only-task", flow_run_id=made["etl-1"])
    client.call(task_runs.create_task_run, body=body)
    return made


def found(client, sort="NAME_ASC", **filters):
    rows = client.call(flow_runs.filter_flow_runs, body=Listing(sort=sort, **filters))
    assert client.call(flow_runs.count_flow_runs, body=Filter(**filters)) == len(rows)
    return [row.name for row in rows]


EVERY = ["etl-1", "etl-2", "report-1", "report-2"]


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ({}, EVERY),
        ({"name": {"any_": ["etl-1", "report-2"]}}, ["etl-1", "report-2"]),
        ({"name": {"any_": []}}, []),
        ({"name": {"like_": "ETL"}}, ["etl-1", "etl-2"]),
        ({"name": {"like_": "e%1"}}, ["etl-1", "report-1"]),
        ({"tags": {"all_": ["all", "n1"]}}, ["etl-1", "report-1"]),
        ({"tags": {"all_": ["all", "n2"]}}, []),
        ({"tags": {"any_": ["n1", "x"]}}, ["etl-1", "report-1"]),
        ({"tags": {"is_null_": True}}, ["etl-2", "report-2"]),
        ({"state": {"type": {"any_": ["RUNNING"]}}}, ["etl-1"]),
        ({"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}, ["etl-1", "etl-2"]),
        ({"state": {"type": {"not_any_": ["SCHEDULED"]}}}, ["etl-1", "etl-2"]),
        ({"state": {"name": {"any_": ["Running", "scheduled"]}}}, ["etl-1"]),
        ({"start_time": {"is_null_": False}}, ["etl-1"]),
        ({"end_time": {"is_null_": True}}, EVERY),
        ({"deployment_id": {"is_null_": True}}, EVERY),
        ({"work_queue_name": {"is_null_": False}}, []),
        ({"work_queue_name": {"any_": ["default"]}}, []),
        ({"created_by": {"id_": ["user-1"], "type_": ["USER"]}}, ["etl-1", "report-1"]),
        ({"created_by": {"is_null_": True}}, []),
        ({"parent_task_run_id": {"is_null_": True}}, EVERY),
        (
            {"operator": "or_", "name": {"any_": ["etl-2"]}, "state": {"type": {"any_": ["RUNNING"]}}},
            ["etl-1", "etl-2"],
        ),
        ({"name": {"operator": "or_", "any_": ["etl-2"], "like_": "rep"}}, ["etl-2", "report-1", "report-2"]),
    ],
)
def test_flow_run_filters(client, chosen, names):
    assert found(client, flow_runs=chosen) == names


def test_times_are_inclusive_and_start_falls_back_to_expected(client, runs):
    soon = clock.format_time(clock.now() + timedelta(minutes=30))
    assert found(client, flow_runs={"expected_start_time": {"after_": soon}}) == ["report-1", "report-2"]
    assert found(client, flow_runs={"start_time": {"before_": soon}}) == ["etl-1", "etl-2"]
    exact = client.call(flow_runs.read_flow_run, runs["report-1"]).next_scheduled_start_time
    window = {"before_": clock.format_time(exact), "after_": clock.format_time(exact)}
    assert "report-1" in found(client, flow_runs={"next_scheduled_start_time": window})


def test_relations(client, runs):
    assert found(client, flows={"name": {"any_": ["etl"]}}) == ["etl-1", "etl-2"]
    assert found(client, flows={"tags": {"all_": ["report"]}}) == ["report-1", "report-2"]
    assert found(client, task_runs={"name": {"like_": "only"}}) == ["etl-1"]
    assert found(client, deployments={"name": {"like_": "x"}}) == []
    assert found(client, work_pools={"name": {"any_": ["x"]}}) == []
    body = Listing(flow_runs={"id": {"any_": [runs["report-1"]]}})
    assert [flow.name for flow in client.call(known_flows.filter_flows, body=body)] == ["report"]
    body = Listing(flows={"name": {"any_": ["etl"]}}, task_runs={"subflow_runs": {"exists_": False}})
    assert [one.name for one in client.call(task_runs.filter_task_runs, body=body)] == ["only-task"]
    body = Listing(flows={"deployment": {"is_null_": True}})
    assert len(client.call(known_flows.filter_flows, body=body)) == 2


@pytest.mark.usefixtures("runs")
@pytest.mark.parametrize(
    "sort",
    [
        "ID_DESC", "START_TIME_ASC", "START_TIME_DESC", "EXPECTED_START_TIME_ASC", "EXPECTED_START_TIME_DESC",
        "NAME_ASC", "NAME_DESC", "NEXT_SCHEDULED_START_TIME_ASC", "END_TIME_DESC",
    ],
)  # fmt: skip
def test_every_sort_is_total(client, sort):
    listed = found(client, sort)
    assert sorted(listed) == EVERY
    pages = [
        client.call(flow_runs.filter_flow_runs, body=Listing(sort=sort, limit=1, offset=offset))[0].name
        for offset in range(4)
    ]
    assert pages == listed


@pytest.mark.parametrize(
    "body",
    [
        {"flow_runs": {"nonsense": {"any_": []}}},
        {"flow_runs": {"name": {"matches": "x"}}},
        {"flow_runs": {"name": "x"}},
        {"flow_runs": {"operator": "xor", "id": {"any_": ["a"]}, "name": {"any_": ["b"]}}},
        {"flow_runs": {"state": {"type": {"any_": ["'; DROP TABLE flows"]}}}},
        {"flow_runs": {"end_time": {"before_": "yesterday"}}},
        {"sort": "COLOUR_ASC"},
        {"limit": 201},
        {"limit": -1},
        {"offset": -1},
    ],
)
def test_what_cannot_be_asked_is_refused(client, body):
    with pytest.raises(InvalidInput):
        client.call(flow_runs.filter_flow_runs, body=Listing(**body))


def test_the_common_listing_walks_an_index(database):
    if database.dialect != "sqlite":
        pytest.skip("reads SQLite's plan")
    with database.transaction() as tx:
        plan = tx.all(
            "EXPLAIN QUERY PLAN SELECT r.* FROM flow_runs r "
            "ORDER BY r.expected_start_time DESC, r.id DESC LIMIT 20"
        )
    assert "flow_runs_by_expected_start" in plan[0]["detail"]


def test_long_lists(client, runs):
    names = [f"run-{number}" for number in range(2_000)]
    assert found(client, flow_runs={"name": {"any_": [*names, "etl-1"]}}) == ["etl-1"]
    with pytest.raises(InvalidInput, match="the maximum is 10,000"):
        client.call(flow_runs.filter_flow_runs, body=Listing(flow_runs={"name": {"any_": names * 40}}))
    assert len(found(client)) == 4


@pytest.mark.parametrize(
    ("field", "operator", "value", "wanted"),
    [
        ("start_time", "after_", 1.5, r"flow_runs.start_time.after_ is 1\.5; give a time such as "),
        ("start_time", "before_", "soon", "flow_runs.start_time.before_ is 'soon'; give a time such as "),
        ("name", "any_", "etl-1", "flow_runs.name.any_ is 'etl-1'; give a list of values"),
        ("name", "any_", {"etl-1": 1}, "give a list of values"),
        ("name", "any_", 7, "give a list of values"),
        ("tags", "all_", "a", "give a list of values"),
    ],
)
def test_a_value_that_an_operator_cannot_take_is_refused_in_plain_words(
    client, field, operator, value, wanted
):
    with pytest.raises(InvalidInput, match=wanted):
        found(client, flow_runs={field: {operator: value}})
