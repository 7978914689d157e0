"""The run around some code in pools of processes and in threads, and the stores of contexts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from runyard import flow, get_run_logger, task
from runyard.engine import runtime
from runyard.engine.context import FlowRunContext, TaskRunContext, current_flow
from runyard.engine.results.result_stores import ResultStore
from runyard.prefect_names.context_names import hydrated_context, serialize_context, with_context


@task
def inside(number):
    return number * 2


def work(number):
    get_run_logger().info("working on %s", number)
    return inside(number), runtime.flow_run.id, runtime.task_run.id, os.getpid()


SCRIPT = """
import json, multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from runyard import flow, get_run_logger, runtime, tags, task
from runyard.prefect_names.context_names import with_context

@task
def inside(number):
    return number * 2

def work(number):
    get_run_logger().info("working on %s", number)
    return inside(number), runtime.flow_run.id, runtime.task_run.id, os.getpid()

@task
def pools(method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        return pool.map(with_context(work), range(3)), runtime.task_run.id

@flow
def calls(method):
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool, tags("pooled"):
        by_flow = pool.submit(with_context(work), 5).result()
    return by_flow, pools(method), os.getpid()

if __name__ == "__main__":
    print(json.dumps(calls(sys.argv[1])))
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_pool_of_processes_works_within_the_run(recorded, tmp_path, method):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "script.py", method], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    by_flow, (by_task, task_run_id), process = json.loads(done.stdout)
    (run,) = recorded.flow_runs()
    assert by_flow[:3] == [10, run["id"], None]
    assert [one[:3] for one in by_task] == [[number * 2, run["id"], task_run_id] for number in range(3)]
    assert process not in {one[3] for one in (by_flow, *by_task)}
    assert {text for text in recorded.logs() if text.startswith("working")} == {
        f"working on {number}" for number in (0, 1, 2, 5)
    }
    inner = [row for row in recorded.task_runs() if row["task_key"].startswith("inside")]
    assert [row["state_name"] for row in inner] == ["Completed"] * 4
    assert sum('"pooled"' in row["tags"] for row in inner) == 1


def test_threads_work_within_the_run(recorded):
    @flow
    def calls():
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(with_context(work), range(2)))

    found = calls()
    assert [one[:2] for one in found] == [
        (0, recorded.flow_runs()[0]["id"]),
        (2, recorded.flow_runs()[0]["id"]),
    ]


def test_a_context_that_is_taken_and_entered(recorded):
    @flow
    def calls():
        return serialize_context()

    taken = calls()
    with hydrated_context(taken):
        assert runtime.flow_run.id == recorded.flow_runs()[0]["id"]
    assert current_flow.get() is None
    with hydrated_context({}):
        assert current_flow.get() is None


def test_the_stores_of_contexts(recorded, tmp_path):
    seen = []

    @task(result_storage=str(tmp_path / "task"), result_serializer="json")
    def stores():
        seen.append(TaskRunContext.get().result_store)

    @flow(result_storage=str(tmp_path / "flow"))
    def calls():
        seen.append(FlowRunContext.get().result_store)
        stores()

    calls()
    of_flow, of_task = seen
    assert isinstance(of_flow, ResultStore)
    assert [str(one.storage.basepath) for one in seen] == [str(tmp_path / "flow"), str(tmp_path / "task")]
    assert of_task.serializer.type == "json"
    assert [one.result_storage for one in seen] == [one.storage for one in seen]
    assert [one.metadata_storage for one in seen] == [None, None]


def test_contexts_say_whether_results_are_kept(recorded):
    seen = []

    @task
    def plain():
        seen.append(TaskRunContext.get().persist_result)

    @flow(persist_result=True)
    def keeps():
        seen.append(FlowRunContext.get().persist_result)
        plain()
        plain.with_options(persist_result=False)()

    plain()
    keeps()
    assert seen == [False, True, True, False]
