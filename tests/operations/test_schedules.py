"""Schedules through the API: adding, changing, pausing, removing, refusing wrong ones."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from runyard.base.errors import Conflict, NotFound, ScheduleError
from runyard.operations.deployments import deployments
from runyard.operations.schedules import schedules


@pytest.fixture
def deployment(client):
    body = deployments.DeploymentsApply.model_validate(
        {"owner": "project", "deployments": [{"flow_name": "etl", "name": "daily"}]}
    )
    return client.call(deployments.apply_deployments, body)[0].deployment


def add(client, deployment, **fields):
    body = [schedules.DeploymentScheduleCreate.model_validate(fields)]
    return client.call(schedules.create_deployment_schedules, deployment.id, body)[0]


@pytest.mark.parametrize(
    "schedule",
    [
        {"cron": "0 6 * * *", "timezone": "Europe/Berlin", "day_or": True},
        {"interval": 90.0, "anchor_date": "2026-01-01T00:00:00.000000Z", "timezone": None},
        {"rrule": "DTSTART:20200101T000000\nFREQ=DAILY", "timezone": "UTC"},
        {"at": "2099-01-01T00:00:00.000000Z"},
    ],
)
def test_every_kind_is_kept_as_given(client, deployment, schedule):
    made = add(client, deployment, schedule=schedule, parameters={"a": 1}, catchup="all", overlap="queue")
    assert made.schedule.model_dump(mode="json") == schedule
    assert made.next_due > datetime.now(UTC)
    assert (made.parameters, made.catchup, made.overlap) == ({"a": 1}, "all", "queue")
    assert client.call(schedules.read_deployment_schedules, deployment.id) == [made]


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ({"cron": "0 0 30 2 *"}, "no existing date"),
        ({"cron": "* * * * *", "timezone": "Europe/Berln"}, "did you mean 'Europe/Berlin'"),
        ({"interval": 0}, "at least 1 second"),
    ],
)
def test_a_wrong_one_is_refused(schedule, words):
    with pytest.raises(ScheduleError, match=words):
        schedules.DeploymentScheduleCreate.model_validate({"schedule": schedule})


def test_changing_pausing_and_removing(client, deployment):
    made = add(client, deployment, schedule={"cron": "0 6 * * *"})

    def change(**fields):
        body = schedules.DeploymentScheduleUpdate.model_validate(fields)
        client.call(schedules.update_deployment_schedule, deployment.id, made.id, body)
        return client.call(schedules.read_deployment_schedules, deployment.id)[0]

    paused = change(active=False)
    assert (paused.active, paused.next_due) == (False, None)
    assert change(active=True).next_due == made.next_due
    moved = change(schedule={"cron": "30 7 * * *"}, max_scheduled_runs=3)
    assert moved.next_due.minute == 30
    assert (moved.id, moved.max_scheduled_runs, moved.parameters) == (made.id, 3, {})
    client.call(schedules.delete_deployment_schedule, deployment.id, made.id)
    assert client.call(schedules.read_deployment_schedules, deployment.id) == []
    with pytest.raises(NotFound):
        client.call(schedules.delete_deployment_schedule, deployment.id, made.id)


def test_a_slug_is_unique_in_its_deployment(client, deployment):
    add(client, deployment, schedule={"cron": "0 6 * * *"}, slug="morning")
    other = add(client, deployment, schedule={"cron": "0 7 * * *"})
    with pytest.raises(Conflict, match="morning"):
        add(client, deployment, schedule={"cron": "0 8 * * *"}, slug="morning")
    body = schedules.DeploymentScheduleUpdate(slug="morning")
    with pytest.raises(Conflict, match="morning"):
        client.call(schedules.update_deployment_schedule, deployment.id, other.id, body)


def test_an_interval_without_anchor_counts_from_now(client, deployment):
    before = datetime.now(UTC)
    made = add(client, deployment, schedule={"interval": 3600})
    assert before <= made.schedule.anchor_date <= datetime.now(UTC)
    assert (made.next_due - made.schedule.anchor_date).total_seconds() == 3600


def test_an_unknown_deployment(client):
    with pytest.raises(NotFound):
        client.call(schedules.read_deployment_schedules, "none")
