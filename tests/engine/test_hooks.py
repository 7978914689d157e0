"""State hooks, names of runs, retries by condition and with jitter, time limits: sync and async."""

from __future__ import annotations

import asyncio
import functools
import time

import pytest
from runyard import flow, get_run_logger, task
from runyard.domain.states import Cancelled
from runyard.engine.outside_exceptions import is_from_outside


def noting(seen, label):
    def hook(runnable, run, state):
        seen.append((label, runnable.name, run.name, state.name))

    return hook


def noting_async(seen, label):
    async def hook(runnable, run, state):
        await asyncio.sleep(0)
        seen.append((label, runnable.name, run.name, state.name))

    return hook


@pytest.mark.parametrize("make", [noting, noting_async])
def test_the_hooks_of_a_task(recorded, make):
    seen = []

    @task(
        on_running=[make(seen, "running")],
        on_completion=[make(seen, "one"), make(seen, "two")],
        on_failure=[make(seen, "failure")],
    )
    def work(x):
        if x:
            raise ValueError("x")

    @flow
    def calls():
        work(0)
        work.submit(1).wait()

    @flow
    async def acalls():
        work(0)

    calls()
    assert seen == [
        ("running", "work", "work-0", "Running"),
        ("one", "work", "work-0", "Completed"),
        ("two", "work", "work-0", "Completed"),
        ("running", "work", "work-1", "Running"),
        ("failure", "work", "work-1", "Failed"),
    ]


def test_the_hooks_of_an_async_task(recorded):
    seen = []

    @task(on_running=[noting(seen, "sync")], on_completion=[noting_async(seen, "async")])
    async def work():
        await asyncio.sleep(0)

    @flow
    async def calls():
        await work()

    asyncio.run(calls())
    assert [(label, state) for label, _task, _run, state in seen] == [
        ("sync", "Running"),
        ("async", "Completed"),
    ]


@pytest.mark.parametrize("make", [noting, noting_async])
def test_the_hooks_of_a_flow(recorded, make):
    seen = []
    hooks = {
        f"on_{name}": [make(seen, name)]
        for name in ("running", "completion", "failure", "cancellation", "crashed")
    }

    def run(returned):
        if isinstance(returned, BaseException):
            raise returned
        return returned

    it = flow(run, name="it", flow_run_name="me", validate_parameters=False, **hooks)
    it(1)
    it(ValueError(), return_state=True)
    it(Cancelled(), return_state=True)
    with pytest.raises(SystemExit):
        it(SystemExit(1))
    assert [(label, state) for label, _flow, _run, state in seen] == [
        ("running", "Running"), ("completion", "Completed"),
        ("running", "Running"), ("failure", "Failed"),
        ("running", "Running"), ("cancellation", "Cancelled"),
        ("running", "Running"), ("crashed", "Crashed"),
    ]  # fmt: skip
    assert {run for _label, _flow, run, _state in seen} == {"me"}


def test_hooks_added_by_decorators(recorded):
    seen = []

    @task
    def work(x):
        if x:
            raise ValueError("x")

    for add, label in ((work.on_running, "r"), (work.on_completion, "c"), (work.on_failure, "f")):
        hook = noting(seen, label)
        assert add(hook) is hook

    @flow
    def it(returned=None):
        work(0)
        work(1, return_state=True)
        return returned

    @it.on_completion
    def done(flow, flow_run, state):
        seen.append(("done", state.name))

    @it.on_cancellation
    def stopped(flow, flow_run, state):
        seen.append(("stopped", state.name))

    it()
    assert [one[0] for one in seen] == ["r", "c", "r", "f", "done"]
    it(Cancelled(), return_state=True)
    assert seen[-1] == ("stopped", "Cancelled")


def test_a_hook_that_fails_is_logged_and_changes_nothing(recorded):
    seen = []

    def fails(_task, _run, _state):
        raise RuntimeError("the hook's own trouble")

    class Callable:
        def __call__(self, _task, _run, _state):
            seen.append("called")

    @task(on_completion=[fails, functools.partial(noting(seen, "partial")), Callable()])
    def work():
        return 1

    @flow(on_completion=[fails])
    def calls():
        return work()

    assert calls() == 1
    assert seen[-1] == "called"
    assert len(seen) == 2
    assert sum("the hook's own trouble" in text for text in recorded.logs()) == 2
    assert {run["state_name"] for run in (*recorded.task_runs(), *recorded.flow_runs())} == {"Completed"}


def test_a_hook_may_log(recorded):
    def hook(_task, _run, _state):
        get_run_logger().info("from the hook")

    @task(on_completion=[hook])
    def work():
        pass

    @flow
    def calls():
        work()

    calls()
    assert "from the hook" in recorded.logs()


def test_hooks_are_lists_of_functions():
    with pytest.raises(TypeError, match="on_failure"):
        task(on_failure=["no"])(len)
    with pytest.raises(TypeError, match="on_crashed"):
        flow(on_crashed=[1])(len)


def test_names_of_task_runs(recorded):
    def made(parameters):
        return f"made-{parameters['x']}"

    @task(task_run_name="of-{x}-{y[0]}")
    def template(x, y=(7,)):
        pass

    @task(task_run_name=made)
    def with_parameters(x):
        pass

    @task(task_run_name=lambda: "fixed")
    async def fixed(x):
        pass

    @flow
    def calls():
        template(1)
        template.map([2, 3]).wait()
        with_parameters.submit(4).wait()
        fixed.submit(5).wait()

    calls()
    names = [run["name"] for run in recorded.task_runs()]
    assert sorted(names) == ["fixed", "made-4", "of-1-7", "of-2-7", "of-3-7"]


def test_a_name_that_cannot_be_made_fails_the_run(recorded):
    @task(task_run_name="{nothing}")
    def work():
        pass

    @flow
    def calls():
        return work(return_state=True).message

    assert "nothing" in calls()


def test_names_of_flow_runs(recorded):
    @flow(flow_run_name="load-{day}-{n:03d}")
    def template(day: str, n: int = 4):
        pass

    @flow(flow_run_name=lambda parameters: f"day {parameters['day']}")
    def made(day: str):
        pass

    template("monday")
    made("tuesday")
    assert [run["name"] for run in recorded.flow_runs()] == ["load-monday-004", "day tuesday"]


def test_a_condition_decides_about_retries(recorded):
    tries = []

    def temporary(_task, _run, state):
        return isinstance(state.result(raise_on_failure=False), ConnectionError)

    async def temporary_async(task, run, state):
        return temporary(task, run, state)

    def breaks(_task, _run, _state):
        raise RuntimeError("the condition's own trouble")

    def work(kind):
        tries.append(kind)
        raise kind

    def tried(condition, kind):
        tries.clear()
        task(work, name="work", retries=2, retry_condition_fn=condition)(kind, return_state=True)
        return len(tries)

    @flow
    def calls():
        return [
            tried(condition, kind)
            for condition in (temporary, temporary_async, breaks)
            for kind in (ConnectionError, ValueError)
        ]

    assert calls() == [3, 1, 3, 1, 1, 1]


def test_an_async_condition_of_an_async_task(recorded):
    tries = []

    async def once(_task, run, _state):
        return run.run_count < 2

    @task(retries=5, retry_condition_fn=once)
    async def work():
        tries.append(1)
        raise ValueError

    @flow
    async def calls():
        await work(return_state=True)

    asyncio.run(calls())
    assert len(tries) == 2


def test_delays_with_jitter_stay_within_bounds(recorded, monkeypatch):
    slept = []
    monkeypatch.setattr("runyard.engine.effects.time.sleep", slept.append)

    @task(retries=20, retry_delay_seconds=10, retry_jitter_factor=0.5)
    def work():
        raise ValueError

    @flow
    def calls():
        work(return_state=True)

    calls()
    assert len(slept) == 20
    assert all(10 <= delay <= 15 for delay in slept)
    assert len(set(slept)) > 1


def test_a_jitter_that_makes_no_sense():
    with pytest.raises(ValueError, match="retry_jitter_factor"):
        task(retry_jitter_factor=-1)(len)


def test_time_limits_everywhere(recorded):
    @task(timeout_seconds=0.1)
    def slow():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            time.sleep(0.01)

    @task(timeout_seconds=0.1)
    async def aslow():
        await asyncio.sleep(30)

    @flow
    def calls():
        states = [slow(return_state=True)]
        futures = [slow.submit(), aslow.submit()]
        for future in futures:
            future.wait()
        return [state.name for state in (*states, *(future.state for future in futures))]

    @flow
    async def acalls():
        return (await aslow(return_state=True)).name, slow(return_state=True).name

    assert calls() == ["TimedOut"] * 3
    assert asyncio.run(acalls()) == ("TimedOut", "TimedOut")
    with pytest.raises(TimeoutError):
        flow(slow.fn, timeout_seconds=0.1)()


def test_a_generator_exit_that_is_raised_is_logged_like_any_other(recorded):
    def leaves(*_anything, **_options):
        raise GeneratorExit("mine")

    async def leaves_async(*_anything):
        raise GeneratorExit("mine, later")

    @task(cache_key_fn=leaves, persist_result=True, on_completion=[leaves, leaves_async])
    def work():
        return 1

    @flow(on_completion=[leaves, leaves_async])
    def calls():
        return work()

    @flow(on_completion=[leaves, leaves_async])
    async def calls_async():
        return work()

    assert calls() == 1
    assert asyncio.run(calls_async()) == 1
    assert sum("mine" in text for text in recorded.logs()) == 10
    assert {run["state_name"] for run in (*recorded.task_runs(), *recorded.flow_runs())} == {"Completed"}


def test_a_run_that_is_given_up_is_not_taken_for_a_hook_that_fails():
    judged = []

    def note(error):
        judged.append(is_from_outside(error))

    def given_up():
        try:
            yield
        except GeneratorExit as error:
            note(error)
            raise

    def around():
        try:
            yield from given_up()
        except GeneratorExit as error:
            note(error)
            raise

    steps = around()
    next(steps)
    steps.close()

    async def waits():
        try:
            await asyncio.sleep(60)
        except GeneratorExit as error:
            note(error)
            raise

    async def begin():
        coroutine = waits()
        coroutine.send(None)
        coroutine.close()

    asyncio.run(begin())
    assert judged == [True, True, True]
