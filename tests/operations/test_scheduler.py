"""The scheduler's turns: each instant once, catching up, overlap, pauses, late runs."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from _yard import until
from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.client import LocalClient
from runyard.domain import states
from runyard.domain.schedules import firing_policies
from runyard.domain.schedules import instants as schedule_rules
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import flow_runs
from runyard.operations.scheduler import scheduler
from runyard.operations.schedules import schedules
from runyard.operations.schemas import Listing, StateCreate

HOUR = 3600
# A quarter past, so that an hourly schedule anchored on the hour was due 15 minutes ago.
START = datetime(2026, 6, 1, 12, 15, tzinfo=UTC)
HOURLY = {"interval": HOUR, "anchor_date": "2026-01-01T00:00:00Z"}


class Travel:
    """The clock of this process, set by hand."""

    def __init__(self) -> None:
        self.now = START

    def to(self, **parts: float) -> None:
        """Go `parts` of a timedelta ahead."""
        self.now += timedelta(**parts)


@pytest.fixture
def travel(monkeypatch):
    """A clock that stands still until the test moves it."""
    clocks = Travel()
    monkeypatch.setattr(clock, "now", lambda: clocks.now)
    monkeypatch.setattr(clock, "now_us", lambda: clock.to_us(clocks.now))
    return clocks


def deploy(client, **schedule):
    declared = {"flow_name": "etl", "name": "daily", "schedules": [{"schedule": HOURLY, **schedule}]}
    body = deployments.DeploymentsApply.model_validate({"owner": "project", "deployments": [declared]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def turn(client, owner="worker"):
    return client.call(scheduler.run_scheduler, scheduler.SchedulerTurn(owner=owner))


def runs(client):
    return client.call(flow_runs.filter_flow_runs, Listing(sort="EXPECTED_START_TIME_ASC"))


def hours(client):
    return [run.expected_start_time.hour for run in runs(client)]


def propose(client, run, type):
    body = flow_runs.SetState(state=StateCreate(type=type), force=True)
    return client.call(flow_runs.set_flow_run_state, run.id, body)


def skips(client, deployment):
    found = client.call(schedules.read_schedule_skips, deployment.id)
    return [(skip.instant.hour, skip.until and skip.until.hour, skip.count) for skip in found]


def test_an_instant_becomes_one_run(client, travel):
    made = deploy(client, parameters={"from": "schedule"}, slug="hourly")
    report = turn(client)
    assert (report.created, report.skipped, report.late) == (0, 0, 0)
    assert report.next_due == made.schedules[0].next_due == START + timedelta(minutes=45)
    travel.to(minutes=45)
    report = turn(client)
    assert report.created == 1
    assert turn(client, "another").created == 0
    (run,) = runs(client)
    assert run.expected_start_time == run.next_scheduled_start_time == START + timedelta(minutes=45)
    assert (run.auto_scheduled, run.tags, run.parameters) == (True, ["auto-scheduled"], {"from": "schedule"})
    assert run.idempotency_key == f"scheduled {made.id} {made.schedules[0].id} 2026-06-01T13:00:00.000000Z"
    (schedule,) = client.call(schedules.read_deployment_schedules, made.id)
    assert schedule.last_fired == START + timedelta(minutes=45)
    assert schedule.next_due == START + timedelta(minutes=105)


@pytest.mark.parametrize(
    ("policy", "limit", "made", "skipped"),
    [
        ("skip", 100, [], [(13, 17, 5)]),
        ("latest", 100, [17], [(13, 16, 4)]),
        ("all", 100, [13, 14, 15, 16, 17], []),
        ("all", 2, [16, 17], [(13, 15, 3)]),
    ],
)
def test_after_an_outage(client, travel, policy, limit, made, skipped):
    deployment = deploy(client, catchup=policy, catchup_limit=limit)
    travel.to(hours=5)
    report = turn(client)
    assert hours(client) == made
    assert skips(client, deployment) == skipped
    assert (report.created, report.skipped) == (len(made), 5 - len(made))
    travel.to(minutes=45)
    assert turn(client).created == 1


def test_an_instant_within_the_grace_was_not_missed(client, travel):
    deploy(client)
    travel.to(hours=1, minutes=45, seconds=59)
    assert turn(client).created == 1
    assert hours(client) == [14]


def test_a_long_outage_costs_little_and_is_one_row(client, travel):
    deployment = deploy(client, schedule={"cron": "* * * * *"}, catchup="all", catchup_limit=3)
    travel.to(days=3000)
    assert turn(client).created == 3 + 2
    (skip,) = client.call(schedules.read_schedule_skips, deployment.id)
    assert skip.count > 1000
    assert "at least" in skip.reason


def test_overlap_allow(client, travel):
    deploy(client)
    for _ in range(2):
        travel.to(hours=1)
        travel.now = travel.now.replace(minute=0)
        turn(client)
    assert hours(client) == [13, 14]


def test_overlap_skip_records_what_it_left_out(client, travel):
    deployment = deploy(client, overlap="skip")
    travel.now = START.replace(hour=13, minute=0)
    turn(client)
    propose(client, runs(client)[0], states.RUNNING)
    travel.now = START.replace(hour=14, minute=0)
    report = turn(client)
    assert (report.created, report.skipped) == (0, 1)
    assert skips(client, deployment) == [(14, None, 1)]
    propose(client, runs(client)[0], states.COMPLETED)
    travel.now = START.replace(hour=15, minute=0)
    assert turn(client).created == 1


def test_overlap_queue_keeps_one_waiting(client, travel):
    deployment = deploy(client, overlap="queue")
    for hour in (13, 14, 15):
        travel.now = START.replace(hour=hour, minute=0)
        turn(client)
    assert hours(client) == [13, 14]
    assert skips(client, deployment) == [(15, None, 1)]


def test_a_queued_run_is_busy_until_the_one_before_it_ended(travel, home):
    client = LocalClient()
    deploy(client, overlap="queue")
    for hour in (13, 14):
        travel.now = START.replace(hour=hour, minute=0)
        turn(client)

    def busy():
        with client.database.transaction(False) as tx:
            rows = tx.all("SELECT * FROM flow_runs ORDER BY expected_start_time")
            return [schedules.schedule_is_busy(tx, row) for row in rows]

    first = runs(client)[0]
    assert busy() == [False, True]
    propose(client, first, states.RUNNING)
    assert busy() == [False, True]
    propose(client, first, states.FAILED)
    assert busy() == [False, False]


def test_overlap_replace_cancels_what_is_open(client, travel):
    deploy(client, overlap="replace")
    travel.now = START.replace(hour=13, minute=0)
    turn(client)
    travel.now = START.replace(hour=14, minute=0)
    turn(client)
    assert [run.state_type for run in runs(client)] == ["CANCELLED", "SCHEDULED"]
    propose(client, runs(client)[1], states.RUNNING)
    travel.now = START.replace(hour=15, minute=0)
    turn(client)
    assert [run.state_type for run in runs(client)] == ["CANCELLED", "CANCELLING", "SCHEDULED"]


def test_paused_time_is_not_missed(client, travel):
    deployment = deploy(client, catchup="all")
    client.call(deployments.pause_deployment, deployment.id)
    travel.to(hours=5)
    report = turn(client)
    assert (report.created, report.next_due) == (0, None)
    client.call(deployments.resume_deployment, deployment.id)
    assert turn(client).created == 0
    body = schedules.DeploymentScheduleUpdate(active=False)
    client.call(schedules.update_deployment_schedule, deployment.id, deployment.schedules[0].id, body)
    travel.to(hours=5)
    assert turn(client).created == 0
    assert skips(client, deployment) == []


def redeploy(client, deployment, schedules_):
    declared = {"flow_name": "etl", "name": "daily", "schedules": schedules_}
    body = deployments.DeploymentsApply.model_validate({"owner": "project", "deployments": [declared]})
    client.call(deployments.apply_deployments, body)


def patch(client, deployment, **fields):
    update = deployments.DeploymentUpdate.model_validate(fields)
    client.call(deployments.update_deployment, deployment.id, update)


def patch_schedule(client, deployment, **fields):
    body = schedules.DeploymentScheduleUpdate.model_validate(fields)
    schedule = deployment.schedules[0].id
    client.call(schedules.update_deployment_schedule, deployment.id, schedule, body)


NIGHTLY = {"cron": "0 3 * * *"}
# All that may happen to a schedule while some of its instants are due.
CHANGES = {
    "its times in the file": lambda client, made: redeploy(
        client, made, [{"schedule": NIGHTLY, "slug": "s"}]
    ),
    "its slug in the file": lambda client, made: redeploy(client, made, [{"schedule": HOURLY, "slug": "t"}]),
    "it is not in the file": lambda client, made: redeploy(client, made, []),
    "inactive in the file": lambda client, made: redeploy(
        client, made, [{"schedule": HOURLY, "slug": "s", "active": False}]
    ),
    "its pause": lambda client, made: patch_schedule(client, made, active=False),
    "its times": lambda client, made: patch_schedule(client, made, schedule=NIGHTLY),
    "its removal": lambda client, made: client.call(
        schedules.delete_deployment_schedule, made.id, made.schedules[0].id
    ),
    "a pause of the deployment": lambda client, made: client.call(deployments.pause_deployment, made.id),
    "a paused deployment": lambda client, made: patch(client, made, paused=True),
    "its times by slug": lambda client, made: patch(
        client, made, schedules=[{"schedule": NIGHTLY, "slug": "s"}]
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_change_takes_away_what_is_due(client, travel, change):
    made = deploy(client, slug="s", catchup="all")
    travel.to(hours=2)
    turn(client)
    waiting = [run.id for run in runs(client)]
    assert len(waiting) == 2
    # Three more are missed before anything is changed.
    travel.to(hours=3)
    change(client, made)
    assert [run.id for run in runs(client)] == waiting
    turn(client)
    assert hours(client) == [13, 14, 15, 16, 17]
    turn(client)
    assert hours(client) == [13, 14, 15, 16, 17]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_was_missed_before_a_change_is_recorded(client, travel, change):
    made = deploy(client, slug="s")
    travel.to(hours=5)
    change(client, made)
    travel.to(minutes=1)
    turn(client)
    assert hours(client) == []
    assert skips(client, made) == [(13, 17, 5)]
    (skip,) = client.call(schedules.read_schedule_skips, made.id)
    assert skip.slug == "s"


def test_runs_of_the_future_follow_a_change(client, travel):
    made = deploy(client, slug="s")
    travel.to(minutes=45)
    turn(client)
    (run,) = runs(client)
    # As if the clock had been set back: the run is for an instant that is to come.
    travel.to(hours=-1)
    patch_schedule(client, made, active=False)
    with pytest.raises(NotFound):
        client.call(flow_runs.read_flow_run, run.id)


def test_latest_is_one_run_of_the_newest_time_however_short_the_interval(client, travel):
    made = deploy(client, schedule={**HOURLY, "interval": 1}, catchup="latest")
    travel.to(hours=1)
    assert turn(client).created == 1
    (run,) = runs(client)
    assert run.expected_start_time == travel.now
    (skip,) = client.call(schedules.read_schedule_skips, made.id)
    assert (skip.count, skip.until) == (3599, travel.now - timedelta(seconds=1))
    travel.to(seconds=1)
    assert turn(client).created == 1


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
def test_overlap_decides_about_the_newest_of_an_outage(client, travel, overlap):
    deploy(client, schedule={**HOURLY, "interval": 10}, catchup="latest", overlap=overlap)
    travel.to(hours=1)
    turn(client)
    assert [run.expected_start_time for run in runs(client)] == [travel.now]


def test_expressions_are_worked_out_before_the_transaction_that_writes(travel, home, monkeypatch):
    client = LocalClient()
    rule = {"rrule": "FREQ=HOURLY;BYDAY=MO,TU,WE,TH,FR,SA,SU"}
    made = deploy(client, slug="s", schedule=rule)
    travel.to(hours=3)
    found = schedule_rules.instants
    looks = []

    def instants(*given):
        # Another connection can write at once: no transaction that writes is open.
        with closing(sqlite3.connect(client.database.url.removeprefix("sqlite:///"), timeout=0)) as other:
            other.execute("BEGIN IMMEDIATE")
        looks.append(given)
        return found(*given)

    monkeypatch.setattr(schedule_rules, "instants", instants)
    monkeypatch.setattr(firing_policies, "instants", instants)
    assert turn(client).skipped == 3
    travel.to(hours=3)
    patch_schedule(client, made, active=False)
    patch_schedule(client, made, active=True)
    travel.to(hours=3)
    client.call(deployments.pause_deployment, made.id)
    client.call(deployments.resume_deployment, made.id)
    travel.to(hours=3)
    redeploy(client, made, [{"schedule": {"rrule": "FREQ=DAILY;BYHOUR=4"}, "slug": "s"}])
    assert len(looks) >= 4


def test_a_one_off_fires_once(client, travel):
    deploy(client, schedule={"at": START + timedelta(minutes=1)})
    travel.to(minutes=1)
    report = turn(client)
    assert report.created == 1
    (run,) = runs(client)
    propose(client, run, states.COMPLETED)
    assert turn(client).next_due is None


def test_a_schedule_whose_parameters_do_not_fit_stops_no_other(client, travel):
    broken = deploy(client)
    body = deployments.DeploymentsApply.model_validate(
        {
            "owner": "project",
            "deployments": [{"flow_name": "b", "name": "b", "schedules": [{"schedule": HOURLY}]}],
        }
    )
    client.call(deployments.apply_deployments, body)
    schema = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    update = deployments.DeploymentUpdate(parameter_openapi_schema=schema)
    client.call(deployments.update_deployment, broken.id, update)
    travel.to(minutes=45)
    report = turn(client)
    assert (report.created, report.skipped) == (1, 1)
    (skip,) = client.call(schedules.read_schedule_skips, broken.id)
    assert "'x'" in skip.reason


def test_a_stored_schedule_that_cannot_be_read_is_set_aside(travel, home):
    client = LocalClient()
    deployment = deploy(client)
    with client.database.transaction() as tx:
        spec = '{"cron":"0 6 * * *","timezone":"Atlantis/Capital"}'
        tx.execute("UPDATE deployment_schedules SET spec = :spec", {"spec": spec})
    travel.to(hours=1)
    report = turn(client)
    assert (report.created, report.skipped, report.next_due) == (0, 1, None)
    (skip,) = client.call(schedules.read_schedule_skips, deployment.id)
    assert "Atlantis" in skip.reason


def test_a_waiting_run_becomes_late(client, travel):
    deploy(client, schedule={"at": START + timedelta(seconds=10)})
    travel.to(seconds=10)
    report = turn(client)
    assert report.next_due == travel.now + timedelta(seconds=15)
    travel.to(seconds=15)
    report = turn(client)
    assert (report.late, report.next_due) == (1, None)
    (run,) = runs(client)
    assert (run.state_type, run.state_name) == ("SCHEDULED", "Late")
    assert run.next_scheduled_start_time == START + timedelta(seconds=10)
    assert turn(client).late == 0


_PROCESS = """
import os, sys, time
from runyard.client import LocalClient
from runyard.operations.scheduler.scheduler import SchedulerTurn, run_scheduler
from runyard.store.database import Database

url, name, folder = sys.argv[1:]
client = LocalClient(Database(url))
open(f"{folder}/ready-{name}", "w").close()
while not os.path.exists(f"{folder}/go"):
    time.sleep(0.01)
while not os.path.exists(f"{folder}/stop"):
    client.call(run_scheduler, SchedulerTurn(owner=name))
client.close()
"""


def test_ten_processes_make_no_run_twice(home, tmp_path):
    client = LocalClient()
    entries = [{"schedule": {"interval": 1}, "slug": f"s{index}"} for index in range(5)]
    declared = {"flow_name": "etl", "name": "daily", "schedules": entries}
    body = deployments.DeploymentsApply.model_validate({"owner": "project", "deployments": [declared]})
    client.call(deployments.apply_deployments, body)
    processes = [
        subprocess.Popen([sys.executable, "-c", _PROCESS, client.database.url, f"p{index}", str(tmp_path)])
        for index in range(10)
    ]

    def fewest():
        """How many runs the schedule has that has the fewest."""
        with client.database.transaction(False) as tx:
            counts = tx.all("SELECT count(*) AS n FROM flow_runs GROUP BY schedule_id")
        return min(row["n"] for row in counts) if len(counts) == 5 else 0

    until(lambda: len(list(tmp_path.glob("ready-*"))) == 10, "the start of all")
    (tmp_path / "go").touch()
    until(lambda: fewest() >= 3, "some runs of each schedule")
    (tmp_path / "stop").touch()
    assert [process.wait(60) for process in processes] == [0] * 10
    with client.database.transaction(False) as tx:
        found = tx.all("SELECT schedule_id, expected_start_time AS instant FROM flow_runs ORDER BY 1, 2")
    by_schedule: dict[str, list[int]] = {}
    for row in found:
        by_schedule.setdefault(row["schedule_id"], []).append(row["instant"])
    assert len(by_schedule) == 5
    for instants in by_schedule.values():
        assert len(instants) >= 2
        # Every second once: none twice, none left out.
        assert instants == list(range(instants[0], instants[-1] + 1, 1_000_000))
