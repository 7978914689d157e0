"""What is awaited and what is a value; async code called by sync runs, also inside a running event loop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from functools import partial
from unittest.mock import MagicMock

import pytest
from runyard import flow, task
from runyard.domain.states import Cancelling
from runyard.engine.futures import as_completed
from runyard.engine.task_runners import SequentialTaskRunner, ThreadPoolTaskRunner

RUNYARD = "from runyard_cli.main import main; main()"


class Lazy:
    """As queries of an ORM or collections of Dask are: awaiting one computes it."""

    def __await__(self):
        yield from ()
        return "computed"


@task
def lazy():
    return Lazy()


@task
async def alazy():
    return Lazy()


@flow
def lazy_flow():
    return Lazy()


@flow
async def alazy_flow():
    return Lazy()


def kinds():
    given = [lazy(), lazy.submit().result(), alazy.submit().result(), lazy_flow()]
    return [type(value) for value in given]


def test_an_awaitable_value_is_a_value(recorded):
    @flow
    def calls():
        return kinds()

    @flow
    async def acalls():
        return [*kinds(), type(await alazy()), type(await alazy_flow())]

    assert calls() == [Lazy] * 4
    assert asyncio.run(acalls()) == [Lazy] * 6


def test_futures_and_tasks_of_asyncio_are_values(recorded):
    async def main():
        loop = asyncio.get_running_loop()

        @task
        def future():
            return loop.create_future()

        @task
        def started():
            return asyncio.ensure_future(asyncio.sleep(0, "slept"))

        @flow
        async def calls():
            assert isinstance(future(), asyncio.Future)
            assert isinstance(await asyncio.to_thread(future), asyncio.Future)
            return await started()

        return await calls()

    assert asyncio.run(main()) == "slept"


def test_a_mock_that_answers_everything_is_a_value(recorded):
    class Answers:
        def __getattr__(self, name):
            return lambda *args, **kwargs: self

    for value in (MagicMock(), Answers()):
        assert task(lambda given=value: given)() is value
        assert flow(lambda given=value: given, name="gives")() is value


def test_a_coroutine_that_a_sync_function_gives_is_awaited_anywhere(recorded):
    @task
    def gives():
        return asyncio.sleep(0, "slept")

    @flow
    async def calls():
        return gives(), gives.submit().result()

    assert gives() == "slept"
    assert asyncio.run(calls()) == ("slept", "slept")


def test_async_hooks_and_conditions_of_sync_runs_inside_a_running_loop(recorded):
    seen = []

    class Hooks:
        async def method(self, _runnable, _run, state):
            await asyncio.sleep(0)
            seen.append(("method", state.name))

        async def __call__(self, _runnable, _run, state):
            seen.append(("object", state.name))

    async def tagged(tag, _runnable, _run, state):
        await asyncio.sleep(0)
        seen.append((tag, state.name))

    async def once(_task, run, _state):
        await asyncio.sleep(0)
        return run.run_count < 2

    hooks = [Hooks().method, Hooks(), partial(tagged, "partial")]

    @task(retries=5, retry_condition_fn=once, on_failure=hooks)
    def fails():
        seen.append("try")
        raise ValueError

    @flow(on_completion=hooks)
    def inner():
        fails(return_state=True)

    @flow
    async def outer():
        inner()

    asyncio.run(outer())
    assert seen == [
        "try", "try", ("method", "Failed"), ("object", "Failed"), ("partial", "Failed"),
        ("method", "Completed"), ("object", "Completed"), ("partial", "Completed"),
    ]  # fmt: skip


def test_an_async_hook_that_fails_costs_the_others_nothing_inside_a_loop(recorded):
    seen = []

    async def fails(_task, _run, _state):
        raise RuntimeError("the hook's own trouble")

    async def notes(_task, _run, _state):
        seen.append(1)

    @task(on_completion=[fails, notes])
    def work():
        return 1

    @flow
    async def calls():
        return work()

    assert asyncio.run(calls()) == 1
    assert seen == [1]
    assert any("the hook's own trouble" in text for text in recorded.logs())


def test_a_condition_that_raises_is_logged(recorded):
    def breaks(_task, _run, _state):
        raise RuntimeError("the condition's own trouble")

    @task(retries=3, retry_condition_fn=breaks)
    def work():
        raise ValueError("the task's own trouble")

    @flow
    def calls():
        return work(return_state=True).message

    assert "the task's own trouble" in calls()
    assert any("the condition's own trouble" in text for text in recorded.logs())


@pytest.mark.parametrize("runner", [ThreadPoolTaskRunner(max_workers=1), SequentialTaskRunner()])
@pytest.mark.parametrize("error", [RuntimeError, SystemExit, asyncio.CancelledError])
def test_done_callbacks_that_raise(recorded, runner, error):
    seen = []
    begin = threading.Event()

    @task
    def one(value):
        begin.wait(10 if isinstance(runner, ThreadPoolTaskRunner) else 0)
        return value

    def breaks(future):
        raise error("the callback's own trouble")

    async def notes_async(future):
        seen.append(("async", future.result()))

    @flow(task_runner=runner)
    def calls():
        futures = [one.submit(value) for value in range(3)]
        for future in futures:
            future.add_done_callback(breaks)
            future.add_done_callback(lambda future: seen.append(future.result()))
        futures[0].add_done_callback(notes_async)
        begin.set()
        results = [future.result(timeout=60) for future in as_completed(futures, timeout=60)]
        return sorted(results), one.map([7, 8]).result(timeout=60)

    assert calls() == ([0, 1, 2], [7, 8])
    assert {0, 1, 2, ("async", 0)} == set(seen)


def test_a_late_done_callback_that_raises(recorded):
    @task
    def one():
        return 1

    def breaks(future):
        raise RuntimeError("the callback's own trouble")

    @flow
    def calls():
        future = one.submit()
        future.wait()
        future.add_done_callback(breaks)
        return future.result()

    assert calls() == 1


def test_returned_cancelling_means_cancelled(recorded):
    seen = []

    @flow(on_cancellation=[lambda _flow, _run, state: seen.append((state.name, state.message))])
    def stops():
        return Cancelling(message="enough")

    assert stops(return_state=True).is_cancelled()
    assert seen == [("Cancelled", "enough")]
    assert recorded.flow_runs()[0]["state_type"] == "CANCELLED"


def test_code_that_raises_generator_exit_fails(recorded):
    @flow
    def leaves():
        raise GeneratorExit

    assert leaves(return_state=True).is_failed()
    assert recorded.flow_runs()[0]["state_type"] == "FAILED"


def test_runyard_run_reads_generators_out(recorded, tmp_path):
    path = tmp_path / "streams.py"
    path.write_text(
        "from runyard import flow\n\n\n"
        "@flow\ndef plain():\n    yield 1\n    print('to the end')\n\n\n"
        "@flow\nasync def later():\n    yield 1\n    print('to the end')\n"
    )
    for name in ("plain", "later"):
        command = [sys.executable, "-c", RUNYARD, "run", f"{path}:{name}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout.strip()) == (0, "to the end"), done.stderr
