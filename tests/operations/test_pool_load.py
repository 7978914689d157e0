"""What a pool has to do, in numbers; and a worker with what it executes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.domain.states import Running, Scheduled
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import claim_flow_runs, flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools import pool_load, work_pools, work_queues, workers


def deploy(client, queue):
    item = {"flow_name": "etl", "name": queue, "work_pool_name": "machines", "work_queue_name": queue}
    body = deployments.DeploymentsApply.model_validate({"owner": queue, "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def ask(client, deployment, ahead):
    state = StateCreate.of(Scheduled(clock.now() + ahead))
    body = deployments.DeploymentFlowRunCreate(state=state)
    client.call(create_flow_run_from_deployment, deployment.id, body)


def test_the_runs_of_each_queue_are_counted(client):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines", concurrency_limit=9))
    client.call(work_queues.create_work_queue, "machines", work_queues.WorkQueueCreate(name="urgent"))
    for queue, count in (("default", 4), ("urgent", 1)):
        deployment = deploy(client, queue)
        for _ in range(count):
            ask(client, deployment, timedelta(seconds=-30))
        ask(client, deployment, timedelta(hours=1))
    heartbeat = workers.WorkerHeartbeat(name="w", concurrency_limit=3)
    client.call(workers.heartbeat_worker, "machines", heartbeat)
    body = claim_flow_runs.ClaimRequest(
        worker_name="w", work_queue_names=["default"], limit=2, lease_seconds=30
    )
    first, second = client.call(claim_flow_runs.claim_flow_runs, "machines", body)
    running = flow_runs.SetState(state=StateCreate.of(Running()), attempt=first.attempt)
    client.call(flow_runs.set_flow_run_state, first.flow_run_id, running)

    load = client.call(pool_load.read_pool_load, "machines")
    assert (load.name, load.paused, load.concurrency_limit) == ("machines", False, 9)
    default, urgent = sorted(load.queues, key=lambda queue: queue.name)
    numbers = default.model_dump()
    assert 29 < numbers.pop("late_seconds") < 3600
    assert numbers == {
        "name": "default", "paused": False, "waiting": 1, "due": 2, "pending": 1, "running": 1,
    }  # fmt: skip
    assert (urgent.waiting, urgent.due, urgent.pending, urgent.running) == (1, 1, 0, 0)

    worker = client.call(workers.read_worker, "machines", "w")
    assert (worker.work_pool_name, worker.status, worker.concurrency_limit) == ("machines", "ONLINE", 3)
    assert {(run.flow_run_id, run.state_name) for run in worker.runs} == {
        (first.flow_run_id, "Running"),
        (second.flow_run_id, "Pending"),
    }


def test_what_is_not_there_is_said(client):
    with pytest.raises(NotFound, match="work pool 'no' not found"):
        client.call(pool_load.read_pool_load, "no")
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))
    with pytest.raises(NotFound, match="no worker 'w'"):
        client.call(workers.read_worker, "machines", "w")
