"""Workers and queues over all pools, in one query each."""

from __future__ import annotations

import pytest
from runyard.base.errors import NotFound
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs.claim_flow_runs import ClaimRequest, claim_flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.work_pools import work_pools, work_queues
from runyard.operations.work_pools.list_work_pools import list_work_pools
from runyard.operations.work_pools.list_workers import list_work_queues, list_workers
from runyard.operations.work_pools.workers import WorkerHeartbeat, heartbeat_worker


def beat(client, pool, name, **fields):
    client.call(heartbeat_worker, pool, WorkerHeartbeat(name=name, **fields))


@pytest.fixture
def pools(client):
    for name in ("first", "second"):
        client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name=name))
    return client


def test_workers_with_their_slots_the_online_ones_first(pools):
    assert pools.call(list_workers) == []
    beat(pools, "first", "old", stopped=True)
    beat(pools, "first", "busy", concurrency_limit=4)
    beat(pools, "second", "idle", work_queue_names=["default"])
    item = {"flow_name": "etl", "name": "d", "work_pool_name": "first"}
    body = deployments.DeploymentsApply.model_validate({"owner": "o", "deployments": [item]})
    deployment = pools.call(deployments.apply_deployments, body)[0].deployment
    for _ in range(2):
        pools.call(create_flow_run_from_deployment, deployment.id, deployments.DeploymentFlowRunCreate())
    pools.call(claim_flow_runs, "first", ClaimRequest(worker_name="busy", limit=2, lease_seconds=30))

    found = pools.call(list_workers)
    assert [(row["name"], row["pool"], row["status"], row["active_slots"]) for row in found] == [
        ("idle", "second", "ONLINE", 0),
        ("busy", "first", "ONLINE", 2),
        ("old", "first", "OFFLINE", 0),
    ]
    assert [row["concurrency_limit"] for row in found] == [None, 4, None]
    assert [row["work_queue_names"] for row in found] == [["default"], [], []]
    assert all(row["last_heartbeat"] >= row["created"] > 0 for row in found)
    assert [row["name"] for row in pools.call(list_workers, pool="first")] == ["busy", "old"]
    assert [row["name"] for row in pools.call(list_workers, limit=1)] == ["idle"]
    numbers = {pool["name"]: (pool["workers_online"], pool["status"]) for pool in pools.call(list_work_pools)}
    assert numbers == {"first": (1, "READY"), "second": (1, "READY")}
    with pytest.raises(NotFound, match="work pool 'third' not found"):
        pools.call(list_workers, pool="third")


def test_queues_in_the_order_in_which_they_are_served(pools):
    urgent = work_queues.WorkQueueCreate(name="urgent", priority=1, concurrency_limit=2, description="now")
    pools.call(work_queues.create_work_queue, "first", urgent)
    beat(pools, "first", "w", work_queue_names=["urgent"])
    pause = work_queues.WorkQueueUpdate(is_paused=True)
    pools.call(work_queues.update_work_queue, "second", "default", body=pause)

    found = pools.call(list_work_queues)
    assert [(row["pool"], row["name"], row["priority"], row["status"]) for row in found] == [
        ("first", "urgent", 1, "READY"),
        ("first", "default", 2, "NOT_READY"),
        ("second", "default", 1, "PAUSED"),
    ]
    assert (found[0]["concurrency_limit"], found[0]["active_slots"], found[0]["description"]) == (2, 0, "now")
    assert [row["last_polled"] is not None for row in found] == [True, False, False]
    assert [row["name"] for row in pools.call(list_work_queues, pool="second")] == ["default"]
    with pytest.raises(NotFound, match="work pool 'third' not found"):
        pools.call(list_work_queues, pool="third")
