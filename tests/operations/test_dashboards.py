"""What dashboards ask: lateness, task runs by interval, points of a chart, counts by id and state."""

from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.base.errors import InvalidInput, NotFound
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import dashboards, flow_runs, run_hours
from runyard.operations.runs.run_intervals import RunHistoryRequest
from runyard.operations.schemas import Filter, Listing
from runyard.operations.task_runs import task_run_dashboards, task_runs

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def flow(client):
    return client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))


def now():
    return clock.now().replace(microsecond=0)


def waiting(client, flow, due, **more):
    """A run that is due at a time."""
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
    return client.call(
        flow_runs.create_flow_run, flow_runs.FlowRunCreate(flow_id=flow.id, state=state, **more)
    )


def propose(client, run, kind):
    body = flow_runs.SetState(state={"type": kind}, force=True)
    client.call(flow_runs.set_flow_run_state, run.id, body)


def task(client, run, key, kind="COMPLETED", **more):
    body = task_runs.TaskRunCreate(
        flow_run_id=run.id, task_key="load", dynamic_key=key, state={"type": "PENDING"}, **more
    )
    made = client.call(task_runs.create_task_run, body)
    for state in ("RUNNING", kind):
        body = flow_runs.SetState(state={"type": state}, force=True)
        client.call(task_runs.set_task_run_state, made.id, body)
    return made


def lateness(client, **filters):
    return client.call(run_hours.read_flow_run_lateness, Filter(**filters))


def count_hours(client):
    while client.call(run_hours.count_run_hour)["hour"] is not None:
        pass


def test_no_runs_have_no_lateness(client):
    assert lateness(client) is None
    assert lateness(client, flow_runs={"name": {"any_": ["x"]}}) is None


def test_lateness_is_the_mean_of_runs_that_wait_started_and_never_started(client, flow):
    propose(client, waiting(client, flow, now() - 6 * HOUR, tags=["started"]), "RUNNING")  # 6 hours late
    propose(client, waiting(client, flow, now() - 5 * HOUR, tags=["never"]), "CANCELLED")  # 0: never started
    waiting(client, flow, now() - 3 * HOUR, tags=["waits"])  # 3 hours late
    waiting(client, flow, now() + HOUR, tags=["future"])  # 0
    near = 120
    assert lateness(client) == pytest.approx(9 * 3600 / 4, abs=near)
    for tag, hours in {"started": 6, "never": 0, "waits": 3, "future": 0}.items():
        found = lateness(client, flow_runs={"tags": {"any_": [tag]}})
        assert found == pytest.approx(hours * 3600, abs=near), tag
    assert lateness(client, flows={"name": {"any_": ["etl"]}}) == pytest.approx(9 * 3600 / 4, abs=near)


def test_lateness_is_the_same_from_stored_counts(client, flow):
    for hours in (5, 4, 3):
        run = waiting(client, flow, now() - hours * HOUR)
        for kind in ("RUNNING", "COMPLETED"):
            propose(client, run, kind)
    before = lateness(client)
    assert before == pytest.approx(4 * 3600, abs=120)
    count_hours(client)
    assert lateness(client) == pytest.approx(before)


def test_an_unknown_filter_is_refused_everywhere(client):
    wrong = {"flow_runs": {"colour": {"any_": ["red"]}}}
    for operation in (
        run_hours.read_flow_run_lateness,
        task_run_dashboards.count_task_runs_by_state,
        task_run_dashboards.read_task_run_counts,
    ):
        with pytest.raises(InvalidInput, match="colour"):
            client.call(operation, Filter(**wrong))
    with pytest.raises(InvalidInput, match="colour"):
        client.call(dashboards.read_flow_run_points, Listing(**wrong))
    body = RunHistoryRequest(history_start=now(), history_end=now(), history_interval_seconds=60, **wrong)
    with pytest.raises(InvalidInput, match="colour"):
        client.call(task_run_dashboards.read_task_run_history, body)


def test_the_history_of_task_runs_counts_each_state_in_its_interval(client, flow):
    run = waiting(client, flow, now())
    for key, kind in enumerate(("COMPLETED", "COMPLETED", "FAILED")):
        task(client, run, str(key), kind)
    other = client.call(known_flows.create_flow, known_flows.FlowCreate(name="other"))
    task(client, waiting(client, other, now()), "0")

    def history(**more):
        body = RunHistoryRequest(
            history_start=now() - 3 * HOUR, history_end=now() + HOUR, history_interval_seconds=7200, **more
        )
        found = client.call(task_run_dashboards.read_task_run_history, body)
        assert len(found) == 2
        assert found[0].interval_end == found[1].interval_start
        return [{state.state_name: state.count_runs for state in each.states} for each in found]

    assert history() == [{}, {"Completed": 3, "Failed": 1}]
    assert history(flows={"name": {"any_": ["etl"]}}) == [{}, {"Completed": 2, "Failed": 1}]
    assert history(task_runs={"state": {"type": {"any_": ["FAILED"]}}}) == [{}, {"Failed": 1}]


def test_an_interval_has_at_least_a_second_and_any_length(client, flow):
    task(client, waiting(client, flow, now()), "0")
    for operation in (task_run_dashboards.read_task_run_history, run_hours.read_flow_run_history):

        def history(seconds, operation=operation):
            start = now() - MINUTE
            body = RunHistoryRequest(history_start=start, history_end=start, history_interval_seconds=seconds)
            return client.call(operation, body)

        with pytest.raises(InvalidInput, match="less than 1 second"):
            history(0.5)
        for seconds in (3600, 1e12, 1e305):
            (only,) = history(seconds)
            assert [state.count_runs for state in only.states] == [1]


def test_points_are_the_runs_by_their_expected_start(client, flow):
    early, late = waiting(client, flow, now() - 2 * HOUR), waiting(client, flow, now() + HOUR)
    propose(client, early, "RUNNING")
    started = client.call(flow_runs.read_flow_run, early.id).start_time
    points = client.call(dashboards.read_flow_run_points, Listing())
    assert [(each.id, each.state_type) for each in points] == [(late.id, "SCHEDULED"), (early.id, "RUNNING")]
    assert [each.timestamp for each in points] == [late.expected_start_time, started]
    assert points[0].lateness == timedelta()
    assert abs(points[1].lateness - 2 * HOUR) < 2 * MINUTE
    body = Listing(sort="EXPECTED_START_TIME_ASC", limit=1, flows={"name": {"any_": ["etl"]}})
    assert [each.id for each in client.call(dashboards.read_flow_run_points, body)] == [early.id]
    body = Listing(limit=1, offset=1)
    assert [each.id for each in client.call(dashboards.read_flow_run_points, body)] == [early.id]


def test_1000_points_are_the_most(client):
    assert client.call(dashboards.read_flow_run_points, Listing(limit=1000)) == []
    with pytest.raises(InvalidInput, match="between 0 and 1000"):
        client.call(dashboards.read_flow_run_points, Listing(limit=1001))
    with pytest.raises(InvalidInput, match="between 0 and 200"):
        client.call(flow_runs.filter_flow_runs, Listing(limit=201))


def test_task_runs_are_counted_by_flow_run_without_subflows(client, flow):
    run, empty = waiting(client, flow, now()), waiting(client, flow, now())
    task(client, run, "0")
    task(client, run, "1")
    stand_in = task(client, run, "2")
    waiting(client, flow, now(), parent_task_run_id=stand_in.id)
    body = dashboards.FlowRunIds(flow_run_ids=[run.id, empty.id, "unknown"])
    found = client.call(dashboards.count_task_runs_of_flow_runs, body)
    assert found == {run.id: 2, empty.id: 0, "unknown": 0}
    none = dashboards.FlowRunIds(flow_run_ids=[])
    assert client.call(dashboards.count_task_runs_of_flow_runs, none) == {}


def test_deployments_are_counted_by_flow(client, flow):
    other = client.call(known_flows.create_flow, known_flows.FlowCreate(name="other"))
    for name in ("a", "b"):
        body = deployments.DeploymentCreate(name=name, flow_id=flow.id)
        client.call(deployments.create_deployment, body)
    found = client.call(
        dashboards.count_deployments_of_flows, dashboards.FlowIds(flow_ids=[flow.id, other.id])
    )
    assert found == {flow.id: 2, other.id: 0}


def test_the_next_run_of_a_flow_is_the_scheduled_one_that_is_due_first(client, flow):
    other = client.call(known_flows.create_flow, known_flows.FlowCreate(name="other"))
    propose(client, waiting(client, flow, now()), "RUNNING")
    waiting(client, flow, now() + 2 * HOUR)
    first = waiting(client, flow, now() + HOUR)
    body = dashboards.FlowIds(flow_ids=[flow.id, other.id])
    found = client.call(dashboards.read_next_runs_of_flows, body)
    assert list(found) == [flow.id, other.id]
    assert found[other.id] is None
    next_run = found[flow.id]
    assert (next_run.id, next_run.flow_id, next_run.name) == (first.id, flow.id, first.name)
    assert (next_run.state_type, next_run.state_name) == ("SCHEDULED", "Scheduled")
    assert next_run.next_scheduled_start_time == first.next_scheduled_start_time


def test_more_than_200_ids_are_refused():
    for model, field in ((dashboards.FlowRunIds, "flow_run_ids"), (dashboards.FlowIds, "flow_ids")):
        with pytest.raises(ValueError, match="200"):
            model(**{field: ["x"] * 201})


def test_task_runs_are_counted_by_state(client, flow):
    run = waiting(client, flow, now(), tags=["mine"])
    for key, kind in enumerate(("COMPLETED", "COMPLETED", "FAILED", "CRASHED")):
        task(client, run, str(key), kind)
    task(client, waiting(client, flow, now()), "0", "CANCELLED")
    counts = client.call(task_run_dashboards.count_task_runs_by_state, Filter())
    assert {name: number for name, number in dict(counts).items() if number} == {
        "COMPLETED": 2,
        "FAILED": 1,
        "CRASHED": 1,
        "CANCELLED": 1,
    }
    assert len(dict(counts)) == 9
    body = Filter(flow_runs={"tags": {"any_": ["mine"]}}, task_runs={"state": {"type": {"any_": ["FAILED"]}}})
    counts = client.call(task_run_dashboards.count_task_runs_by_state, body)
    assert (counts.FAILED, counts.COMPLETED, counts.CANCELLED) == (1, 0, 0)


def test_ended_task_runs_are_counted_in_20_parts_of_a_time_range(client, flow):
    run = waiting(client, flow, now())
    for key, kind in enumerate(("COMPLETED", "FAILED", "CRASHED", "CANCELLED", "PENDING")):
        task(client, run, str(key), kind)

    def counts(**more):
        range = {"after_": clock.format_time(now() - 19 * MINUTE), **more}
        body = Filter(task_runs={"start_time": range})
        return client.call(task_run_dashboards.read_task_run_counts, body)

    found = counts()
    assert len(found) == 20
    assert (sum(each.completed for each in found), sum(each.failed for each in found)) == (2, 2)
    assert all((each.completed, each.failed) == (0, 0) for each in found[:18])
    past = counts(before_=clock.format_time(now() - 10 * MINUTE))
    assert [(each.completed, each.failed) for each in past] == [(0, 0)] * 20
    reverse = counts(before_=clock.format_time(now() - 60 * MINUTE))
    assert [(each.completed, each.failed) for each in reverse] == [(0, 0)] * 20


@pytest.mark.parametrize("given", [{}, {"task_runs": {}}, {"task_runs": {"start_time": {"before_": None}}}])
def test_counts_in_parts_need_a_start(client, given):
    with pytest.raises(InvalidInput, match=r"task_runs\.start_time\.after_ is required"):
        client.call(task_run_dashboards.read_task_run_counts, Filter(**given))


def test_a_task_run_tells_the_name_of_its_flow_run(client, flow):
    run = waiting(client, flow, now(), name="the-run")
    made = task(client, run, "0")
    found = client.call(task_run_dashboards.read_task_run_of_flow_run, made.id)
    assert (found.flow_run_name, found.name, found.state_type) == ("the-run", made.name, "COMPLETED")
    with pytest.raises(NotFound, match="0000"):
        client.call(task_run_dashboards.read_task_run_of_flow_run, "0000")
    state = client.call(task_runs.read_task_run, made.id).state
    assert client.call(task_runs.read_task_run_state, state.id) == state
    with pytest.raises(NotFound, match="state 0000 of a task run"):
        client.call(task_runs.read_task_run_state, "0000")
