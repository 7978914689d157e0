"""A server alone schedules and recovers."""

import time
from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.client import LocalClient
from runyard.operations.deployments.deployment_shapes import DeploymentCreate
from runyard.operations.deployments.deployments import create_deployment
from runyard.operations.deployments.known_flows import FlowCreate, create_flow
from runyard.operations.flow_runs.flow_runs import count_flow_runs
from runyard.operations.schedules.schedules import read_schedule_skips
from runyard.operations.schemas import Filter
from runyard.server.server_duties import Maintenance


@pytest.fixture
def maintenance(database):
    maintenance = Maintenance(database)
    yield maintenance
    maintenance.stop()


def test_a_turn_says_when_the_next_is_worth_while(maintenance):
    assert 0 <= maintenance.run_once() <= 1.0


def test_old_skips_are_forgotten(database, maintenance, monkeypatch):
    monkeypatch.setenv("RUNYARD_SCHEDULER_KEEP_SKIPS_DAYS", "1")
    client = LocalClient(database)
    flow = client.call(create_flow, FlowCreate(name="f"))
    made = client.call(create_deployment, DeploymentCreate(name="d", flow_id=flow.id))
    days = [clock.to_us(clock.now() - timedelta(days=number)) for number in range(4)]
    with database.transaction() as tx:
        for at in days:
            tx.execute(
                """INSERT INTO schedule_skips (schedule_id, deployment_id, instant, reason, created)
                   VALUES ('s', :id, :at, 'missed', :at)""",
                {"id": made.id, "at": at},
            )
    maintenance.run_once()
    maintenance.retention.wait(60)
    kept = client.call(read_schedule_skips, made.id)
    assert [clock.to_us(each.instant) for each in kept] == days[:1]


def test_a_due_schedule_becomes_a_run_while_it_goes_on(database, maintenance):
    client = LocalClient(database)
    flow = client.call(create_flow, FlowCreate(name="f"))
    at = clock.format_time(clock.now() + timedelta(seconds=2))
    client.call(
        create_deployment,
        DeploymentCreate(name="d", flow_id=flow.id, schedules=[{"schedule": {"at": at}}]),
    )
    maintenance.start()
    deadline = time.monotonic() + 60
    while client.call(count_flow_runs, Filter()) == 0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    maintenance.stop()
    assert client.call(count_flow_runs, Filter()) == 1


def test_it_goes_on_after_an_outage(database, maintenance, monkeypatch):
    turns = []

    def fail_once():
        turns.append(1)
        if len(turns) == 1:
            raise RuntimeError("a fault of ours")
        return 0.0

    monkeypatch.setattr(maintenance, "run_once", fail_once)
    monkeypatch.setattr("runyard.server.server_duties._LONGEST_PAUSE_SECONDS", 0.01)
    maintenance.start()
    deadline = time.monotonic() + 60
    while len(turns) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
