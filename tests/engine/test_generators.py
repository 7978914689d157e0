"""Generators and async generators as tasks and flows: values as they come, in a run that is Running."""

# ruff: noqa: PT012  # it is the loop over the values that raises
from __future__ import annotations

import asyncio
import time

import pytest
from runyard import flow, get_run_logger, task
from runyard.engine import runtime
from runyard.engine.context import current_task, get_run_context


@task
def numbers(limit, fail_at=None):
    for number in range(limit):
        if number == fail_at:
            raise ValueError("no more")
        yield number


@task
async def anumbers(limit, fail_at=None):
    for number in range(limit):
        await asyncio.sleep(0)
        if number == fail_at:
            raise ValueError("no more")
        yield number


def test_values_come_while_the_task_is_running(recorded):
    seen = []

    @flow
    def reads():
        for number in numbers(3):
            get_run_context().journal.flush()
            seen.append((number, recorded.task_runs("numbers")[0]["state_name"]))
        return len(seen)

    assert reads() == 3
    assert seen == [(0, "Running"), (1, "Running"), (2, "Running")]
    (run,) = recorded.task_runs()
    assert recorded.states(run) == ["Pending", "Running", "Completed"]


def test_async_values_come_while_the_task_is_running(recorded):
    @flow
    async def reads():
        return [number async for number in anumbers(3)]

    assert asyncio.run(reads()) == [0, 1, 2]
    (run,) = recorded.task_runs()
    assert recorded.states(run) == ["Pending", "Running", "Completed"]


def test_between_values_the_caller_is_in_his_own_run(recorded):
    inside = []

    @task
    def told():
        for _ in range(2):
            inside.append(runtime.task_run.name)
            yield current_task.get()

    @flow
    def reads():
        found = []
        for context in told():
            assert context is not None
            found.append(current_task.get())
            numbers.submit(1).wait()
        return found

    assert reads() == [None, None]
    assert inside == ["told-0", "told-0"]


def test_async_generators_keep_their_context(recorded):
    @task
    async def told():
        for _ in range(2):
            await asyncio.sleep(0)
            get_run_logger().info("inside")
            yield runtime.task_run.name

    @flow
    async def reads():
        found = []
        async for name in told():
            found.append((name, current_task.get()))
        return found

    assert asyncio.run(reads()) == [("told-0", None), ("told-0", None)]


def test_nothing_runs_until_a_value_is_asked_for(recorded):
    @flow
    def never():
        numbers(3)
        return 1

    assert never() == 1
    assert recorded.task_runs() == []


def test_what_a_generator_returns(recorded):
    @task
    def returns():
        yield 1
        return "end"

    @flow
    def reads():
        def outer():
            return (yield from returns())

        generator = outer()
        assert next(generator) == 1
        with pytest.raises(StopIteration) as stop:
            next(generator)
        return stop.value.value

    assert reads() == "end"


def test_values_are_sent_and_exceptions_thrown_into_it(recorded):
    @task
    def echo():
        given = None
        while given != "stop":
            try:
                given = yield given
            except KeyError:
                given = "caught"

    @flow
    def talks():
        generator = echo()
        assert next(generator) is None
        assert generator.send("hello") == "hello"
        assert generator.throw(KeyError("x")) == "caught"
        with pytest.raises(StopIteration):
            generator.send("stop")

    talks()
    assert recorded.states(recorded.task_runs()[0])[-1] == "Completed"


def test_a_failure_inside_fails_the_run(recorded):
    @flow
    def reads():
        seen = []
        with pytest.raises(ValueError, match="no more"):
            for number in numbers(3, fail_at=2):
                seen.append(number)
        return seen

    assert reads() == [0, 1]
    assert recorded.states(recorded.task_runs()[0])[-1] == "Failed"


def test_a_failure_inside_an_async_one_fails_the_run(recorded):
    @flow
    async def reads():
        seen = []
        with pytest.raises(ValueError, match="no more"):
            async for number in anumbers(3, fail_at=2):
                seen.append(number)
        return seen

    assert asyncio.run(reads()) == [0, 1]
    assert recorded.states(recorded.task_runs()[0])[-1] == "Failed"


def test_a_retry_begins_again(recorded):
    tries = []

    @task(retries=1)
    def flaky():
        tries.append(1)
        yield len(tries)
        if len(tries) == 1:
            raise ValueError("once")
        yield "done"

    @flow
    def reads():
        return list(flaky())

    assert reads() == [1, 2, "done"]
    (run,) = recorded.task_runs()
    assert recorded.states(run) == ["Pending", "Running", "Retrying", "Completed"]


def test_closing_it_early_completes_the_run(recorded):
    ended = []

    @task
    def endless():
        try:
            while True:
                yield 1
        finally:
            ended.append(runtime.task_run.name)

    @flow
    def reads():
        generator = endless()
        next(generator)
        generator.close()
        return ended

    assert reads() == ["endless-0"]
    assert recorded.states(recorded.task_runs()[0])[-1] == "Completed"


def test_closing_an_async_one_early_completes_the_run(recorded):
    ended = []

    @task
    async def endless():
        try:
            while True:
                yield 1
        finally:
            ended.append(runtime.task_run.name)

    @flow
    async def reads():
        generator = endless()
        await anext(generator)
        await generator.aclose()

    asyncio.run(reads())
    assert ended == ["endless-0"]
    assert recorded.states(recorded.task_runs()[0])[-1] == "Completed"


@pytest.mark.parametrize("generator", [numbers, anumbers])
def test_submitted_it_is_a_list(recorded, generator):
    @flow
    def reads():
        return generator.submit(3).result(), generator.map([1, 2]).result(), generator(2, return_state=True)

    if generator is numbers:
        lists, mapped, state = reads()
        assert (lists, mapped, state.result()) == ([0, 1, 2], [[0], [0, 1]], [0, 1])
    else:

        @flow
        async def areads():
            return generator.submit(3).result(), (await generator(2, return_state=True)).result()

        assert asyncio.run(areads()) == ([0, 1, 2], [0, 1])


def test_a_time_limit_counts_the_time_inside(recorded):
    @task(timeout_seconds=1)
    def slow():
        yield 1
        time.sleep(5)
        yield 2

    @task(timeout_seconds=1)
    async def aslow():
        yield 1
        await asyncio.sleep(5)
        yield 2

    @flow
    def reads():
        seen = []
        with pytest.raises(TimeoutError):
            for number in slow():
                seen.append(number)
                time.sleep(1.1)  # the reader's time does not count
        return seen, slow.submit().state

    @flow
    async def areads():
        seen = []
        with pytest.raises(TimeoutError):
            async for number in aslow():
                seen.append(number)
        return seen

    assert reads()[0] == [1]
    assert asyncio.run(areads()) == [1]
    assert {run["state_name"] for run in recorded.task_runs()} == {"TimedOut"}


def test_a_flow_that_is_a_generator(recorded):
    @flow
    def counts(limit: int):
        for number in range(limit):
            run = recorded.flow_runs("counts")[-1]
            assert run["state_name"] == "Running"
            yield number

    assert list(counts(3)) == [0, 1, 2]
    (run,) = recorded.flow_runs()
    assert recorded.states(run, "flow") == ["Pending", "Running", "Completed"]
    assert counts(2, return_state=True).result() == [0, 1]


def test_an_async_flow_that_is_a_generator(recorded):
    @flow
    async def counts(limit: int):
        for number in range(limit):
            yield await anumbers(number + 1, return_state=True)

    async def read():
        return [state.result() async for state in counts(2)]

    assert asyncio.run(read()) == [[0], [0, 1]]
    (run,) = recorded.flow_runs()
    assert recorded.states(run, "flow") == ["Pending", "Running", "Completed"]


def test_subflows_that_are_generators(recorded):
    @flow
    def inner():
        yield 1
        yield runtime.flow_run.flow_name

    @flow
    async def ainner():
        yield 1
        yield runtime.flow_run.flow_name

    @flow
    def outer():
        return [*inner(), runtime.flow_run.flow_name]

    @flow
    async def aouter():
        return [*[item async for item in ainner()], runtime.flow_run.flow_name]

    assert outer() == [1, "inner", "outer"]
    assert asyncio.run(aouter()) == [1, "ainner", "aouter"]
    assert {run["state_name"] for run in recorded.flow_runs()} == {"Completed"}


def test_a_flow_that_fails_between_values(recorded):
    @flow
    def breaks():
        yield 1
        raise ValueError("broken")

    seen = []
    with pytest.raises(ValueError, match="broken"):
        for value in breaks():
            seen.append(value)
    assert seen == [1]
    assert recorded.flow_runs()[0]["state_name"] == "Failed"
