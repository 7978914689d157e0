"""Subflows: the rows they leave, and what is kept of them when a run around them is tried again."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import pytest
from runyard import flow, task
from runyard.base.errors import ParameterError
from runyard.client import engine_client
from runyard.engine.task_runners import ProcessPoolTaskRunner


def names_of(recorded, name):
    return [json.loads(run["state"])["name"] for run in recorded.flow_runs(name)]


def test_one_function_under_several_names(recorded):
    @flow
    def child(x=0):
        return x

    @flow
    def main():
        child()
        for name in ("a", "b", "a"):
            child.with_options(name=name)(1)
        child.with_options(retries=1)()

    main()
    assert Counter(run["flow_name"] for run in recorded.flow_runs()) == {
        "main": 1,
        "child": 2,
        "a": 2,
        "b": 1,
    }
    stand_ins = [run["dynamic_key"] for run in recorded.task_runs()]
    assert sorted(stand_ins) == ["0", "1", "2", "3", "4"]


def test_flows_of_one_function_in_mapped_tasks(recorded):
    @flow
    def child(x):
        return x

    @task
    def call(x):
        return child.with_options(name=f"child-{x % 3}")(x)

    @flow
    def main():
        return call.map(range(9)).result()

    assert main() == list(range(9))
    assert len(recorded.flow_runs()) == 10
    assert len(recorded.task_runs()) == 18


def retried(body, **options):
    """A flow whose first try fails after its body."""
    tries = []

    def main():
        tries.append(1)
        found = body()
        if len(tries) == 1:
            raise ConnectionError("down")
        return found

    return flow(main, name="main", retries=1, persist_result=True, **options)()


def retried_async(body):
    tries = []

    async def main():
        tries.append(1)
        found = await body()
        if len(tries) == 1:
            raise ConnectionError("down")
        return found

    return asyncio.run(flow(main, name="main", retries=1, persist_result=True)())


@pytest.fixture(params=["here", "over HTTP"])
def place(request, home, monkeypatch):
    """A database in this process, and one behind an API."""
    if request.param == "over HTTP":
        from _api import serving
        from runyard.store import database as store

        server = request.getfixturevalue("api_server")
        with serving(server, store.get_database(f"sqlite:///{home}/served.db")):
            monkeypatch.setenv("RUNYARD_API_URL", server.url)
            yield
            for client in engine_client._clients.values():
                client.close()
            engine_client._clients.clear()
    else:
        yield
        engine_client._clients.clear()


def test_completed_children_are_not_run_again(place):
    ran = Counter()

    @flow
    def child(x):
        ran[x] += 1
        return x

    for _ in range(8):
        ran.clear()
        assert retried(lambda: [child(x) for x in range(3)]) == [0, 1, 2]
        assert set(ran.values()) == {1}


def test_completed_async_children_are_not_run_again(place):
    ran = Counter()

    @flow
    async def child(x):
        await asyncio.sleep(0)
        ran[x] += 1
        return x

    async def body():
        return await asyncio.gather(*(child(x) for x in range(3)))

    for _ in range(8):
        ran.clear()
        assert retried_async(body) == [0, 1, 2]
        assert set(ran.values()) == {1}


def test_children_called_alike_keep_what_is_theirs(place):
    """Which of them ends first says nothing about which is which."""
    ran = []

    @flow
    async def child():
        number = len(ran)
        ran.append(number)
        if number == 0:
            raise ValueError("the first fails")
        return number

    async def body():
        return await asyncio.gather(child(), child(), return_exceptions=True)

    first, second = retried_async(body)
    assert (first, second, ran) == (2, 1, [0, 1, 2])


def test_children_that_threads_call(home):
    ran = Counter()

    @flow
    def child(x):
        ran[x] += 1
        return x

    def body():
        with ThreadPoolExecutor(4) as pool:
            order = range(8) if not ran else reversed(range(8))
            calls = [pool.submit(copy_context().run, child, x) for x in order]
            return sorted(call.result() for call in calls)

    assert retried(body) == list(range(8))
    assert set(ran.values()) == {1}


def test_a_child_that_is_not_called_again_changes_nothing_for_others(home):
    ran = Counter()

    @flow
    def child(x):
        ran[x] += 1
        return x

    assert retried(lambda: [child(x) for x in ((1, 2, 3) if not ran else (3, 2))]) == [3, 2]
    assert ran == {1: 1, 2: 1, 3: 1}


def test_children_of_mapped_tasks_keep_what_is_theirs(home):
    ran, failed = Counter(), []

    @flow
    def child():
        return None

    @flow
    def counted():
        ran["all"] += 1
        return ran["all"]

    @task(persist_result=False)
    def call(x):
        child()
        found = counted()
        if x == 3 and not failed:
            failed.append(x)
            raise ConnectionError("down")
        return x, found

    first, again = retried(lambda: (call.map(range(4)).result(raise_on_failure=False), None))
    assert again is None
    assert ran["all"] == 4
    assert sorted(number for _, number in first) == [1, 2, 3, 4]


def test_children_of_a_task_that_is_retried(home):
    ran, tries = [], []

    @flow(persist_result=True)
    def child(x):
        ran.append(x)
        return x

    @task(retries=1, persist_result=False)
    def call():
        tries.append(1)
        found = [child(x) for x in (1, 1, 2)]
        if len(tries) == 1:
            raise ConnectionError("down")
        return found

    @flow
    def main():
        return call()

    assert main() == [1, 1, 2]
    assert ran == [1, 1, 2]


def test_grandchildren_of_a_child_that_is_retried(home):
    ran, tries = Counter(), []

    @flow
    def grandchild(x):
        ran[x] += 1
        return x

    @flow(retries=1)
    def child():
        tries.append(1)
        found = [grandchild(x) for x in range(3)]
        if len(tries) == 1:
            raise ConnectionError("down")
        return found

    @flow(persist_result=True)
    def main():
        return child()

    assert main() == [0, 1, 2]
    assert set(ran.values()) == {1}


def test_children_of_tasks_in_another_process(home, tmp_path):
    @flow
    def child(x):
        with open(tmp_path / "ran", "a") as file:
            file.write(f"{x} ")
        return x

    @task(persist_result=False)
    def call(x):
        return child(x), child(x)

    body = lambda: call.map([1, 2]).result()  # noqa: E731
    assert retried(body, task_runner=ProcessPoolTaskRunner(max_workers=2)) == [(1, 1), (2, 2)]
    assert sorted((tmp_path / "ran").read_text().split()) == ["1", "1", "2", "2"]


def test_flows_of_one_name_that_differ_in_what_is_bound_into_them(home):
    def make(number):
        @flow
        def child():
            return number

        return child

    orders = [(1, 2), (2, 1)]
    assert retried(lambda: [make(number)() for number in orders.pop(0)]) == [2, 1]


def test_a_child_without_a_key_says_so_and_runs_again(home, caplog):
    ran = []

    @flow
    def child(lock, x):
        ran.append(x)
        return x

    orders = [(1, 2), (2,)]
    assert retried(lambda: [child(threading.Lock(), x) for x in orders.pop(0)]) == [2]
    assert ran == [1, 2, 2]
    assert "No key for this subflow run" in caplog.text


def test_parameters_that_fail_find_nothing(home):
    @flow
    def child(x: int):
        return x

    def body():
        child(1)
        with pytest.raises(ParameterError, match="x"):
            child("one")
        return child(1)

    assert retried(body) == 1
