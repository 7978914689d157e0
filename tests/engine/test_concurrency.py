"""`concurrency` and `rate_limit`: never more than the limit, in threads, on loops and in processes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time

import pytest
from _limits import Room, Yard, run_all, settled
from runyard import flow, task
from runyard.client import engine_client
from runyard.engine.concurrency import asyncio as in_async
from runyard.engine.concurrency import slot_queue
from runyard.engine.concurrency import sync as in_sync
from runyard.engine.concurrency.asyncio import concurrency as aconcurrency
from runyard.engine.concurrency.sync import (
    AcquireConcurrencySlotTimeoutError,
    ConcurrencySlotAcquisitionError,
    concurrency,
    rate_limit,
)
from runyard.operations.flow_runs import explain
from runyard.operations.limits import concurrency_limits, limit_slots, slot_holders


@pytest.fixture
def yard(recorded):
    yield Yard(recorded.client)
    settled()


def test_a_block_holds_its_slots(yard):
    yard.limit("db", 5)
    with concurrency("db", occupy=3):
        assert yard.taken("db") == 3
        with concurrency(["db"]):
            assert yard.taken("db") == 4
    assert yard.taken("db") == 0
    with pytest.raises(KeyError), concurrency("db"):
        raise KeyError
    assert yard.taken("db") == 0


def test_an_async_block_holds_its_slots(yard):
    yard.limit("db", 5)

    async def main():
        async with aconcurrency(["db"], occupy=2):
            inside = yard.taken("db")
        return inside, yard.taken("db")

    assert asyncio.run(main()) == (2, 0)


def test_threads_never_hold_more_than_there_are(yard):
    yard.limit("db", 2)
    room = Room()

    def work():
        for _ in range(5):
            with concurrency("db"):
                room.enter()
                time.sleep(0.001)
                room.leave()

    run_all(*[work] * 8)
    assert room.visits == 40
    assert room.most <= 2
    assert slot_queue._queues == {}


def test_many_tasks_of_a_loop_never_hold_more_than_there_are(yard):
    yard.limit("db", 3)
    room = Room()

    async def work():
        async with aconcurrency("db"):
            room.enter()
            await asyncio.sleep(0.001)
            room.leave()

    async def main():
        await asyncio.gather(*(work() for _ in range(30)))

    asyncio.run(main())
    assert room.visits == 30
    assert room.most <= 3
    assert slot_queue._queues == {}


def test_several_limits_are_held_together_or_not_at_all(yard):
    yard.limit("a", 1)
    yard.limit("b", 1)
    room = Room()

    def work(names):
        for _ in range(4):
            with concurrency(names):
                room.enter()
                room.leave()

    run_all(lambda: work(["a", "b"]), lambda: work(["b", "a"]), lambda: work("a"), lambda: work("b"))
    assert room.visits == 16
    assert room.most <= 2
    with concurrency("a"):
        with pytest.raises(AcquireConcurrencySlotTimeoutError), concurrency(["a", "b"], timeout_seconds=0.1):
            pass
        assert yard.taken("b") == 0


PROCESS = """
import sys, time
from pathlib import Path
from runyard.engine.concurrency.sync import concurrency
folder = Path(sys.argv[1])
for at in range(6):
    with concurrency("db"):
        mark = folder / f"{sys.argv[2]}-{at}"
        mark.touch()
        assert len(list(folder.iterdir())) <= 2, "too many"
        time.sleep(0.002)
        mark.unlink()
"""


def test_processes_never_hold_more_than_there_are(yard, tmp_path):
    yard.limit("db", 2)
    folder = tmp_path / "inside"
    folder.mkdir()
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(folder), str(at)], env=dict(os.environ))
        for at in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert yard.taken("db") == 0


def test_a_timeout(yard):
    yard.limit("db", 1)

    async def wait():
        async with aconcurrency("db", timeout_seconds=0.1):
            pass

    with concurrency("db"):
        with (
            pytest.raises(TimeoutError, match=r"'db' were free within 0\.1 s"),
            concurrency("db", timeout_seconds=0.1),
        ):
            pass
        with pytest.raises(AcquireConcurrencySlotTimeoutError):
            asyncio.run(wait())
        assert yard.taken("db") == 1
    assert in_async.AcquireConcurrencySlotTimeoutError is AcquireConcurrencySlotTimeoutError


def test_a_timeout_of_who_stands_behind_another(yard):
    yard.limit("db", 1)
    waiting = threading.Event()
    ended = []

    def patient():
        waiting.set()
        with concurrency("db"):
            ended.append("patient")

    with concurrency("db"):
        thread = threading.Thread(target=patient)
        thread.start()
        waiting.wait()
        yard.until(lambda: slot_queue._queues)
        with pytest.raises(AcquireConcurrencySlotTimeoutError), concurrency("db", timeout_seconds=0.1):
            pass
    thread.join(60)
    assert ended == ["patient"]


def test_retries_are_counted(yard):
    yard.limit("db", 1)
    with concurrency("db"):
        for most in (0, 1):
            with (
                pytest.raises(ConcurrencySlotAcquisitionError, match="'db'"),
                concurrency("db", max_retries=most),
            ):
                pass


def test_a_limit_that_does_not_exist(yard, recorded):
    with concurrency("nobody"):
        pass
    rate_limit("nobody")
    with concurrency([]):
        pass
    with pytest.raises(ConcurrencySlotAcquisitionError, match="'nobody'"), concurrency("nobody", strict=True):
        pass
    with pytest.raises(ConcurrencySlotAcquisitionError, match="'nobody'"):
        rate_limit("nobody", strict=True)
    with pytest.raises(ConcurrencySlotAcquisitionError, match="'nobody'"):
        asyncio.run(in_async.rate_limit("nobody", strict=True))

    @flow
    def says():
        with concurrency("nobody"):
            pass

    says()
    assert any("Limit 'nobody' not found" in line for line in recorded.logs())


def test_more_slots_than_there_are(yard):
    yard.limit("db", 1)
    with (
        pytest.raises(ConcurrencySlotAcquisitionError, match="allows 1 slot; 2 are needed"),
        concurrency("db", occupy=2),
    ):
        pass


def test_an_inactive_limit_limits_nothing(yard):
    yard.limit("off", 1, active=False)
    with concurrency("off", strict=True), concurrency("off", strict=True):
        assert yard.taken("off") == 0


def test_a_rate_is_kept(yard):
    yard.limit("rate", 2, slot_decay_per_second=20)
    began = time.monotonic()
    for _ in range(8):
        rate_limit("rate")
    # Two at once, and the other six one every 50 ms: never sooner.
    assert time.monotonic() - began >= 6 / 20 - 0.02
    yard.limit("slow", 1, slot_decay_per_second=0.01)
    in_sync.rate_limit(["slow"])
    with pytest.raises(AcquireConcurrencySlotTimeoutError):
        rate_limit("slow", timeout_seconds=0.05)
    yard.limit("still", 1)
    with pytest.raises(ConcurrencySlotAcquisitionError, match="decay"):
        rate_limit("still")


def test_an_async_rate_is_kept(yard):
    yard.limit("rate", 2, slot_decay_per_second=20)

    async def main():
        await asyncio.gather(*(in_async.rate_limit("rate") for _ in range(6)))

    began = time.monotonic()
    asyncio.run(main())
    assert time.monotonic() - began >= 4 / 20 - 0.02


def test_a_cancelled_waiter_takes_nothing(yard):
    yard.limit("db", 1)

    async def wait():
        async with aconcurrency("db"):
            raise AssertionError

    async def main():
        async with aconcurrency("db"):
            waiting = [asyncio.create_task(wait()) for _ in range(3)]
            await asyncio.sleep(0.05)
            for each in waiting:
                each.cancel()
            return await asyncio.gather(*waiting, return_exceptions=True)

    assert [type(each) for each in asyncio.run(main())] == [asyncio.CancelledError] * 3
    yard.until(lambda: yard.taken("db") == 0)
    with concurrency("db", timeout_seconds=60):
        pass


def test_a_decorator(yard):
    yard.limit("db", 1)

    @concurrency("db")
    def work():
        return yard.taken("db")

    assert work() == 1
    assert yard.taken("db") == 0


def test_the_holder_is_the_run_around(recorded, yard):
    yard.limit("db", 1)

    @task
    def work():
        with concurrency("db"):
            return recorded.rows("SELECT holder FROM limit_slots")[0]["holder"]

    @flow
    def outer():
        return work()

    held = outer()
    (run,) = recorded.task_runs("work")
    assert run["id"] in held


def test_over_http(api, monkeypatch):
    from runyard.client import connect, engine_client

    monkeypatch.setenv("RUNYARD_API_URL", api.url)
    client = connect()
    far = Yard(client)
    far.limit("db", 1)
    room = Room()

    def work():
        for _ in range(3):
            with concurrency("db"):
                room.enter()
                room.leave()

    run_all(work, work, work)
    assert (room.visits, room.most) == (9, 1)
    assert far.taken("db") == 0
    assert client.call(limit_slots.read_limited_tags) == []
    for each in (client, *engine_client._clients.values()):
        each.close()
    engine_client._clients.clear()


@pytest.mark.parametrize("where", ["changes", "ask"])
def test_who_waits_goes_on_waiting_when_the_database_is_restarted(yard, monkeypatch, where):
    from runyard.base.errors import StoreError
    from runyard.engine.concurrency import slot_waiting

    monkeypatch.setattr(slot_waiting, "_AWAY_SECONDS", 0.01)
    yard.limit("db", 1)
    left = []

    def wait():
        with concurrency("db"):
            left.append(failures)

    client = engine_client.shared_client()
    failures = 0
    whole = type(client)
    original_changes, original_call = whole.changes, whole.call

    def changes(self):
        nonlocal failures
        if where == "changes" and failures < 3:
            failures += 1
            raise StoreError("the server is restarted")
        return original_changes(self)

    def call(self, operation, *args, **kwargs):
        nonlocal failures
        if where == "ask" and 0 < failures < 3 and operation is limit_slots.increment_slots_with_lease:
            failures += 1
            raise StoreError("the server is restarted")
        return original_call(self, operation, *args, **kwargs)

    with concurrency("db"):
        monkeypatch.setattr(whole, "changes", changes)
        monkeypatch.setattr(whole, "call", call)
        failures = int(where == "ask")
        waiting = threading.Thread(target=wait)
        waiting.start()
        yard.until(lambda: failures == 3)
        assert not left
    waiting.join(60)
    assert left == [3]


def test_prefects_names():
    code = "from prefect.concurrency.sync import concurrency, rate_limit\n"
    code += "from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError\n"
    code += "import runyard.engine.concurrency.sync as ours\nassert concurrency is ours.concurrency"
    environment = {**os.environ, "RUNYARD_PREFECT_IMPORTS": "always"}
    script = f"from runyard.compat.imports import install\ninstall()\n{code}"
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)


@pytest.mark.parametrize("how", ["concurrency", "rate_limit", "tag"])
def test_what_a_run_waits_for_is_told_while_it_waits(yard, how):
    name = "tag:api" if how == "tag" else "warehouse"
    yard.limit(name, 1, slot_decay_per_second=1e-9 if how == "rate_limit" else 0.0)
    held = yard.client.call(limit_slots.increment_slots_with_lease, {"names": [name]})

    @task(tags=["api"])
    def load():
        pass

    @flow
    def waits():
        if how == "tag":
            load()
        elif how == "concurrency":
            with concurrency("warehouse"):
                pass
        else:
            rate_limit("warehouse")

    def waiting():
        return yard.client.call(slot_holders.read_limit_holders, name).waiting

    thread = threading.Thread(target=waits)
    thread.start()
    yard.until(waiting)
    (wait,) = waiting()
    told = yard.client.call(explain.explain_flow_run, wait.flow_run_id)
    assert [reason.code for reason in told.reasons] == ["slot", "lease"]
    assert (wait.name == wait.flow_run_name) == (how != "tag")
    if how == "rate_limit":
        change = concurrency_limits.ConcurrencyLimitUpdate(active_slots=0)
        yard.client.call(concurrency_limits.update_concurrency_limit, name, change)
    else:
        yard.client.call(limit_slots.decrement_slots_with_lease, {"lease_id": held["lease_id"]})
    thread.join(60)
    assert waiting() == []
    assert yard.taken(name) == 0
