"""Who holds the slots of pools and queues, and how long slots are held."""

from __future__ import annotations

import json
import urllib.request

import pytest
from runyard.base.errors import InvalidInput, Locked, NotFound
from runyard.client import LocalClient
from runyard.domain.states import Scheduled
from runyard.operations.deployments.known_flows import FlowCreate, create_flow
from runyard.operations.flow_runs.claim_flow_runs import ClaimRequest, claim_flow_runs
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, create_flow_run
from runyard.operations.installation.admin import read_settings
from runyard.operations.limits import concurrency_limits
from runyard.operations.limits.concurrency_status import (
    PoolStatusPage,
    StatusPage,
    read_work_pool_concurrency,
    read_work_queue_concurrency,
)
from runyard.operations.limits.limit_slots import decrement_slots, increment_slots
from runyard.operations.work_pools import lone_queues, work_pools, work_queues
from runyard.operations.work_pools.workers import WorkerHeartbeat, heartbeat_worker


@pytest.fixture
def pool(client):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="p", concurrency_limit=5))
    body = work_queues.WorkQueueCreate(name="urgent", priority=1, concurrency_limit=3)
    client.call(work_queues.create_work_queue, "p", body)
    return client


def claimed(client, queue, count):
    flow = client.call(create_flow, FlowCreate(name="f"))
    for _ in range(count):
        body = FlowRunCreate(
            flow_id=flow.id, state=Scheduled().to_json(), work_pool_name="p", work_queue_name=queue
        )
        client.call(create_flow_run, body)
    client.call(heartbeat_worker, "p", WorkerHeartbeat(name="w"))
    request = ClaimRequest(worker_name="w", limit=count, lease_seconds=60, work_queue_names=[queue])
    return client.call(claim_flow_runs, "p", request)


def test_a_pool_shows_who_holds_the_slots_of_each_queue(pool):
    assert len(claimed(pool, "urgent", 3)) == 3
    claimed(pool, "default", 1)
    status = pool.call(read_work_pool_concurrency, "p", PoolStatusPage(flow_run_limit=2))
    assert (status.active_slots, status.concurrency_limit) == (4, 5)
    assert (status.count, status.pages, status.page, status.limit) == (2, 1, 1, 200)
    shown = {queue.queue_name: queue for queue in status.queues}
    assert (shown["urgent"].active_slots, shown["urgent"].concurrency_limit) == (3, 3)
    assert (len(shown["urgent"].flow_runs), shown["urgent"].flow_run_count) == (2, 3)
    (only,) = shown["default"].flow_runs
    assert only.state_type == "PENDING"
    assert only.time_in_current_state >= 0


def test_a_queue_shows_its_holders_page_by_page(pool):
    claimed(pool, "urgent", 3)
    queue = pool.call(work_queues.read_work_queue, "p", "urgent")
    pages = [
        pool.call(read_work_queue_concurrency, queue.id, StatusPage(limit=2, page=page)) for page in (1, 2, 3)
    ]
    assert [len(page.flow_runs) for page in pages] == [2, 1, 0]
    assert {(page.active_slots, page.count, page.pages) for page in pages} == {(3, 3, 2)}
    assert len({run.id for page in pages for run in page.flow_runs}) == 3


def test_what_there_is_not_is_not_found(client):
    with pytest.raises(NotFound):
        client.call(read_work_pool_concurrency, "nope", PoolStatusPage())
    with pytest.raises(NotFound):
        client.call(read_work_queue_concurrency, "0193b4c4-0000-7000-8000-000000000000", StatusPage())


def test_a_queue_is_found_by_its_name_alone(pool):
    assert pool.call(lone_queues.read_lone_work_queue, "urgent").work_pool_name == "p"
    with pytest.raises(NotFound):
        pool.call(lone_queues.read_lone_work_queue, "nope")
    # Where there is the pool for queues without one, these are meant.
    pool.call(lone_queues.create_lone_work_queue, work_queues.WorkQueueCreate(name="mine"))
    assert pool.call(lone_queues.read_lone_work_queue, "mine").work_pool_name == "default-agent-pool"
    with pytest.raises(NotFound):
        pool.call(lone_queues.read_lone_work_queue, "urgent")


def test_how_long_slots_are_held_decides_when_to_ask_again(client):
    client.call(
        concurrency_limits.create_concurrency_limit,
        concurrency_limits.ConcurrencyLimitCreate(name="db", limit=1),
    )

    def average():
        return client.call(concurrency_limits.read_concurrency_limit, "db").avg_slot_occupancy_seconds

    assert average() == 2.0
    for seconds in (20, 20):
        client.call(increment_slots, {"names": ["db"], "slots": 1})
        client.call(decrement_slots, {"names": ["db"], "slots": 1, "occupancy_seconds": seconds})
    assert average() == 20.0
    client.call(increment_slots, {"names": ["db"], "slots": 1})
    client.call(decrement_slots, {"names": ["db"], "slots": 1, "occupancy_seconds": 10})
    assert average() == 15.0
    client.call(increment_slots, {"names": ["db"], "slots": 1})
    with pytest.raises(Locked) as caught:
        client.call(increment_slots, {"names": ["db"], "slots": 1})
    # Half of it to all of it, so that not all who wait ask at once.
    assert 7.5 <= caught.value.details["retry_after_seconds"] <= 15.001


@pytest.mark.parametrize("seconds", [-1, "long"])
def test_times_that_are_none_are_refused(api, seconds):
    from runyard.client import HttpClient

    client = HttpClient(api.url)
    with pytest.raises(InvalidInput, match="occupancy_seconds"):
        client.call(decrement_slots, {"names": ["db"], "slots": 1, "occupancy_seconds": seconds})
    client.close()


def test_settings_are_shown_in_the_groups_of_prefect_too(home, monkeypatch):
    monkeypatch.setenv("RUNYARD_LOGGING_LEVEL", "DEBUG")
    monkeypatch.setenv("RUNYARD_API_AUTH_STRING", "me:hunter2")
    shown = LocalClient().call(read_settings)
    assert shown["logging_level"] == shown["logging"]["level"] == "DEBUG"
    assert shown["api"]["auth_string"] == "********"
    assert shown["home"] == str(home)
    assert shown["profiles_path"] == f"{home}/profiles.toml"
    assert {"client", "cloud", "events", "server", "worker", "debug_mode", "ui_url"} <= set(shown)


def test_a_resume_needs_no_body(api):
    from runyard.client import HttpClient

    client = HttpClient(api.url)
    flow = client.call(create_flow, FlowCreate(name="f"))
    run = client.call(create_flow_run, FlowRunCreate(flow_id=flow.id)).id
    client.close()
    request = urllib.request.Request(
        f"{api.url}/flow_runs/{run}/resume", method="POST", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer)["status"] == "ABORT"
