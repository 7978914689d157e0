"""Mapped and nested tasks: what is mapped over, futures anywhere in arguments, many and deep ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import namedtuple
from dataclasses import dataclass

import pytest
from pydantic import BaseModel
from runyard import allow_failure, flow, task, unmapped
from runyard.base.exceptions import (
    MappingLengthMismatch,
    MappingMissingIterable,
    UpstreamTaskError,
)
from runyard.base.markers import quote
from runyard.engine.context import FlowRunContext
from runyard.engine.futures import TaskFuture, as_completed
from runyard.engine.task_runners import ThreadPoolTaskRunner


@task
def plus(x, y=1):
    return x + y


@task
def same(x):
    return x


@task
def fails_at_two(x):
    if x == 2:
        raise ValueError("two")
    return x


def test_what_is_mapped_over(recorded):
    @flow
    def calls():
        return [
            plus.map([1, 2, 3]).result(),
            plus.map([1, 2], [10, 20]).result(),
            plus.map([1, 2], 10).result(),
            plus.map(x=(n for n in range(2)), y=unmapped(5)).result(),
            same.map([[1], [2, 3]]).result(),
            plus.map([[1], [2]], unmapped([0])).result(),
            same.map(range(2)).result(),
            plus.map(["a", "b"], "c").result(),
            same.map(plus.map([1, 2])).result(),
            same.map(same.submit([4, 5])).result(),
            same.map([plus.submit(1), 2]).result(),
            same.map([]).result(),
        ]

    assert calls() == [
        [2, 3, 4], [11, 22], [11, 12], [5, 6], [[1], [2, 3]], [[1, 0], [2, 0]], [0, 1], ["ac", "bc"],
        [2, 3], [4, 5], [2, 2], [],
    ]  # fmt: skip


def test_what_cannot_be_mapped(recorded):
    @flow
    def calls():
        with pytest.raises(MappingLengthMismatch):
            plus.map([1, 2], [1, 2, 3])
        with pytest.raises(MappingMissingIterable):
            plus.map(1)
        with pytest.raises(MappingMissingIterable):
            same.map(unmapped([1]))

    calls()
    assert recorded.task_runs() == []


def test_failures_among_mapped_ones(recorded):
    @flow
    def calls():
        mapped = fails_at_two.map([1, 2, 3])
        mapped.wait()
        states = [future.state.name for future in mapped]
        after = same.map(mapped)
        after.wait()
        allowed = same.map(allow_failure(mapped)).result()
        given = plus.map([1, 2], return_state=True)
        return states, [future.state.name for future in after], allowed, [state.result() for state in given]

    states, after, allowed, given = calls()
    assert states == ["Completed", "Failed", "Completed"]
    assert after == ["Completed", "NotReady", "Completed"]
    assert (allowed[0], str(allowed[1]), allowed[2]) == (1, "two", 3)
    assert given == [2, 3]


@dataclass
class Holder:
    inside: object
    other: int = 0


class Model(BaseModel):
    inside: object


Named = namedtuple("Named", "one two")


def test_futures_anywhere_in_arguments(recorded):
    @flow
    def calls():
        one, two = plus.submit(0), plus.submit(1)
        found = same.submit(
            {"list": [one, (two, {"deep": one})], "set": {1}, "named": Named(one, 2), "plain": [1, 2]}
        ).result()
        held = same.submit([Holder(one), Model(inside=two)]).result()
        return found, held

    found, held = calls()
    assert found == {"list": [1, (2, {"deep": 1})], "set": {1}, "named": Named(1, 2), "plain": [1, 2]}
    assert (held[0], held[1].inside) == (Holder(1), 2)


def test_arguments_that_are_quoted(recorded):
    @task
    def kind(x):
        return type(x).__name__, isinstance(x, TaskFuture)

    @flow
    def calls():
        future = plus.submit(1)
        big = [future]
        return kind(quote(future)), kind(quote(big)), kind(future)

    assert calls() == (("TaskFuture", True), ("list", False), ("int", False))


def test_states_and_futures_to_wait_for(recorded):
    @flow
    def calls():
        state, failed = plus(1, return_state=True), fails_at_two(2, return_state=True)
        assert plus(1, wait_for=[state, plus.submit(1)]) == 2
        assert plus(state) == 3
        assert plus.submit(1, wait_for=[allow_failure(failed)]).result() == 2
        late = plus.submit(1, wait_for=[failed])
        with pytest.raises(UpstreamTaskError):
            late.result()
        with pytest.raises(UpstreamTaskError):
            plus(1, wait_for=[failed])
        return late.state.name, plus(1, wait_for=[failed], return_state=True).name

    assert calls() == ("NotReady", "NotReady")
    waited = recorded.task_runs("plus")[-1]
    assert waited["state_name"] == "NotReady"


@task
def down(n):
    return 0 if n == 0 else 1 + down(n - 1)


@task
def submits_down(n):
    return 0 if n == 0 else 1 + submits_down.submit(n - 1).result()


@task
async def adown(n):
    return 0 if n == 0 else 1 + await adown(n - 1)


def test_tasks_that_call_and_submit_tasks_hundreds_deep(recorded):
    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def calls():
        return down(500), submits_down(500), submits_down.submit(300).result()

    @flow
    async def acalls():
        return await adown(500)

    assert calls() == (500, 500, 300)
    assert asyncio.run(acalls()) == 500


def test_tasks_that_wait_for_each_other_do_not_fill_the_pool(recorded):
    @task
    def many(depth):
        if depth == 0:
            return 1
        return sum(future.result() for future in many.map([depth - 1] * 3))

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=2))
    def calls():
        return many.submit(5).result()

    assert calls() == 3**5


def test_ten_thousand_with_one_that_fails(recorded):
    @task
    def one(x):
        if x == 5_000:
            raise ValueError("in the middle")
        return x

    @flow
    def calls():
        futures = one.map(range(10_000))
        futures.wait()
        failed = [future for future in futures if future.state.is_failed()]
        with pytest.raises(ValueError, match="in the middle"):
            futures.result()
        return len(futures), [str(future.result(raise_on_failure=False)) for future in failed]

    assert calls() == (10_000, ["in the middle"])
    (row,) = recorded.rows("SELECT count(*) AS number FROM task_runs WHERE state_name = 'Completed'")
    assert row["number"] == 9_999


def test_memory_does_not_grow_with_the_number_of_mapped_tasks(recorded):
    import tracemalloc

    @task
    def one(x):
        return x

    @flow
    def calls(number: int):
        tracemalloc.start()
        futures = one.map(range(number))
        futures.wait()
        FlowRunContext.get().journal.flush()  # what waits to be written is no part of it
        taken, _peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        del futures
        return taken / number

    calls(50)
    few, many = calls(1_000), calls(4_000)
    assert many < few * 1.25


def test_a_map_is_interrupted_quickly(recorded, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(
        textwrap.dedent(
            """
            import sys, time
            from runyard import flow, task

            @task
            def slow(x):
                open(sys.argv[1], "w").close()
                time.sleep(0.2)

            @flow
            def main():
                slow.map(range(5_000)).wait()

            main()
            """
        )
    )
    mark = tmp_path / "began"
    process = subprocess.Popen([sys.executable, path, mark], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not mark.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    # All of them would take more than a minute.
    process.wait(60)
    assert process.returncode != 0
    (run,) = recorded.flow_runs()
    assert run["state_name"] == "Crashed"
    assert os.path.exists(mark)


def test_the_results_of_a_map_fail_as_soon_as_one_of_them_does(recorded):
    go_on = threading.Event()

    @task
    def work(x):
        if x == 0:
            raise ValueError("zero")
        assert go_on.wait(60)
        return x

    @flow
    def main():
        futures = work.map([1, 0])
        with pytest.raises(ValueError, match="zero"):
            futures.result()
        over = [future.done() for future in futures]
        go_on.set()
        return over, futures.result(raise_on_failure=False)[0]

    assert main() == ([False, True], 1)


def test_a_task_takes_what_it_has_submitted_as_it_completes_on_the_only_thread(recorded):
    @task
    def leaf(x):
        return x

    @task
    def work():
        return [future.result() for future in as_completed(leaf.map([3, 1, 2]))]

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def main():
        return work.submit().result()

    assert sorted(main()) == [1, 2, 3]
