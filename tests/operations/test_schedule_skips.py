"""What is kept of instants that made no run, and for how long."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from runyard.base import clock
from runyard.client import LocalClient
from runyard.engine.retention_loop import remove
from runyard.operations import lease_clock
from runyard.operations.deployments import deployments
from runyard.operations.scheduler import scheduler
from runyard.operations.schedules import schedules


class Travel:
    """The clock of this process, set by hand."""

    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, 12, 15, tzinfo=UTC)

    def to(self, **parts: float) -> None:
        """Go `parts` of a timedelta ahead."""
        self.now += timedelta(**parts)


@pytest.fixture
def travel(monkeypatch):
    """A clock that stands still until the test moves it."""
    clocks = Travel()
    monkeypatch.setattr(clock, "now", lambda: clocks.now)
    monkeypatch.setattr(clock, "now_us", lambda: clock.to_us(clocks.now))
    monkeypatch.setattr(lease_clock, "wall", lambda tx: clock.now_us())
    return clocks


def deploy(client, **schedule):
    hourly = {"interval": 3600, "anchor_date": "2026-01-01T00:00:00Z"}
    declared = {"flow_name": "etl", "name": "daily", "schedules": [{"schedule": hourly, **schedule}]}
    body = deployments.DeploymentsApply.model_validate({"owner": "project", "deployments": [declared]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def turn(client):
    return client.call(scheduler.run_scheduler, scheduler.SchedulerTurn(owner="worker"))


def skips(client, deployment):
    return client.call(schedules.read_schedule_skips, deployment.id)


def test_skips_are_kept_as_long_as_the_setting_says(client, travel, monkeypatch):
    deployment = deploy(client)
    travel.to(hours=5)
    turn(client)
    travel.to(days=80)
    turn(client)
    assert len(skips(client, deployment)) == 2

    def prune():
        return remove(client).rows["schedule_skips"]

    assert prune() == 0
    travel.to(days=11)
    monkeypatch.setenv("RUNYARD_SCHEDULER_KEEP_SKIPS_DAYS", "0")
    assert prune() == 0
    monkeypatch.delenv("RUNYARD_SCHEDULER_KEEP_SKIPS_DAYS")
    assert [prune(), prune()] == [1, 0]
    assert len(skips(client, deployment)) == 1


def test_the_skip_of_a_long_outage_is_not_old_when_it_is_recorded(client, travel):
    deployment = deploy(client)
    travel.to(days=400)
    turn(client)
    assert remove(client).rows["schedule_skips"] == 0
    assert len(skips(client, deployment)) == 1


def test_what_is_owed_is_gone_when_it_was_dealt_with_or_its_deployment_is_deleted(travel, home):
    client = LocalClient()

    def owed():
        with client.database.transaction(False) as tx:
            return tx.value("SELECT count(*) FROM schedule_debts")

    def change_while_due():
        deployment = deploy(client, slug="s")
        travel.to(hours=5)
        (schedule,) = client.call(schedules.read_deployment_schedules, deployment.id)
        body = schedules.DeploymentScheduleUpdate(active=False)
        client.call(schedules.update_deployment_schedule, deployment.id, schedule.id, body)
        assert owed() == 1
        return deployment

    deployment = change_while_due()
    turn(client)
    assert owed() == 0
    assert len(skips(client, deployment)) == 1
    client.call(deployments.delete_deployment, deployment.id)
    deployment = change_while_due()
    client.call(deployments.delete_deployment, deployment.id)
    assert owed() == 0
