"""Hooks, key functions, conditions that raise what is no Exception: it is logged, and the run goes on."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pytest
from runyard import flow, task
from runyard.engine.transactions import transaction


class Stop(BaseException):
    """Of the user's: no Exception, as the outcomes of test tools are."""


def raises(error):
    def accompanies(*_args, **_kwargs):
        raise error("its own trouble")

    return accompanies


def raises_async(error):
    async def accompanies(*_args):
        await asyncio.sleep(0)
        raise error("its own trouble")

    return accompanies


class Unpickled:
    def __init__(self, error):
        self.error = error

    def __reduce__(self):
        raise self.error("its own trouble")


def fails_when(wanted):
    if wanted:
        raise ValueError("the task's own")
    return "done"


ERRORS = [Stop, SystemExit, asyncio.CancelledError, RuntimeError]
WAYS = ["call", "submit", "map", "async"]


def outcomes(work, way, *args):
    """What two calls of a task say, in a flow of the kind that `way` names."""

    @flow
    def calls():
        if way == "call":
            states = [work(*args, return_state=True) for _ in range(2)]
        elif way == "submit":
            states = [work.submit(*args, return_state=True) for _ in range(2)]
        else:
            futures = work.map(*([arg, arg] for arg in args))
            futures.wait()
            states = [future.state for future in futures]
        return [(state.type.value, state.message) for state in states]

    if way != "async":
        return calls()

    @flow
    async def acalls():
        states = [await work(*args, return_state=True) for _ in range(2)]
        return [(state.type.value, state.message) for state in states]

    return asyncio.run(acalls())


def of(way, **options):
    async def awork(wanted):
        return fails_when(wanted)

    return task(awork if way == "async" else fails_when, **options)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [*ERRORS, GeneratorExit])
@pytest.mark.parametrize("make", [raises, raises_async])
def test_hooks_of_tasks(recorded, way, error, make):
    seen = []
    hooks = [make(error), lambda _task, _run, state: seen.append(state.name)]

    completes = of(way, on_running=hooks, on_completion=hooks)
    assert outcomes(completes, way, False) == [("COMPLETED", None)] * 2
    fails = of(way, on_failure=hooks)
    message = "Task run encountered an exception: ValueError: the task's own"
    assert outcomes(fails, way, True) == [("FAILED", message)] * 2

    assert sorted(seen) == ["Completed"] * 2 + ["Failed"] * 2 + ["Running"] * 2
    assert {run["state_type"] for run in recorded.flow_runs()} == {"COMPLETED"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ERRORS)
def test_key_functions_and_keys(recorded, way, error):
    by_function = of(way, cache_key_fn=raises(error), persist_result=True)
    assert outcomes(by_function, way, False) == [("COMPLETED", None)] * 2
    by_value = of(way, persist_result=True)
    message = "Task run encountered an exception: ValueError: the task's own"
    assert outcomes(by_value, way, Unpickled(error)) == [("FAILED", message)] * 2
    assert len([text for text in recorded.logs() if text.startswith("No cache key")]) == 4


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", ERRORS)
def test_conditions_and_names(recorded, way, error):
    message = "Task run encountered an exception: ValueError: the task's own"
    with_condition = of(way, retries=1, retry_condition_fn=raises(error))
    assert outcomes(with_condition, way, True) == [("FAILED", message)] * 2
    named = of(way, task_run_name=raises(error))
    assert [kind for kind, _ in outcomes(named, way, False)] == ["FAILED"] * 2


@pytest.mark.parametrize("error", ERRORS)
def test_results_that_cannot_be_written(recorded, error):
    @task(persist_result=True)
    def gives():
        return Unpickled(error)

    @flow(persist_result=True)
    def calls():
        return gives()

    assert isinstance(calls(), Unpickled)
    assert [run["state_type"] for run in recorded.flow_runs()] == ["COMPLETED"]


@pytest.mark.parametrize("error", [*ERRORS, GeneratorExit])
@pytest.mark.parametrize("make", [raises, raises_async])
def test_hooks_of_flows(recorded, error, make):
    seen = []
    hooks = [make(error), lambda _flow, _run, state: seen.append(state.name)]

    @flow(on_running=hooks, on_completion=hooks)
    def sync():
        return 1

    @flow(on_running=hooks, on_completion=hooks)
    async def not_sync():
        return sync()

    assert asyncio.run(not_sync()) == 1
    assert seen == ["Running", "Running", "Completed", "Completed"]


@pytest.mark.parametrize("error", ERRORS)
def test_hooks_of_transactions(recorded, error):
    undone = []

    @task
    def work():
        return 1

    work.on_rollback(lambda _transaction: undone.append(1))
    work.on_rollback(raises(error))

    @task
    def commits():
        return 2

    commits.on_commit(raises(error))

    @flow
    def calls():
        with transaction():
            work()
            commits()
        return "went on"

    assert calls() == "went on"
    assert undone == [1]


def test_a_time_limit_that_is_reached_in_a_hook(recorded):
    seen = []

    def waits(*_args):
        seen.append("begun")
        time.sleep(30)

    @task(on_completion=[waits, lambda *_args: seen.append("never")])
    def work():
        return 1

    @flow(timeout_seconds=2)  # for all that comes before the hook
    def calls():
        work()

    assert calls(return_state=True).name == "TimedOut"
    assert seen == ["begun"]


def test_a_time_limit_of_a_task_that_a_hook_calls(recorded):
    seen = []

    @task(timeout_seconds=0.05)
    def slow():
        time.sleep(30)

    @task(on_completion=[lambda *_args: slow(), lambda *_args: seen.append("next")])
    def work():
        return 1

    @flow(timeout_seconds=30)
    def calls():
        return work()

    assert calls() == 1
    assert seen == ["next"]


def test_a_signal_handler_of_the_users_ends_the_run_in_a_hook(recorded):
    before = signal.getsignal(signal.SIGTERM)

    def exits(_number, _frame):
        raise SystemExit(7)

    def waits(*_args):
        signal.signal(signal.SIGTERM, exits)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(30)

    @flow(on_running=[waits])
    def calls():
        return 1

    try:
        with pytest.raises(SystemExit) as found:
            calls()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert found.value.code == 7
    assert [run["state_type"] for run in recorded.flow_runs()] == ["CRASHED"]
