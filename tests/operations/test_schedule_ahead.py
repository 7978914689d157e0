"""Runs that are created ahead of their schedule's time, or for a time that has passed."""

from datetime import UTC, datetime, timedelta

import pytest
from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.scheduler import schedule_ahead, scheduler
from runyard.operations.schedules import schedules
from runyard.operations.schemas import Listing

START = datetime(2031, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def deployment(client, *schedules, **more):
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    body = deployments.DeploymentCreate(name="daily", flow_id=flow.id, schedules=list(schedules), **more)
    return client.call(deployments.create_deployment, body)


def hourly(**more):
    return {"schedule": {"interval": 3600, "anchor_date": "2030-01-01T00:00:00Z"}, **more}


def ahead(client, made, **body):
    client.call(schedule_ahead.schedule_deployment, made.id, schedule_ahead.ScheduleAhead(**body))
    listing = Listing(sort="EXPECTED_START_TIME_ASC")
    return client.call(flow_runs.filter_flow_runs, listing)


@pytest.mark.parametrize(
    ("body", "count"),
    [
        ({}, 3),
        ({"min_runs": 1}, 2),
        ({"min_runs": 0, "min_time": 0}, 1),
        ({"min_time": 7200.0}, 3),
        ({"min_time": 36_000.0}, 11),
        ({"min_runs": 10, "max_runs": 4}, 4),
        ({"max_runs": 0}, 0),
        ({"min_runs": 50, "end_time": START + 5 * HOUR}, 6),
        ({"end_time": START - HOUR}, 0),
    ],
)
def test_there_are_as_many_runs_as_the_limits_say(client, body, count):
    made = deployment(client, hourly())
    runs = ahead(client, made, start_time=START, **body)
    assert [run.expected_start_time for run in runs] == [START + number * HOUR for number in range(count)]


def test_the_runs_are_those_of_the_scheduler(client):
    made = deployment(client, hourly(parameters={"n": 2}), tags=["mine"], parameters={"n": 1, "m": 1})
    run = ahead(client, made, start_time=START, max_runs=1)[0]
    assert (run.state_type, run.state_name, run.auto_scheduled) == ("SCHEDULED", "Scheduled", True)
    assert run.parameters == {"n": 2, "m": 1}
    assert sorted(run.tags) == ["auto-scheduled", "mine"]
    assert run.created_by["type"] == "SCHEDULE"
    assert run.next_scheduled_start_time == START


def test_each_instant_has_one_run_and_each_active_schedule_its_own(client):
    made = deployment(client, hourly(), hourly(), hourly(active=False))
    assert len(ahead(client, made, start_time=START, max_runs=2)) == 4
    assert len(ahead(client, made, start_time=START, max_runs=2)) == 4
    assert len(ahead(client, made, start_time=START, max_runs=3)) == 6


def test_a_past_window_is_a_backfill(client):
    made = deployment(client, hourly())
    past = START - timedelta(days=4000)
    runs = ahead(client, made, start_time=past, end_time=past + 2 * HOUR)
    assert [run.expected_start_time for run in runs] == [past, past + HOUR, past + 2 * HOUR]


def test_no_schedule_makes_no_run_and_no_deployment_is_not_found(client):
    assert ahead(client, deployment(client)) == []
    with pytest.raises(NotFound, match="deployment 0000"):
        client.call(schedule_ahead.schedule_deployment, "0000", schedule_ahead.ScheduleAhead())


def test_limits_out_of_range_are_refused():
    for wrong in ({"max_runs": 501}, {"max_runs": -1}, {"min_runs": -1}, {"min_time": -1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            schedule_ahead.ScheduleAhead(**wrong)


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_runs_ahead_of_their_time_count_for_no_overlap(client, monkeypatch, overlap):
    moments = [START + HOUR / 2]
    monkeypatch.setattr(clock, "now", lambda: moments[-1])
    monkeypatch.setattr(clock, "now_us", lambda: clock.to_us(moments[-1]))
    made = deployment(client, hourly(overlap=overlap))
    ahead(client, made, start_time=START + 2 * HOUR, max_runs=3)

    def turn():
        created = client.call(scheduler.run_scheduler, scheduler.SchedulerTurn(owner="test")).created
        listing = Listing(sort="EXPECTED_START_TIME_ASC")
        return created, client.call(flow_runs.filter_flow_runs, listing)

    moments.append(START + HOUR)
    created, runs = turn()
    assert created == 1
    assert [run.expected_start_time for run in runs] == [START + number * HOUR for number in (1, 2, 3, 4)]
    assert {run.state_type for run in runs} == {"SCHEDULED"}
    for kind in ("RUNNING", "COMPLETED"):
        body = flow_runs.SetState(state={"type": kind}, force=True)
        client.call(flow_runs.set_flow_run_state, runs[0].id, body)
    moments.append(START + 2 * HOUR)
    created, runs = turn()
    assert created == 0  # its run exists
    assert [run.state_type for run in runs] == ["COMPLETED", "SCHEDULED", "SCHEDULED", "SCHEDULED"]
    assert client.call(schedules.read_schedule_skips, made.id) == []
