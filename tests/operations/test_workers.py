"""Workers: heartbeats, who is online, forgetting."""

from __future__ import annotations

import pytest
from runyard.base.errors import InvalidInput, NotFound
from runyard.operations.work_pools import work_pools, work_queues, workers
from runyard.operations.work_pools.workers import WorkerHeartbeat, WorkerListing


@pytest.fixture
def pool(client):
    return client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))


def beat(client, name, **fields):
    client.call(workers.heartbeat_worker, "machines", WorkerHeartbeat(name=name, **fields))


def listed(client, **fields):
    found = client.call(workers.filter_workers, "machines", WorkerListing(**fields))
    return {worker.name: worker.status for worker in found}


def test_a_worker_is_online_until_it_says_goodbye(client, pool):
    beat(client, "a", heartbeat_interval_seconds=5, work_queue_names=["default"], concurrency_limit=3)
    beat(client, "b")
    assert listed(client) == {"a": "ONLINE", "b": "ONLINE"}
    beat(client, "a", stopped=True)
    assert listed(client) == {"a": "OFFLINE", "b": "ONLINE"}
    assert listed(client, workers={"status": {"any_": ["ONLINE"]}}) == {"b": "ONLINE"}
    assert listed(client, workers={"status": {"not_any_": ["ONLINE"]}}) == {"a": "OFFLINE"}
    beat(client, "a")
    assert listed(client)["a"] == "ONLINE"


@pytest.mark.parametrize("name", ["", "a/b", "n" * 251, "a\nb"])
def test_a_name_that_no_worker_can_have_is_refused(client, pool, name):
    with pytest.raises(InvalidInput, match="the name of a worker"):
        beat(client, name)
    assert listed(client) == {}


def test_a_worker_that_falls_silent_is_offline_after_three_heartbeats(client, pool):
    beat(client, "a", heartbeat_interval_seconds=1e-6)
    assert listed(client) == {"a": "OFFLINE"}


def test_a_heartbeat_marks_the_queues_that_are_served(client, pool):
    body = work_queues.WorkQueueCreate(name="urgent")
    client.call(work_queues.create_work_queue, "machines", body)
    beat(client, "a", work_queue_names=["urgent"])
    assert client.call(work_queues.read_work_queue, "machines", "urgent").status == "READY"
    assert client.call(work_queues.read_work_queue, "machines", "default").status == "NOT_READY"


def test_a_worker_can_be_forgotten(client, pool):
    beat(client, "a")
    client.call(workers.delete_worker, "machines", "a")
    assert listed(client) == {}
    with pytest.raises(NotFound):
        client.call(workers.delete_worker, "machines", "a")


def test_what_is_refused(client, pool):
    with pytest.raises(NotFound, match="other"):
        client.call(workers.heartbeat_worker, "other", WorkerHeartbeat(name="a"))
    with pytest.raises(InvalidInput, match="ONLINE or OFFLINE"):
        listed(client, workers={"status": {"any_": ["AWAY"]}})
