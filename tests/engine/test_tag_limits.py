"""Limits of tags: tagged task runs wait for a slot, hold it while they run, and free it however they end."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from _limits import settled
from runyard import flow, tags, task
from runyard.base.thread_calls import release_thread
from runyard.engine import tag_slots as engine
from runyard.engine.task_runners import ProcessPoolTaskRunner
from runyard.operations.limits import concurrency_limits as limits
from runyard.operations.limits import tag_limits

WAITED = ["Pending", "AwaitingConcurrencySlot", "Running", "Completed"]
PLAIN = ["Pending", "Running", "Completed"]


@pytest.fixture
def limit(recorded):
    """Gives a tag a limit."""

    def set_limit(tag, slots):
        body = tag_limits.TagLimitCreate(tag=tag, concurrency_limit=slots)
        recorded.client.call(tag_limits.create_tag_limit, body)

    yield set_limit
    settled()


def holders(recorded, tag):
    return recorded.client.call(tag_limits.read_limit_of_tag, tag).active_slots


def until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def histories(recorded, name):
    return [recorded.states(run) for run in recorded.task_runs(name)]


def has_waited(recorded):
    """Whether a run has waited for a slot by now."""
    return recorded.rows("SELECT 1 FROM task_run_states WHERE name = :name LIMIT 1", name=WAITED[1])


class Room:
    def __init__(self):
        self._lock = threading.Lock()
        self.inside = self.most = 0

    def __enter__(self):
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)

    def __exit__(self, *error):
        with self._lock:
            self.inside -= 1


def test_submitted_tasks_run_within_the_limit(recorded, limit):
    limit("db", 2)
    room = Room()

    @task(tags=["db"])
    def query(n):
        with room:
            until(lambda: has_waited(recorded))
        return n

    @flow
    def many():
        return query.map(range(12)).result()

    assert many() == list(range(12))
    assert room.most <= 2
    assert all(history in (WAITED, PLAIN) for history in histories(recorded, "query"))
    assert WAITED in histories(recorded, "query")
    assert holders(recorded, "db") == []


def test_async_tasks_run_within_the_limit(recorded, limit):
    limit("db", 2)
    room = Room()

    @task(tags=["db"])
    async def query(n):
        with room:
            while not has_waited(recorded):
                await asyncio.sleep(0.01)
        return n

    @flow
    async def many():
        return await asyncio.gather(*(query(n) for n in range(12)))

    assert asyncio.run(many()) == list(range(12))
    assert room.most <= 2
    assert WAITED in histories(recorded, "query")
    until(lambda: holders(recorded, "db") == [])


def test_a_run_takes_a_slot_of_each_of_its_tags_and_says_who_holds_it(recorded, limit):
    limit("db", 1)
    limit("cpu", 3)
    seen = {}

    @task(tags=["db", "free"])
    def query():
        for tag in ("db", "cpu"):
            seen[tag] = holders(recorded, tag)

    @flow
    def tagged():
        with tags("cpu"):
            query()

    tagged()
    (run,) = recorded.task_runs("query")
    assert seen == {"db": [run["id"]], "cpu": [run["id"]]}
    assert recorded.states(run) == PLAIN
    assert holders(recorded, "db") == holders(recorded, "cpu") == []


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_slots_are_free_while_a_run_waits_for_its_retry_and_when_it_failed(recorded, limit, kind):
    limit("db", 1)
    between = []

    def look(task, run, state):
        until(lambda: holders(recorded, "db") == [])
        between.append(state.name)
        return True

    def fail():
        assert len(holders(recorded, "db")) == 1
        raise ValueError("no")

    async def afail():
        fail()

    query = task(
        fail if kind == "sync" else afail, name="query", tags=["db"], retries=1, retry_condition_fn=look
    )

    @flow
    def failing():
        query(return_state=True)

    @flow
    async def afailing():
        await query(return_state=True)

    if kind == "sync":
        failing()
    else:
        asyncio.run(afailing())
    assert between == ["Failed"]
    until(lambda: holders(recorded, "db") == [])
    (run,) = recorded.task_runs("query")
    assert recorded.states(run) == ["Pending", "Running", "Retrying", "Failed"]


def test_a_limit_of_none_lets_nothing_run(recorded, limit):
    limit("db", 0)

    @task(tags=["db"])
    def query():
        raise AssertionError

    @flow
    def stuck():
        return query(return_state=True)

    stuck(return_state=True)
    (run,) = recorded.task_runs("query")
    assert run["state_type"] == "FAILED"
    assert "'tag:db' allows 0 slots" in recorded.state(run)["message"]


def test_a_limit_that_is_made_later_is_learned(recorded, limit, monkeypatch):
    monkeypatch.setattr(engine, "_FRESH_SECONDS", 0.0)
    held = []

    @task(tags=["db"])
    def query():
        held.append(bool(recorded.rows("SELECT * FROM limit_slots")))

    @flow
    def long():
        query()
        limit("db", 1)
        query()
        body = limits.ConcurrencyLimitUpdate(active=False)
        recorded.client.call(limits.update_concurrency_limit, "tag:db", body)
        query()

    long()
    assert held == [False, True, False]


def test_tasks_without_tags_ask_for_nothing(recorded, limit, monkeypatch):
    limit("db", 1)
    asked, look = [], engine._read_limited_tags
    monkeypatch.setattr(engine, "_FRESH_SECONDS", 60.0)
    monkeypatch.setattr(engine, "_read_limited_tags", lambda journal: asked.append(1) or look(journal))

    @task
    def plain():
        pass

    @task(tags=["other"])
    def tagged():
        pass

    @flow
    def work():
        for _ in range(5):
            plain()
        assert asked == []
        for _ in range(5):
            tagged()

    work()
    assert asked == [1]


def test_a_task_outside_of_flows_waits_too(recorded, limit):
    limit("db", 1)

    @task(tags=["db"])
    def query():
        return len(holders(recorded, "db"))

    assert query() == 1
    assert holders(recorded, "db") == []


def test_generators_hold_a_slot_while_they_give(recorded, limit):
    limit("db", 1)

    @task(tags=["db"])
    def rows():
        yield len(holders(recorded, "db"))

    @flow
    def work():
        return list(rows())

    assert work() == [1]
    assert holders(recorded, "db") == []


def test_tasks_in_other_processes_run_within_the_limit(recorded, limit):
    limit("db", 1)

    @task(tags=["db"])
    def query(n):
        began = time.monotonic()
        time.sleep(0.02)
        return began, time.monotonic()

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=3))
    def many():
        return query.map(range(6)).result()

    spans = sorted(many())
    assert len(spans) == 6
    assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    assert holders(recorded, "db") == []


KILLED = """
import sys, time
from runyard import flow, task
from runyard.engine import tag_slots as tag_limits
tag_limits.LEASE_SECONDS = 2.0

@task(tags=["db"])
def hold():
    print("held", flush=True)
    time.sleep(600)

@flow
def holder():
    hold()

holder()
"""


def test_a_killed_run_frees_its_slot_within_the_lease(recorded, limit):
    limit("db", 1)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"

        def kill():
            until(lambda: has_waited(recorded))
            process.send_signal(signal.SIGKILL)
            release_thread()

        killer = threading.Thread(target=kill)

        @task(tags=["db"])
        def query():
            return 1

        @flow
        def next_one():
            return query()

        killer.start()
        assert next_one() == 1
        killer.join(60)
        assert WAITED in histories(recorded, "query")
    finally:
        process.kill()
        process.communicate()


TERMINATED = """
from runyard import flow, task

@task(tags=["db"])
def hold():
    raise AssertionError

@flow
def waiter():
    hold.submit().wait() if SUBMITTED else hold()

print("started", flush=True)
waiter()
"""


@pytest.mark.parametrize("submitted", [True, False])
def test_a_run_that_waits_is_stopped_by_sigterm(recorded, limit, submitted):
    limit("db", 1)
    override = limits.ConcurrencyLimitUpdate(active_slots=1)
    recorded.client.call(limits.update_concurrency_limit, "tag:db", override)
    code = TERMINATED.replace("SUBMITTED", str(submitted))
    process = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ), stdout=subprocess.PIPE)
    try:
        until(lambda: any(run["state_name"] == WAITED[1] for run in recorded.task_runs("hold")))
        process.terminate()
        assert process.wait(60) == 143
    finally:
        process.kill()
        process.communicate()
    (run,) = recorded.flow_runs()
    assert run["state_type"] == "CRASHED"


def test_a_database_that_is_away_when_limits_are_first_read_lifts_none(recorded, limit, monkeypatch):
    from runyard.base.errors import StoreError
    from runyard.operations.limits.limit_slots import read_limited_tags

    limit("db", 1)
    monkeypatch.setattr(engine, "_AWAY_SECONDS", 0.01)
    away, held = [1, 2], []
    whole = type(recorded.client)
    original = whole.call

    def call(self, operation, *args, **kwargs):
        if operation is read_limited_tags and away:
            away.pop()
            raise StoreError("the server is restarted")
        return original(self, operation, *args, **kwargs)

    @task(tags=["db"])
    def hold():
        held.append(len(holders(recorded, "db")))

    @flow
    def work():
        hold()

    monkeypatch.setattr(whole, "call", call)
    work()
    assert (away, held) == ([], [1])
