"""Task runners: threads that help each other, one after the other, and processes that may be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from runyard import allow_failure, flow, get_run_logger, tags, task
from runyard.base.errors import RunCrashed
from runyard.engine import runtime
from runyard.engine.context import FlowRunContext
from runyard.engine.task_runners import (
    ProcessPoolTaskRunner,
    SequentialTaskRunner,
    ThreadPoolTaskRunner,
)

TWO = ProcessPoolTaskRunner(max_workers=2)


def wait_until(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@task
def where(_x=None):
    return os.getpid()


@task
def plus(x, y=1):
    return x + y


@task
async def aplus(x):
    await asyncio.sleep(0.001)
    return x + 1


@task
def breaks(text="broken"):
    raise ValueError(text)


@flow
def inner(x: int):
    return plus(x)


@task
def works_inside(x):
    futures = [plus.submit(x + n) for n in range(3)]
    return [future.result() for future in futures], plus(x), inner(x), runtime.flow_run.name


class TwoArguments(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@task
def breaks_oddly():
    raise TwoArguments(1, 2)


def test_tasks_run_in_other_processes(recorded):
    @flow(task_runner=TWO)
    def calls():
        processes = set(where.map(range(8)).result())
        assert os.getpid() not in processes
        assert len(processes) <= 2
        first = plus.submit(1)
        return plus.submit(x=first, y=[first, 2][1]).result(), aplus.submit(first).result()

    assert calls() == (4, 3)
    assert {run["state_name"] for run in recorded.task_runs()} == {"Completed"}
    (run,) = recorded.task_runs("aplus")
    assert recorded.states(run) == ["Pending", "Running", "Completed"]
    assert run["run_count"] == 1
    assert run["start_time"] is not None
    assert "task_run" in run["task_inputs"]


def test_an_async_flow_on_processes(recorded):
    @flow(task_runner=TWO)
    async def calls():
        return aplus.submit(plus.submit(1)).result(), plus.map([1, 2]).result()

    assert asyncio.run(calls()) == (3, [2, 3])


def test_what_a_task_does_inside_a_process(recorded):
    @flow(task_runner=TWO, flow_run_name="outermost")
    def calls():
        return works_inside.submit(10).result(), works_inside.submit(20).result()

    first, second = calls()
    assert first == ([11, 12, 13], 11, 11, "outermost")
    assert second == ([21, 22, 23], 21, 21, "outermost")
    assert {run["state_name"] for run in recorded.task_runs()} == {"Completed"}
    (root,) = recorded.flow_runs("calls")
    subflows = recorded.flow_runs("inner")
    assert [run["state_name"] for run in subflows] == ["Completed"] * 2
    assert {run["root_flow_run_id"] for run in subflows} == {root["id"]}


def test_logs_and_prints_of_a_process(recorded):
    @task
    def talks():
        print("printed there")
        get_run_logger().warning("logged there")

    @flow(task_runner=TWO, log_prints=True)
    def calls():
        talks.submit().wait()

    calls()
    (run,) = recorded.task_runs("talks")
    logs = recorded.rows("SELECT * FROM logs WHERE task_run_id = :id", id=run["id"])
    assert [row["message"] for row in logs][:2] == ["printed there", "logged there"]


def test_tags_and_parameters_go_along(recorded):
    @task
    def told():
        return sorted(runtime.task_run.tags), runtime.flow_run.parameters

    @flow(task_runner=TWO)
    def calls(number: int, lock=None):
        with tags("a"):
            return told.submit().result()

    assert calls(3, lock=threading.Lock()) == (["a"], {"number": 3})


def test_failures_come_back_as_they_are(recorded):
    @flow(task_runner=TWO)
    def calls():
        failed = breaks.submit("there")
        with pytest.raises(ValueError, match="there") as error:
            failed.result()
        assert "breaks" in str(error.value.__cause__)
        odd = breaks_oddly.submit()
        odd.wait()
        assert "TwoArguments: 1 and 2" in odd.state.message
        late = plus.submit(failed)
        late.wait()
        allowed = where.submit(allow_failure(failed))
        return late.state.name, allowed.result() != os.getpid()

    assert calls() == ("NotReady", True)
    assert recorded.states(recorded.task_runs("breaks")[0]) == ["Pending", "Running", "Failed"]


def test_retries_and_time_limits_in_a_process(recorded, tmp_path):
    marks = tmp_path / "marks"

    @task(retries=2)
    def flaky():
        with marks.open("a") as file:
            file.write("x")
        if len(marks.read_text()) < 3:
            raise ValueError("again")
        return "done"

    @task(timeout_seconds=0.2)
    def slow():
        time.sleep(30)

    @flow(task_runner=TWO)
    def calls():
        late = slow.submit()
        late.wait()
        return flaky.submit().result(), late.state.name

    assert calls() == ("done", "TimedOut")
    assert recorded.task_runs("flaky")[0]["run_count"] == 3


def test_what_cannot_be_pickled(recorded):
    @task
    def gives_a_lock():
        return threading.Lock()

    @flow(task_runner=TWO)
    def calls():
        sent, back = where.submit(threading.Lock()), gives_a_lock.submit()
        sent.wait(), back.wait()
        return sent.state.message, back.state.message

    sent, back = calls()
    assert "cannot be sent to another process" in sent
    assert "its result cannot be sent back" in back
    assert {run["state_name"] for run in recorded.task_runs()} == {"Failed"}


def test_a_killed_process_crashes_its_task_and_the_next_goes_on(recorded):
    @task
    def dies():
        os.kill(os.getpid(), signal.SIGKILL)

    @task
    def exits():
        os._exit(3)

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def calls():
        killed, left, fine = dies.submit(), exits.submit(), plus.submit(1)
        with pytest.raises(RunCrashed, match="SIGKILL"):
            killed.result()
        left.wait()
        assert left.state.is_crashed()
        assert "exit code 3" in left.state.message
        return fine.result()

    assert calls() == 2
    assert recorded.task_runs("dies")[0]["state_name"] == "Crashed"
    assert recorded.task_runs("exits")[0]["state_name"] == "Crashed"


def test_what_ran_inside_a_killed_process_is_crashed_too(database_url, recorded):
    @task
    def waits_for_the_kill():
        FlowRunContext.get().journal.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    @flow
    def middle():
        waits_for_the_kill()

    @task
    def outer_task():
        middle()

    @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
    def calls():
        lost = outer_task.submit()
        lost.wait()
        return lost.state.name

    assert calls() == "Crashed"
    assert {run["state_name"] for run in recorded.task_runs()} == {"Crashed"}
    assert len(recorded.task_runs()) == 3
    states = {run["flow_name"]: run["state_name"] for run in recorded.flow_runs()}
    assert states == {"calls": "Completed", "middle": "Crashed"}


def script(tmp_path, code):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(code))
    return path


def test_a_plain_script_needs_no_guard(recorded, tmp_path):
    path = script(
        tmp_path,
        """
        from dataclasses import dataclass
        from runyard import flow, task
        from runyard.task_runners import ProcessPoolTaskRunner

        @dataclass
        class Point:
            x: int

        def helper(x):
            return Point(x)

        @task
        def factorial(n):
            return 1 if n < 2 else n * factorial(n - 1)

        @task
        def point(x):
            return helper(x)

        @flow(task_runner=ProcessPoolTaskRunner(max_workers=2))
        def main():
            found = point.submit(1).result()
            assert isinstance(found, Point)
            print(factorial.submit(5).result(), found)

        main()
        """,
    )
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "120 Point(x=1)", done.stderr


def test_processes_end_with_the_flow(recorded, tmp_path):
    path = script(
        tmp_path,
        """
        import os, sys, time
        from runyard import flow, task
        from runyard.task_runners import ProcessPoolTaskRunner

        @task
        def sleeps():
            with open(sys.argv[1], "w") as file:
                file.write(str(os.getpid()))
            os.rename(sys.argv[1], sys.argv[1] + ".done")
            time.sleep(100)

        @flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
        def main():
            sleeps.submit().wait()

        main()
        """,
    )
    for number in (signal.SIGKILL, signal.SIGINT):
        note = tmp_path / f"pid{number}"
        process = subprocess.Popen([sys.executable, path, note], stderr=subprocess.DEVNULL)
        told = tmp_path / f"pid{number}.done"
        wait_until(told.exists)
        child = int(told.read_text())
        process.send_signal(number)
        process.wait(60)
        wait_until(lambda child=child: not alive(child))


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_one_after_the_other(recorded):
    order = []

    @task
    def note(x):
        order.append((x, threading.get_ident()))
        return x

    @flow(task_runner=SequentialTaskRunner())
    def calls():
        return note.map([1, 2, 3]).result()

    assert calls() == [1, 2, 3]
    assert order == [(x, threading.get_ident()) for x in (1, 2, 3)]


def test_no_more_threads_than_asked_for(recorded):
    lock, now, most = threading.Lock(), [0], [0]

    @task
    def busy(_x):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.002)
        with lock:
            now[0] -= 1

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=3))
    def calls():
        busy.map(range(30)).wait()

    calls()
    assert 1 <= most[0] <= 3


def test_a_runner_without_workers_is_refused():
    for kind in (ThreadPoolTaskRunner, ProcessPoolTaskRunner):
        with pytest.raises(ValueError, match="give 1 or more"):
            kind(max_workers=0)
