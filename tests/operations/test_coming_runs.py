"""What a pool starts next: waiting runs and due schedules, by time, of the queues that a worker serves."""

from __future__ import annotations

from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.base.errors import InvalidInput, NotFound
from runyard.domain.states import Scheduled
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools import work_pools, work_queues
from runyard.operations.work_pools.coming_runs import read_coming_runs

YEARLY = {"cron": "0 7 1 1 *", "timezone": "Europe/Berlin"}


def deploy(client, name, queue="default", **fields):
    item = {"flow_name": "etl", "name": name, "work_pool_name": "pool", "work_queue_name": queue, **fields}
    body = deployments.DeploymentsApply.model_validate({"owner": name, "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def wait(client, deployment, ahead):
    state = StateCreate.of(Scheduled(clock.now() + ahead))
    body = deployments.DeploymentFlowRunCreate(state=state)
    return client.call(create_flow_run_from_deployment, deployment.id, body)


@pytest.fixture
def pool(client):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="pool", concurrency_limit=4))
    client.call(work_queues.create_work_queue, "pool", work_queues.WorkQueueCreate(name="urgent"))
    return client


def test_waiting_runs_and_schedules_by_time(pool):
    yearly = deploy(pool, "yearly", schedules=[{"schedule": YEARLY}])
    urgent = deploy(pool, "urgent", "urgent")
    second = wait(pool, urgent, timedelta(minutes=2))
    first = wait(pool, yearly, timedelta(minutes=1))
    wait(pool, yearly, timedelta(minutes=-1))  # due already

    found = pool.call(read_coming_runs, "pool")
    assert (found.paused, found.concurrency_limit) == (False, 4)
    assert abs(found.now - clock.now()) < timedelta(minutes=1)
    assert [(run.flow_name, run.deployment_name, run.name) for run in found.runs] == [
        ("etl", "yearly", first.name),
        ("etl", "urgent", second.name),
        ("etl", "yearly", None),
    ]
    assert [run.flow_run_id for run in found.runs] == [first.id, second.id, None]
    last = found.runs[-1]
    assert last.timezone == "Europe/Berlin"
    assert (last.due.month, last.due.day, last.due.hour, last.due.minute) == (1, 1, 6, 0)

    assert [run.name for run in pool.call(read_coming_runs, "pool", limit=1).runs] == [first.name]
    assert [run.name for run in pool.call(read_coming_runs, "pool", work_queue_names=["urgent"]).runs] == [
        second.name
    ]


def test_paused_queues_and_schedules_start_nothing(pool):
    deploy(pool, "yearly", schedules=[{"schedule": YEARLY, "active": False}])
    wait(pool, deploy(pool, "urgent", "urgent"), timedelta(minutes=2))
    pause = work_queues.WorkQueueUpdate(is_paused=True)
    pool.call(work_queues.update_work_queue, "pool", "urgent", body=pause)
    assert pool.call(read_coming_runs, "pool").runs == []
    pool.call(work_pools.update_work_pool, "pool", body=work_pools.WorkPoolUpdate(is_paused=True))
    assert pool.call(read_coming_runs, "pool").paused


def test_what_is_wrong_is_refused(pool):
    with pytest.raises(NotFound, match="work pool 'no' not found"):
        pool.call(read_coming_runs, "no")
    for limit in (0, 51):
        with pytest.raises(InvalidInput, match="limit: 1 to 50"):
            pool.call(read_coming_runs, "pool", limit=limit)
