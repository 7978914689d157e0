"""Task runners used as context managers, and runners of one's own, of both kinds."""

from __future__ import annotations

import threading

import pytest
from runyard import flow, task
from runyard.base.errors import ParameterError
from runyard.engine.futures import FutureList, TaskFuture
from runyard.engine.task_runners import (
    ProcessPoolTaskRunner,
    SequentialTaskRunner,
    TaskRunner,
    ThreadPoolTaskRunner,
)
from runyard.prefect_names.engines import run_flow, run_task_sync


@task
def plus(a, b=1, *more, scale=1, **rest):
    return (a + b + sum(more)) * scale + sum(rest.values())


@task
async def aplus(a):
    return a + 1


@pytest.mark.parametrize("make", [ThreadPoolTaskRunner, SequentialTaskRunner, ProcessPoolTaskRunner])
def test_a_runner_as_a_context_manager(recorded, make):
    with make() as runner:
        one = runner.submit(plus, {"a": 1})
        two = runner.submit(plus, parameters={"a": one, "b": 2, "scale": 10}, wait_for=[one])
        three = runner.submit(aplus, {"a": 5})
        many = runner.map(plus, {"a": [1, 2], "b": 10, "more": ([1, 2],), "rest": {"x": [100, 200]}})
        assert isinstance(many, FutureList)
        assert [future.result() for future in (one, two, three)] == [2, 40, 6]
        assert many.result() == [112, 214]
        with pytest.raises(ParameterError, match=r"plus.*'a'"):
            runner.submit(plus, {})
    assert {run["state_name"] for run in recorded.task_runs()} == {"Completed"}


def test_a_runner_within_a_flow(recorded):
    @flow
    def calls():
        with ThreadPoolTaskRunner(max_workers=1) as runner:
            return runner.submit(plus, {"a": 1}).result()

    assert calls() == 2
    assert recorded.task_runs()[0]["flow_run_id"] == recorded.flow_runs()[0]["id"]


class Noting(ThreadPoolTaskRunner):
    """As people derive from Prefect's: what is submitted is seen and handed on."""

    seen: list = []  # noqa: RUF012  # shared by the copies of a flow run

    def submit(self, task, parameters, wait_for=None, dependencies=None):
        self.seen.append((task.name, dict(parameters)))
        return super().submit(task=task, parameters=parameters, wait_for=wait_for, dependencies=dependencies)


class Inner(TaskRunner):
    """One that holds another, opened and closed as a context manager."""

    opened: list = []  # noqa: RUF012  # likewise

    def __init__(self):
        self.inner = ThreadPoolTaskRunner(max_workers=1)

    def duplicate(self):
        return type(self)()

    def __enter__(self):
        super().__enter__()
        self.opened.append("in")
        self.inner.__enter__()
        return self

    def __exit__(self, kind, error, trace):
        self.inner.__exit__(kind, error, trace)
        self.opened.append("out")

    def submit(self, task, parameters, wait_for=None, dependencies=None):
        return self.inner.submit(task, parameters, wait_for)


class Here(TaskRunner):
    """One that runs the task itself."""

    def duplicate(self):
        return self

    def submit(self, task, parameters, wait_for=None, dependencies=None):
        class Done(TaskFuture):
            def __init__(self):
                self.state_now = run_task_sync(
                    task, parameters=parameters, wait_for=wait_for, return_type="state"
                )
                self.task_run_id = self.state_now.state_details["task_run_id"]

            state = property(lambda self: self.state_now)

            def wait(self, timeout=None):
                return None

            def result(self, timeout=None, raise_on_failure=True):
                return self.state_now.result(raise_on_failure)

        return Done()


class Older(TaskRunner):
    """One of ours as they were written first."""

    def duplicate(self):
        return type(self)()

    def submit(self, work, future):
        threading.Thread(target=work).start()


@pytest.mark.parametrize("kind", [Noting, Inner, Here, Older])
def test_a_runner_of_ones_own(recorded, kind):
    Noting.seen.clear()
    Inner.opened.clear()

    @flow(task_runner=kind())
    def calls():
        one = plus.submit(1)
        two = plus.submit(2, b=3, wait_for=[one])
        return one.result(), two.result(), plus.map([1, 2]).result(), plus.submit(1, return_state=True).name

    assert calls() == (2, 5, [2, 3], "Completed")
    assert len(recorded.task_runs()) == 5
    if kind is Noting:
        assert [name for name, _ in Noting.seen] == ["plus"] * 5
        assert Noting.seen[1][1] == {"a": 2, "b": 3, "scale": 1, "rest": {}}
    if kind is Inner:
        assert Inner.opened == ["in", "out"]


def test_running_a_flow_by_its_parameters(recorded):
    @flow
    def adds(a: int, b: int = 1):
        return a + b

    assert run_flow(adds, parameters={"a": "3"}) == 4
    assert run_flow(adds, parameters={"a": 3}, return_type="state").name == "Completed"
