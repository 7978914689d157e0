"""Tasks: values, retries, time limits, names, hooks, submitted and mapped ones, and what they wait for."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import dataclass
from datetime import timedelta

import pytest
from runyard import allow_failure, as_completed, flow, task, unmapped, wait
from runyard.base.exceptions import (
    MappingLengthMismatch,
    MappingMissingIterable,
    ParameterError,
    UpstreamTaskError,
)
from runyard.engine.futures import FutureList
from runyard.engine.task_runners import (
    ConcurrentTaskRunner,
    SequentialTaskRunner,
    ThreadPoolTaskRunner,
)
from runyard.sdk.tasks import exponential_backoff


@task
def double(x):
    return x * 2


@task
def broken(*_args):
    raise ValueError("broken")


def test_a_task_is_recorded_with_its_states(recorded):
    @flow
    def calls():
        return double(2) + double(3)

    assert calls() == 10
    (run,) = recorded.flow_runs()
    first, second = recorded.task_runs("double")
    assert (first["name"], second["name"]) == ("double-0", "double-1")
    assert (first["dynamic_key"], second["dynamic_key"]) == ("0", "1")
    assert first["flow_run_id"] == run["id"]
    assert recorded.states(first) == ["Pending", "Running", "Completed"]
    assert recorded.state(first)["state_details"] == {"flow_run_id": run["id"], "task_run_id": first["id"]}
    assert first["run_count"] == 1


def test_async_tasks(recorded):
    @task
    async def plus(x):
        await asyncio.sleep(0)
        return x + 1

    @flow
    async def calls():
        return sum(await asyncio.gather(*(plus(n) for n in range(5))))

    assert asyncio.run(calls()) == 15
    assert [run["state_type"] for run in recorded.task_runs("plus")] == ["COMPLETED"] * 5


def test_tasks_in_tasks_and_without_any_flow(recorded):
    @task
    def outer():
        return double(1) + 1

    @flow
    def calls():
        return outer()

    assert calls() == 3
    assert outer() == 3
    assert len(recorded.task_runs("outer")) >= 1


def test_retries_with_delays(recorded):
    tries = []

    @task(retries=3, retry_delay_seconds=[0.01, 0.02], retry_jitter_factor=0.5)
    def flaky():
        tries.append(time.monotonic())
        if len(tries) < 4:
            raise ValueError("again")
        return len(tries)

    @flow
    def calls():
        return flaky()

    assert calls() == 4
    (run,) = recorded.task_runs()
    assert run["run_count"] == 4
    assert recorded.states(run)[:4] == ["Pending", "Running", "AwaitingRetry", "Retrying"]
    assert recorded.states(run)[-1] == "Completed"


def test_a_condition_decides_about_retries(recorded):
    tries = []

    @task(retries=5, retry_condition_fn=lambda task, run, state: "again" in state.message)
    def flaky():
        tries.append(1)
        raise ValueError("again" if len(tries) < 2 else "enough")

    @flow
    def calls():
        flaky()

    with pytest.raises(ValueError, match="enough"):
        calls()
    assert len(tries) == 2


def test_backoff_doubles():
    assert task(double.fn, retries=3, retry_delay_seconds=exponential_backoff(10)).retry_delay_seconds == [
        10,
        20,
        40,
    ]


@pytest.mark.parametrize("how", ["call", "submit"])
def test_a_sync_task_that_takes_too_long(recorded, how):
    @task(timeout_seconds=0.1)
    def slow():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            time.sleep(0.005)

    @flow
    def calls():
        state = slow(return_state=True) if how == "call" else slow.submit(return_state=True)
        return state.name

    assert calls() == "TimedOut"


def test_an_async_task_that_takes_too_long(recorded):
    @task(timeout_seconds=0.05)
    async def slow():
        await asyncio.sleep(60)

    @flow
    async def calls():
        return (await slow(return_state=True)).name

    assert asyncio.run(calls()) == "TimedOut"


def test_the_limit_of_a_flow_interrupts_its_task(recorded):
    @task(timeout_seconds=60)
    def slow():
        time.sleep(60)

    @flow(timeout_seconds=2)  # for all that comes before the task
    def calls():
        slow()

    assert calls(return_state=True).name == "TimedOut"
    (run,) = recorded.task_runs()
    assert (run["state_type"], run["state_name"]) == ("FAILED", "Failed")


def test_a_users_own_timeout_error_is_a_failure(recorded):
    @task(timeout_seconds=60)
    def gives_up():
        raise TimeoutError("mine")

    assert gives_up(return_state=True).name == "Failed"


def test_names_and_hooks(recorded):
    seen = []

    def note(task, task_run, state):
        seen.append((task.name, task_run.name, state.name))

    @task(
        task_run_name="of-{x}", on_completion=[note], on_running=[note], cache_expiration=timedelta(hours=1)
    )
    def named(x, y=1):
        return x

    @flow
    def calls():
        named(7)

    calls()
    assert seen == [("named", "of-7", "Running"), ("named", "of-7", "Completed")]
    assert recorded.task_runs()[0]["name"] == "of-7"
    assert named.cache_expiration == timedelta(hours=1)


def test_submitted_tasks_run_beside_each_other(recorded):
    meeting = threading.Barrier(3, timeout=60)

    @task
    def meet(n):
        meeting.wait()
        return n

    @flow
    def calls():
        futures = [meet.submit(n) for n in range(3)]
        done, not_done = wait(futures)
        assert done == set(futures)
        assert not not_done
        return [future.result() for future in futures]

    assert calls() == [0, 1, 2]


def test_a_flow_waits_for_what_it_submitted(recorded):
    @task
    def slow():
        time.sleep(0.1)

    @flow
    def forgets():
        slow.submit()

    forgets()
    assert recorded.task_runs()[0]["state_type"] == "COMPLETED"


def test_futures_are_found_anywhere_in_arguments(recorded):
    @dataclass
    class Box:
        item: object

    @task
    def total(values, box, *, more):
        return sum(values) + box.item + more["x"][0]

    @flow
    def calls():
        one = double.submit(1)
        return total.submit([one, 1], Box(one), more={"x": (one,)}).result()

    assert calls() == 7
    (run,) = recorded.task_runs("total")
    (upstream,) = recorded.task_runs("double")
    assert json.loads(run["task_inputs"])["more"] == [{"input_type": "task_run", "id": upstream["id"]}]


def test_a_failed_upstream_stops_what_needs_it(recorded):
    @task
    def shown(error):
        return type(error).__name__

    @flow
    def calls():
        bad = broken.submit()
        with pytest.raises(UpstreamTaskError):
            double.submit(bad).result()
        state = double(1, wait_for=[bad], return_state=True)
        assert state.name == "NotReady"
        return shown(allow_failure(bad))

    assert calls() == "ValueError"
    assert {run["state_name"] for run in recorded.task_runs("double")} == {"NotReady"}


def test_wait_for_orders_tasks(recorded):
    order = []

    @task
    def note(text, seconds=0.0):
        time.sleep(seconds)
        order.append(text)

    @flow
    def calls():
        first = note.submit("first", 0.1)
        note.submit("second", wait_for=[first]).wait()

    calls()
    assert order == ["first", "second"]


def test_mapping(recorded):
    @task
    def add(a, b, c=10):
        return a + b + c

    @flow
    def calls():
        sums = add.map([1, 2, 3], double.map([1, 1, 1]), c=unmapped(100))
        assert isinstance(sums, FutureList)
        return sums.result()

    assert calls() == [103, 104, 105]
    assert len(recorded.task_runs("add")) == 3


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (([1, 2], [1]), MappingLengthMismatch),
        ((1, 2), MappingMissingIterable),
        (("abc", 1), MappingMissingIterable),
    ],
)
def test_what_cannot_be_mapped(recorded, args, error):
    @task
    def add(a, b):
        return a

    @flow
    def calls():
        add.map(*args)

    with pytest.raises(error):
        calls()


def test_submitting_wrong_arguments_raises_at_once(recorded):
    @flow
    def calls():
        double.submit(1, 2)

    with pytest.raises(ParameterError):
        calls()


def test_tasks_that_submit_tasks_cannot_block_a_small_pool(recorded):
    @task
    def tree(depth):
        if depth == 0:
            return 1
        return sum(future.result() for future in [tree.submit(depth - 1), tree.submit(depth - 1)])

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def calls():
        return tree.submit(4).result()

    assert calls() == 16


def test_async_tasks_and_flows_submit_too(recorded):
    @task
    async def plus(x):
        await asyncio.sleep(0)
        return x + 1

    @flow
    async def calls():
        futures = plus.map([1, 2, 3])
        return [future.result() for future in as_completed(futures)]

    assert sorted(asyncio.run(calls())) == [2, 3, 4]


def test_the_sequential_runner_and_its_names(recorded):
    threads = []

    @task
    def where():
        threads.append(threading.current_thread())

    @flow(task_runner=SequentialTaskRunner())
    def calls():
        where.submit()
        where.submit()

    calls()
    assert set(threads) == {threading.current_thread()}
    assert ConcurrentTaskRunner is ThreadPoolTaskRunner


def test_as_completed_gives_up_after_its_timeout(recorded):
    release = threading.Event()

    @task
    def held():
        release.wait(60)

    @flow
    def calls():
        future = held.submit()
        with pytest.raises(TimeoutError):
            future.result(timeout=0.05)
        with pytest.raises(TimeoutError):
            list(as_completed([future], timeout=0.05))
        release.set()

    calls()


def test_mass_mapping_loses_nothing(recorded, monkeypatch):
    monkeypatch.setenv("RUNYARD_JOURNAL_MAX_RECORDS", "200")

    @flow
    def calls():
        return sum(double.map(range(500)).result())

    assert calls() == 2 * sum(range(500))
    assert {run["state_type"] for run in recorded.task_runs()} == {"COMPLETED"}
    assert recorded.rows("SELECT count(*) AS n FROM task_run_states")[0]["n"] == 1500
