"""Work queues: order, limits, and what becomes of a deleted one's runs."""

from __future__ import annotations

import pytest
from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.schemas import Listing
from runyard.operations.work_pools import work_pools, work_queues
from runyard.operations.work_pools.work_queues import WorkQueueCreate, WorkQueueUpdate


@pytest.fixture
def pool(client):
    return client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))


def create(client, name, **fields):
    return client.call(work_queues.create_work_queue, "machines", WorkQueueCreate(name=name, **fields))


def order(client):
    listed = client.call(work_queues.filter_work_queues, "machines", Listing())
    return [(queue.name, queue.priority) for queue in listed]


def test_a_new_queue_comes_last_and_a_taken_priority_moves_the_others(client, pool):
    create(client, "slow")
    create(client, "urgent", priority=1)
    assert order(client) == [("urgent", 1), ("default", 2), ("slow", 3)]
    client.call(work_queues.update_work_queue, "machines", "slow", WorkQueueUpdate(priority=1))
    assert order(client) == [("slow", 1), ("urgent", 2), ("default", 3)]


def test_a_queue_is_read_and_changed_by_name_and_by_id(client, pool):
    made = create(client, "urgent", concurrency_limit=2)
    assert (made.status, made.work_pool_name, made.active_slots) == ("NOT_READY", "machines", 0)
    client.call(work_queues.update_work_queue_by_id, made.id, WorkQueueUpdate(is_paused=True))
    read = client.call(work_queues.read_work_queue, "machines", "urgent")
    assert (read.status, read.concurrency_limit) == ("PAUSED", 2)
    client.call(work_queues.update_work_queue, "machines", "urgent", WorkQueueUpdate(name="now"))
    assert client.call(work_queues.read_work_queue_by_id, made.id).name == "now"
    assert [queue.name for queue in client.call(work_queues.filter_all_work_queues, Listing())]


def test_names_that_are_taken_or_missing(client, pool):
    create(client, "urgent")
    with pytest.raises(Conflict):
        create(client, "urgent")
    with pytest.raises(Conflict):
        client.call(work_queues.update_work_queue, "machines", "urgent", WorkQueueUpdate(name="default"))
    with pytest.raises(NotFound, match="runyard work-queue ls --pool machines"):
        client.call(work_queues.read_work_queue, "machines", "other")
    with pytest.raises(NotFound):
        client.call(work_queues.read_work_queue_by_id, "0")


def test_a_deleted_queues_runs_and_deployments_move_to_the_default_one(client, pool):
    item = {"flow_name": "f", "name": "d", "work_pool_name": "machines", "work_queue_name": "urgent"}
    body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    its = client.call(deployments.apply_deployments, body)[0].deployment
    body = deployments.DeploymentFlowRunCreate()
    run = client.call(create_flow_run_from_deployment, its.id, body)
    client.call(work_queues.delete_work_queue, "machines", "urgent")
    assert client.call(flow_runs.read_flow_run, run.id).work_queue_id == pool.default_queue_id
    assert client.call(deployments.read_deployment, its.id).work_queue_name == "default"
    with pytest.raises(InvalidInput, match="cannot be deleted"):
        client.call(work_queues.delete_work_queue_by_id, pool.default_queue_id)
