"""Counts of runs by hour and state, and Prefect's history of runs: right whatever changes after an hour."""

from collections import Counter
from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.client import LocalClient
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs, run_hours
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, SetState
from runyard.operations.flow_runs.run_hours import RunHistoryRequest
from runyard.operations.schemas import Listing
from runyard.store.database import get_database

HOUR = timedelta(hours=1)


@pytest.fixture
def flow(client):
    return client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))


def this_hour():
    return clock.now().replace(minute=0, second=0, microsecond=0)


def make(client, flow, hours_ago, *states, minutes=10):
    """A run that was due so long ago, brought through states."""
    due = this_hour() - hours_ago * HOUR + timedelta(minutes=minutes)
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
    run = client.call(flow_runs.create_flow_run, FlowRunCreate(flow_id=flow.id, state=state))
    for kind in states:
        propose(client, run, kind)
    return run


def propose(client, run, kind, **more):
    client.call(flow_runs.set_flow_run_state, run.id, SetState(state={"type": kind, **more}, force=True))


def count_all(client):
    """Count hours until all have been; how many."""
    number = 0
    while client.call(run_hours.count_run_hour)["hour"] is not None:
        number += 1
        assert number < 200
    return number


def counted(client, hours=24, **more):
    """{(hours ago, type, name): runs} as the counts by hour say."""
    since = clock.format_time(this_hour() - hours * HOUR)
    until = clock.format_time(this_hour() + HOUR)
    answer = client.call(run_hours.read_run_hours, since=since, until=until)
    assert len(answer) == hours + 1
    found = Counter()
    for each in answer:
        ago = (this_hour() - clock.parse_time(each["hour"])) // HOUR
        for state in each["states"]:
            found[ago, state["type"], state["name"]] += state["runs"]
    return found


def true(client):
    """The same as the runs themselves say."""
    found = Counter()
    for run in client.call(flow_runs.filter_flow_runs, Listing()):
        ago = -((run.expected_start_time - this_hour()) // HOUR)
        found[ago, run.state_type, run.state_name] += 1
    return found


def test_past_hours_and_the_present_one(client, flow):
    make(client, flow, 5, "RUNNING", "COMPLETED")
    make(client, flow, 5, "RUNNING", "COMPLETED", minutes=59)
    make(client, flow, 5, "RUNNING", "FAILED")
    make(client, flow, 3, "RUNNING")
    make(client, flow, 3)
    make(client, flow, 0, "RUNNING", "CRASHED", minutes=0)
    expected = {
        (5, "COMPLETED", "Completed"): 2,
        (5, "FAILED", "Failed"): 1,
        (3, "RUNNING", "Running"): 1,
        (3, "SCHEDULED", "Scheduled"): 1,
        (0, "CRASHED", "Crashed"): 1,
    }
    assert counted(client) == expected
    assert count_all(client) == 5  # from the hour of the first run until the last one
    assert counted(client) == expected
    assert count_all(client) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda client, flow, run, over: propose(client, run, "COMPLETED"),
        lambda client, flow, run, over: propose(client, over, "SCHEDULED", name="AwaitingRetry"),
        lambda client, flow, run, over: propose(client, over, "COMPLETED"),
        lambda client, flow, run, over: propose(client, over, "FAILED", name="Broken"),
        lambda client, flow, run, over: client.call(flow_runs.delete_flow_run, over.id),
        lambda client, flow, run, over: client.call(flow_runs.delete_flow_run, run.id),
        lambda client, flow, run, over: make(client, flow, 4, "RUNNING", "COMPLETED"),
        lambda client, flow, run, over: make(client, flow, 7, "RUNNING", "COMPLETED"),
        lambda client, flow, run, over: make(client, flow, 4),
        lambda client, flow, run, over: client.call(known_flows.delete_flow, flow.id),
    ],
    ids=[
        "ends-late",
        "retried",
        "forced",
        "renamed",
        "deleted",
        "open-deleted",
        "one-more",
        "earlier",
        "scheduled",
        "flow",
    ],
)
def test_what_changes_after_its_hour_was_counted(client, flow, change):
    run = make(client, flow, 4, "RUNNING")
    over = make(client, flow, 4, "RUNNING", "FAILED")
    make(client, flow, 6, "RUNNING", "COMPLETED")
    count_all(client)
    change(client, flow, run, over)
    assert counted(client) == true(client)
    count_all(client)
    assert counted(client) == true(client)


def test_a_change_that_is_being_committed_is_not_missed(postgres_url, home, monkeypatch):
    """PostgreSQL: whoever counts an hour waits for those who change it."""
    import threading

    monkeypatch.setenv("RUNYARD_DATABASE_URL", postgres_url)
    database = get_database()
    client = LocalClient(database)
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    run = make(client, flow, 1, "RUNNING")
    counter = threading.Thread(target=lambda: (count_all(client), database.discard()))
    with database.transaction() as tx:
        flow_runs.set_flow_run_state(tx, run.id, SetState(state={"type": "COMPLETED"}, force=True))
        counter.start()
        counter.join(0.5)  # it waits, or has counted without the change: both must come out right
    counter.join(60)
    assert counted(client) == true(client) == {(1, "COMPLETED", "Completed"): 1}


def history(client, start, end, seconds, **filters):
    body = RunHistoryRequest(
        history_start=start, history_end=end, history_interval_seconds=seconds, **filters
    )
    return client.call(run_hours.read_flow_run_history, body)


@pytest.mark.parametrize(
    ("seconds", "shift_minutes"), [(3600, 0), (3600, 20), (7200, 0), (86400, 7), (600, 0), (5400, 30)]
)
def test_the_history_is_the_same_counted_or_not(client, flow, seconds, shift_minutes):
    for ago in (1, 2, 2, 5, 9, 13, 24):
        for minutes in (0, 19, 59):
            make(client, flow, ago, "RUNNING", "COMPLETED" if ago % 2 else "FAILED", minutes=minutes)
    make(client, flow, 3, "RUNNING")
    start = this_hour() - 26 * HOUR + timedelta(minutes=shift_minutes)
    before = history(client, start, start + 27 * HOUR, seconds)
    assert sum(state.count_runs for each in before for state in each.states) == 22
    count_all(client)
    after = history(client, start, start + 27 * HOUR, seconds)
    assert len(after) == -(-27 * 3600 // seconds)
    for one, two in zip(before, after, strict=True):
        assert (one.interval_start, one.interval_end) == (two.interval_start, two.interval_end)
        for first, second in zip(one.states, two.states, strict=True):
            assert (first.state_name, first.count_runs) == (second.state_name, second.count_runs)
            if first.state_type != "RUNNING":
                assert first == second
                assert first.sum_estimated_run_time.total_seconds() > 0
                assert first.sum_estimated_lateness.total_seconds() > 0


def test_the_history_of_a_filter(client, flow):
    other = client.call(known_flows.create_flow, known_flows.FlowCreate(name="other"))
    for each in (flow, flow, other):
        make(client, each, 2, "RUNNING", "COMPLETED")
    count_all(client)
    start = this_hour() - 2 * HOUR
    found = history(client, start, start + HOUR, 3600, flows={"name": {"any_": ["etl"]}})
    assert [(state.state_name, state.count_runs) for state in found[0].states] == [("Completed", 2)]
    assert history(client, start, start + HOUR, 3600, flow_runs={})[0].states[0].count_runs == 3


def test_intervals_are_at_least_a_second_and_at_most_500(client, flow):
    start = this_hour()
    with pytest.raises(InvalidInput, match="less than 1 second"):
        history(client, start, start + HOUR, 0.5)
    assert len(history(client, start - 50 * HOUR, start, 1)) == 500
    assert [each.states for each in history(client, start, start + HOUR, 1800)] == [[], []]


def test_hours_that_cannot_be_asked_for(client):
    with pytest.raises(InvalidInput, match="invalid time"):
        client.call(run_hours.read_run_hours, since="soon")
    with pytest.raises(InvalidInput, match="hours apart"):
        client.call(run_hours.read_run_hours, since="2020-01-01T00:00:00Z")
    assert len(client.call(run_hours.read_run_hours)) == 24
