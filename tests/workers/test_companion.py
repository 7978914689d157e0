"""Background tasks beside a worker: `runyard worker start --task FILE:task`, killed and stopped for real."""

from __future__ import annotations

import os
import signal

import pytest
from _yard import DEADLINE_SECONDS, a_yard, is_gone, until
from runyard.deployments.loading.loading import load_tasks

TASKS = """
import os, time
from runyard import task

@task
def double(number):
    with open("notes.tasks", "a") as file:
        file.write(f"{os.getpid()}\\n")
    while number == 0 and not os.path.exists("release"):
        time.sleep(0.01)
    return number * 2
"""


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "jobs.py").write_text(TASKS)
        yield yard
    notes = yard.folder / "notes.tasks"
    for pid in notes.read_text().split() if notes.exists() else []:
        until(lambda pid=pid: is_gone(pid), "the end of a process of tasks")


def task_of(yard):
    (found,) = load_tasks(f"{yard.folder / 'jobs.py'}:double")
    return found


def server_of(yard, count=1):
    """The process that ran the latest task, once there were `count` begun."""
    path = yard.folder / "notes.tasks"
    return int(
        until(lambda: path.exists() and len(pids := path.read_text().split()) >= count and pids, "a task")[-1]
    )


def test_one_worker_runs_flows_and_background_tasks(yard):
    (yard.folder / "inspect.py").write_text("raise SystemExit('not the standard library')\n")
    future, run = task_of(yard).delay(21), yard.run()
    worker = yard.worker(tasks=["jobs.py:double"])
    assert future.result(timeout=DEADLINE_SECONDS) == 42
    yard.release()
    yard.ended(run, "COMPLETED")
    server = server_of(yard)
    assert server not in (worker.pid, os.getpid())
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert is_gone(server)
    assert "Background tasks of jobs.py:double run beside it." in yard.said()


def test_a_killed_process_of_tasks_is_started_again_and_nothing_is_lost(yard):
    worker = yard.worker(tasks=["jobs.py"])
    future = task_of(yard).delay(0)
    first = server_of(yard)
    os.kill(first, signal.SIGKILL)
    yard.release()
    assert future.result(timeout=DEADLINE_SECONDS) == 0
    second = server_of(yard, 2)
    assert second != first
    assert "ended with exit code -9; it is started again in 1 s" in yard.said()
    worker.kill()
    until(lambda: is_gone(second), "the end of the process of tasks")


def test_a_killed_worker_leaves_no_process_of_tasks(yard):
    worker = yard.worker(tasks=["jobs.py:double"])
    assert task_of(yard).delay(1).result(timeout=DEADLINE_SECONDS) == 2
    server = server_of(yard)
    worker.kill()
    until(lambda: is_gone(server), "the end of the process of tasks")


def test_a_stopped_worker_finishes_its_tasks_and_a_second_signal_gives_them_back(yard):
    worker = yard.worker(tasks=["jobs.py:double"])
    finished = task_of(yard).delay(0)
    server_of(yard)
    worker.send_signal(signal.SIGINT)
    until(lambda: "is finished first" in yard.said(), "the wait for the task")
    assert worker.poll() is None
    yard.release()
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert finished.result(timeout=DEADLINE_SECONDS) == 0
    (yard.folder / "release").unlink()

    worker = yard.worker(name="second", tasks=["jobs.py:double"])
    given_back = task_of(yard).delay(0)
    server_of(yard, 2)
    for words in ("is finished first", "given back"):
        worker.send_signal(signal.SIGINT)
        until(lambda words=words: words in yard.said("second"), words)
    assert worker.wait(DEADLINE_SECONDS) == 0
    yard.release()
    yard.worker(name="third", tasks=["jobs.py:double"])
    assert given_back.result(timeout=DEADLINE_SECONDS) == 0


@pytest.mark.parametrize(
    ("entrypoint", "why"),
    [("jobs.py:doubl", "did you mean 'double'"), ("missing.py", "missing.py not found")],
)
def test_tasks_that_cannot_be_served_stop_the_worker_before_it_begins(yard, entrypoint, why):
    worker = yard.worker(tasks=[entrypoint])
    assert worker.wait(DEADLINE_SECONDS) == 1
    said = yard.said()
    assert why in said
    assert f"--task {entrypoint}: not served, for the reason above" in said
    assert "started!" not in said
