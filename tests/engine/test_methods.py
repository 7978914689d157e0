"""Flows and tasks on methods, callable objects, partials and lambdas; sync among async and the other way."""

from __future__ import annotations

import asyncio
import functools

import pytest
from runyard import Flow, Task, flow, task


class Job:
    factor = 3

    def __init__(self, factor=2):
        self.own = factor

    @task
    def scaled(self, x):
        return x * self.own

    @task
    async def ascaled(self, x):
        return x * self.own

    @classmethod
    @task
    def of_class(cls, x):
        return (cls.__name__, x * cls.factor)

    @task
    @classmethod
    def of_class_too(cls, x):
        return (cls.__name__, x * cls.factor)

    @staticmethod
    @task
    def plain(x):
        return -x

    @task
    @staticmethod
    def plain_too(x):
        return -x

    @flow
    def run(self, x: int):
        return self.scaled(x), self.scaled.submit(x).result(), self.scaled.map([1, x]).result()

    @flow
    async def arun(self, x: int):
        return await self.ascaled(x), self.ascaled.submit(x).result()

    @classmethod
    @flow
    def run_of_class(cls, x: int):
        return cls.of_class(x), cls.of_class.submit(x).result(), cls.of_class.map([1, x]).result()

    @flow
    @classmethod
    def run_of_class_too(cls, x: int):
        return cls.of_class_too(x), cls.of_class_too.submit(x).result(), cls.of_class_too.map([1, x]).result()

    @staticmethod
    @flow
    def run_plain(x: int):
        return Job.plain(x), Job.plain.submit(x).result(), Job.plain.map([1, x]).result()

    @flow
    @staticmethod
    def run_plain_too(x: int):
        return Job.plain_too(x), Job.plain_too.submit(x).result(), Job.plain_too.map([1, x]).result()


class Other(Job):
    factor = 5


def test_instance_methods(recorded):
    assert Job(4).run("2") == (8, 8, [4, 8])
    assert Job().run(2) == (4, 4, [2, 4])
    assert asyncio.run(Job(4).arun(2)) == (8, 8)
    assert {run["flow_name"] for run in recorded.flow_runs()} == {"run", "arun"}


@pytest.mark.parametrize("name", ["run_of_class", "run_of_class_too"])
def test_class_methods_in_both_orders(recorded, name):
    assert getattr(Job, name)("2") == (("Job", 6), ("Job", 6), [("Job", 3), ("Job", 6)])
    assert getattr(Job(), name)(2) == (("Job", 6), ("Job", 6), [("Job", 3), ("Job", 6)])
    assert getattr(Other, name)(2)[0] == ("Other", 10)


@pytest.mark.parametrize("name", ["run_plain", "run_plain_too"])
@pytest.mark.parametrize("owner", [Job, Job()], ids=["class", "instance"])
def test_static_methods_in_both_orders(recorded, name, owner):
    assert getattr(owner, name)("2") == (-2, -2, [-1, -2])


def test_runs_of_one_method_are_counted_together(recorded):
    @flow
    def both():
        return Job(1).scaled(1), Job(2).scaled(1)

    assert both() == (1, 2)
    assert [run["name"] for run in recorded.task_runs("scaled")] == ["scaled-0", "scaled-1"]


def test_a_bound_task_keeps_what_was_added_to_it(recorded):
    seen = []

    class Hooked:
        @task(retries=1, tags=["a"])
        def work(self):
            return 1

        @work.on_completion
        def noted(self, _run, state):
            seen.append(state.name)

    bound = Hooked().work
    assert isinstance(bound, Task)
    assert (bound.retries, bound.tags) == (1, {"a"})
    assert bound() == 1
    assert bound.with_options(name="other")() == 1
    assert seen == ["Completed", "Completed"]


def test_with_options_changes_only_what_it_is_given():
    def hook(*_given):
        pass

    @task(
        name="n", retries=2, retry_delay_seconds=[1, 2], tags=["t"], timeout_seconds=5, log_prints=True,
        on_failure=[hook], task_run_name="r-{x}",
    )  # fmt: skip
    def work(x):
        return x

    @work.on_completion
    def added(*_given):
        pass

    changed = work.with_options(retries=7)
    assert changed.retries == 7
    assert work.retries == 2
    for name in ("name", "retry_delay_seconds", "tags", "timeout_seconds", "log_prints", "task_run_name"):
        assert getattr(changed, name) == getattr(work, name)
    assert (changed.on_failure_hooks, changed.on_completion_hooks) == ([hook], [added])
    assert changed.fn is work.fn
    assert work.with_options(on_failure=[]).on_failure_hooks == []

    @flow(retries=3, on_crashed=[hook], flow_run_name="f")
    def outer():
        pass

    other = outer.with_options(name="other")
    assert isinstance(other, Flow)
    assert (other.name, other.retries, other.on_crashed_hooks) == ("other", 3, [hook])
    assert other.flow_run_name == "f"


class Callable:
    def __call__(self, x):
        return x + 1


class AsyncCallable:
    async def __call__(self, x):
        return x + 1


async def aplus(x, y):
    return x + y


def test_callables_that_are_no_functions(recorded):
    plus = functools.partial(lambda x, y: x + y, y=10)
    tasks = [task(Callable()), task(plus), task(lambda x: x * 2), task(functools.partial(max, 0))]

    @flow
    def calls():
        return [one(3) for one in tasks], [one.submit(3).result() for one in tasks[:3]]

    assert calls() == ([4, 13, 6, 3], [4, 13, 6])
    assert flow(Callable())(3) == 4
    assert flow(functools.partial(lambda x, y: x + y, y=10), name="partial")(1) == 11


def test_async_callables_that_are_no_functions(recorded):
    tasks = [task(AsyncCallable()), task(functools.partial(aplus, y=10))]

    @flow
    async def calls():
        assert all(one.isasync for one in tasks)
        return [await one(3) for one in tasks], [one.submit(3).result() for one in tasks]

    assert asyncio.run(calls()) == ([4, 13], [4, 13])


@task
def sync_task(x):
    return x + 1


@task
async def async_task(x):
    await asyncio.sleep(0)
    return x + 1


def test_sync_among_async(recorded):
    @flow
    def sync_flow(x: int):
        return sync_task(x)

    @flow
    async def async_flow(x: int):
        return await async_task(x)

    @flow
    async def outer():
        return (
            sync_task(1),
            sync_flow(1),
            await async_flow(1),
            sync_task.submit(async_task.submit(1)).result(),
        )

    assert asyncio.run(outer()) == (2, 2, 2, 3)


def test_async_among_sync(recorded):
    @flow
    async def async_flow(x: int):
        return await async_task(x)

    @flow
    def outer():
        given = async_task.submit(1)
        return given.result(), asyncio.run(async_flow(1)), sync_task.submit(given).result()

    assert outer() == (2, 2, 3)


def test_what_is_no_function_is_refused():
    with pytest.raises(TypeError, match="not callable"):
        task(3)
    with pytest.raises(TypeError, match="not callable"):
        flow("name")
