"""How long pauses last, and which workers are online, while wall clocks jump."""

from __future__ import annotations

import pytest
from runyard.base import clock
from runyard.client import LocalClient
from runyard.domain.states import Paused, Running
from runyard.operations import lease_clock
from runyard.operations.deployments.known_flows import FlowCreate, create_flow
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, create_flow_run, read_flow_run
from runyard.operations.flow_runs.pauses import ResumeFlowRun, pause_flow_run, resume_flow_run
from runyard.operations.installation.checkup import read_checkup
from runyard.operations.recovery.recover_flow_runs import RecoverRequest, recover
from runyard.operations.work_pools import work_pools, work_queues, workers
from runyard.operations.work_pools.list_work_pools import list_work_pools

SECOND = 1_000_000


class Clocks:
    """The clocks of the test: `wall` of this machine, `raw` of PostgreSQL's server or since the start."""

    def __init__(self, monkeypatch):
        self.offset, self.raw, self.boot = 0, 1_000_000 * SECOND, "one"
        monkeypatch.setattr(lease_clock, "_raw", lambda tx: (self.raw, self.boot))
        real = clock.now_us
        monkeypatch.setattr(clock, "now_us", lambda: real() + self.offset)

    def jump(self, seconds):
        self.offset += seconds * SECOND

    def wait(self, seconds):
        self.raw += seconds * SECOND
        self.jump(seconds)


@pytest.fixture
def clocks(monkeypatch):
    return Clocks(monkeypatch)


@pytest.fixture
def client(database):
    return LocalClient(database)


def paused(client, state):
    flow = client.call(create_flow, FlowCreate(name="f"))
    run = client.call(create_flow_run, FlowRunCreate(flow_id=flow.id, state=Running().to_json())).id
    client.call(pause_flow_run, {"flow_run_id": run, "attempt": None, "state": state.to_json()})
    assert client.call(read_flow_run, run).state_type == "PAUSED"
    return run


@pytest.mark.parametrize("jump", [3600, -3600, 10 * 24 * 3600])
def test_a_pause_lasts_its_time_whatever_the_wall_clock_says(client, clocks, jump):
    run = paused(client, Paused(timeout_seconds=60, pause_key="1"))
    clocks.jump(jump)
    clocks.raw += 50 * SECOND
    assert client.call(recover, RecoverRequest()).expired == []
    clocks.raw += 20 * SECOND
    assert client.call(recover, RecoverRequest()).expired == [run]
    assert client.call(read_flow_run, run).state_type == "FAILED"


@pytest.mark.parametrize("jump", [3600, -3600])
def test_who_resumes_in_time_is_not_too_late_by_another_clock(client, clocks, jump):
    run = paused(client, Paused(timeout_seconds=60, pause_key="1"))
    clocks.jump(jump)
    assert client.call(resume_flow_run, run, ResumeFlowRun()).status == "ACCEPT"
    run = paused(client, Paused(timeout_seconds=60, pause_key="1"))
    clocks.raw += 61 * SECOND
    assert client.call(resume_flow_run, run, ResumeFlowRun()).status == "REJECT"


def test_after_a_start_of_the_machine_the_wall_clock_decides(client, clocks):
    run = paused(client, Paused(timeout_seconds=60, pause_key="1"))
    clocks.boot, clocks.raw = "two", 5 * SECOND
    assert client.call(recover, RecoverRequest()).expired == []
    if client.database.dialect == "sqlite":
        clocks.jump(61)
        assert client.call(recover, RecoverRequest()).expired == [run]


def test_a_pause_without_a_limit_never_ends(client, clocks):
    paused(client, Paused(pause_key="1"))
    clocks.wait(10_000)
    assert client.call(recover, RecoverRequest()).expired == []


def beat(client):
    client.call(
        workers.heartbeat_worker, "p", workers.WorkerHeartbeat(name="w", heartbeat_interval_seconds=10)
    )


def looks_online(client):
    """What all that tell of it say."""
    listed = client.call(workers.filter_workers, "p", workers.WorkerListing())
    told = {
        listed[0].status == "ONLINE",
        client.call(work_pools.read_work_pool, "p").status == "READY",
        client.call(list_work_pools)[0]["status"] == "READY",
    }
    assert len(told) == 1
    return told.pop()


@pytest.mark.parametrize("jump", [3600, -3600])
def test_a_jump_of_the_wall_clock_makes_no_worker_look_lost_or_alive(client, clocks, jump):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="p"))
    beat(client)
    clocks.jump(jump)
    assert looks_online(client)
    clocks.raw += 31 * SECOND
    assert not looks_online(client)
    beat(client)
    assert looks_online(client)
    assert client.call(read_checkup)["pools"] == []


def test_a_worker_of_before_the_start_of_the_machine_is_judged_by_the_wall_clock(client, clocks):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="p"))
    beat(client)
    clocks.boot, clocks.raw = "two", 5 * SECOND
    assert looks_online(client)
    if client.database.dialect == "sqlite":
        for jump in (40, -100):
            clocks.jump(jump)
            assert not looks_online(client)


def test_a_queue_that_was_asked_for_before_the_clock_was_set_back_is_noted_again(database_url, clocks):
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL goes by its server's clock")
    client = LocalClient()
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="p"))
    beat(client)
    clocks.jump(-3600)
    assert client.call(work_queues.read_work_queue, "p", "default").status == "NOT_READY"
    beat(client)
    assert client.call(work_queues.read_work_queue, "p", "default").status == "READY"
