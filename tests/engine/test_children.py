"""Child processes that the code of a run starts record like the run's own process."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ProcessPoolExecutor

import pytest
from runyard import flow, get_run_logger, task

FORK = multiprocessing.get_context("fork")


@task
def square(number):
    return number * number


@flow
def inner(number):
    return square(number)


@task(persist_result=True)
def kept(number):
    return number


def work(number):
    print("printed", number)
    get_run_logger().info("logged %s", number)
    inner(number)
    kept(number)
    return square(number)


def plainly(number):
    return square(number)


def in_pool(numbers):
    with FORK.Pool(2) as pool:
        return pool.map(work, numbers)


def in_executor(numbers):
    with ProcessPoolExecutor(2, mp_context=FORK) as executor:
        return list(executor.map(work, numbers))


def in_processes(numbers):
    processes = [FORK.Process(target=work, args=(number,)) for number in numbers]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [number * number for number in numbers]


def in_forks(numbers):
    for number in numbers:
        pid = os.fork()
        if pid == 0:
            work(number)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    return [number * number for number in numbers]


@pytest.mark.parametrize("way", [in_pool, in_executor, in_processes, in_forks])
def test_a_forked_child_records_all(recorded, way):
    @flow(log_prints=True)
    def main():
        square(100)
        return way(range(4))

    assert main() == [0, 1, 4, 9]
    (root,) = recorded.flow_runs("main")
    assert root["state_type"] == "COMPLETED"
    inner_runs = recorded.flow_runs("inner")
    assert [run["state_type"] for run in inner_runs] == ["COMPLETED"] * 4
    assert {run["root_flow_run_id"] for run in inner_runs} == {root["id"]}
    assert len(recorded.task_runs("square")) == 1 + 4 + 4
    assert len(recorded.task_runs("kept")) == 4
    assert {run["state_type"] for run in recorded.task_runs()} == {"COMPLETED"}
    assert sorted(line for line in recorded.logs() if line.startswith(("printed", "logged"))) == sorted(
        f"{word} {number}" for number in range(4) for word in ("printed", "logged")
    )
    assert recorded.rows("SELECT count(*) AS n FROM results")[0]["n"] == 4


def test_a_fork_of_a_task_belongs_to_the_task(recorded):
    @task(log_prints=True)
    def outer():
        return in_forks([3])

    @flow
    def main():
        outer()

    main()
    (run,) = recorded.task_runs("outer")
    (row,) = recorded.rows("SELECT task_run_id FROM logs WHERE message = 'printed 3'")
    assert row["task_run_id"] == run["id"]


def test_a_pool_that_outlives_its_run_does_not_record_for_it(recorded):
    pools = []

    @flow
    def first():
        pools.append(FORK.Pool(1))
        return pools[0].map(plainly, [1])

    first()
    with pools[0] as pool:
        assert pool.map(plainly, [2, 3]) == [4, 9]
    (run,) = recorded.flow_runs()
    assert [row["flow_run_id"] for row in recorded.task_runs()] == [run["id"], None, None]


def test_tasks_outside_of_flows_are_recorded_by_children(recorded):
    with FORK.Pool(2) as pool:
        assert pool.map(plainly, [1, 2]) == [1, 4]
    assert [run["state_type"] for run in recorded.task_runs()] == ["COMPLETED"] * 2


SCRIPT = """
    import sys
    from runyard import flow, get_run_logger, task

    @task
    def square(number):
        return number * number

    @flow
    def inner(number):
        return square(number)

    def work(number):
        print("printed", number)
        get_run_logger().info("logged %s", number)
        return inner(number) + square(number)

    @task
    def outer(how):
        import multiprocessing
        with multiprocessing.get_context(how).Pool(2) as pool:
            return pool.map(work, range(2))

    @flow(log_prints=True)
    def main():
        outer(sys.argv[1])

    if __name__ == "__main__":
        main()
"""


@pytest.mark.parametrize("how", ["spawn", "forkserver"])
def test_a_child_that_is_started_anew_belongs_to_the_run(recorded, tmp_path, how):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    subprocess.run([sys.executable, str(script), how], check=True, timeout=120)
    (root,) = recorded.flow_runs("main")
    (outer,) = recorded.task_runs("outer")
    assert {run["root_flow_run_id"] for run in recorded.flow_runs("inner")} == {root["id"]}
    assert len(recorded.task_runs("square")) == 4
    rows = recorded.rows("SELECT message, task_run_id, flow_run_id FROM logs WHERE message LIKE '%ed _'")
    assert sorted(row["message"] for row in rows) == ["logged 0", "logged 1", "printed 0", "printed 1"]
    assert {(row["task_run_id"], row["flow_run_id"]) for row in rows} == {(outer["id"], root["id"])}
