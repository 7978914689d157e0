"""Background tasks and what happens to the processes that serve them: kills, stops, signals, partitions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from _yard import stop_between_writes
from runyard.client import LocalClient
from runyard.operations.task_runs.task_runs import read_task_run

WAIT_SECONDS = 60

TASKS = """
import os, subprocess, time
from runyard import task

def note(text):
    with open("notes", "a") as file:
        file.write(f"{text} {os.getpid()}\\n")

@task
def work(name):
    note(f"start-{name}")
    while not os.path.exists(f"release-{name}"):
        time.sleep(0.01)
    note(f"end-{name}")
    return name

@task
def quick(number):
    note(f"quick-{number}")
    return number

@task
def blocks():
    child = subprocess.Popen(["sleep", "1000"])
    with open("notes", "a") as file:
        file.write(f"child {child.pid}\\n")
    child.wait()

if __name__ == "__main__":
    from runyard.task_worker import serve
    serve(work, quick, blocks, limit=4)
"""


def until(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


class Yard:
    """A folder with served tasks and the processes that serve them."""

    def __init__(self, folder, tasks):
        self.folder, self.tasks, self.servers = folder, tasks, []

    def server(self):
        environment = {
            **os.environ,
            "RUNYARD_WORKER_LEASE_SECONDS": "1.5",
            "RUNYARD_TAKEOVER_AFTER_SECONDS": "3",
        }
        process = subprocess.Popen(
            [sys.executable, "served.py"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.servers.append(process)
        assert "Serving" in process.stdout.readline()
        return process

    def notes(self, kind):
        path = self.folder / "notes"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [int(pid) for text, pid in lines if text == kind]

    def release(self, name):
        (self.folder / f"release-{name}").touch()


@pytest.fixture
def yard(home, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "served.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop("served", None)
    import served

    yard = Yard(folder, served)
    yield yard
    for process in yard.servers:
        process.kill()
        print(process.communicate()[0])  # shown where the test failed
    sys.modules.pop("served", None)


def test_a_killed_servers_task_is_run_by_another(yard):
    future = yard.tasks.work.delay("a")
    first = yard.server()
    until(lambda: yard.notes("start-a"))
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = yard.server()
    until(lambda: second.pid in yard.notes("start-a"))
    yard.release("a")
    assert future.result(timeout=WAIT_SECONDS) == "a"
    assert yard.notes("start-a") == [first.pid, second.pid]
    assert yard.notes("end-a") == [second.pid]
    assert LocalClient().call(read_task_run, future.task_run_id).run_count == 1


def test_a_stopped_server_that_lost_its_task_does_not_go_on_with_it(yard):
    future = yard.tasks.work.delay("a")
    first = yard.server()
    until(lambda: yard.notes("start-a"))
    stop_between_writes(first, LocalClient().database)
    second = yard.server()
    until(lambda: second.pid in yard.notes("start-a"))
    first.send_signal(signal.SIGCONT)
    # Said after what it executed has ended.
    assert any("was stopped" in line for line in first.stdout)
    yard.release("a")
    assert future.result(timeout=WAIT_SECONDS) == "a"
    assert yard.notes("end-a") == [second.pid]
    first.send_signal(signal.SIGINT)
    assert first.wait(WAIT_SECONDS) == 0, first.stdout.read()


@pytest.fixture
def cut_off(yard, api_server, monkeypatch):
    """A server of tasks that reaches the database by an API alone; `cut_off.off()` takes that away."""
    from _api import no_database

    api_server.use(LocalClient().database)

    class CutOff:
        def serve(self, **environment):
            for name, value in {"RUNYARD_API_URL": api_server.url, **environment}.items():
                monkeypatch.setenv(name, value)
            process = yard.server()
            monkeypatch.delenv("RUNYARD_API_URL")
            return process

        def off(self):
            api_server.use(no_database())

    yield CutOff()
    api_server.use(no_database())


def test_a_server_that_cannot_renew_stops_its_task_before_another_takes_it(yard, cut_off):
    future = yard.tasks.work.delay("a")
    first = cut_off.serve()
    until(lambda: yard.notes("start-a"))
    cut_off.off()
    assert any("Leases could not be renewed" in line for line in first.stdout)
    second = yard.server()
    until(lambda: second.pid in yard.notes("start-a"))
    yard.release("a")
    assert future.result(timeout=WAIT_SECONDS) == "a"
    assert yard.notes("end-a") == [second.pid]


def test_what_does_not_stop_is_ended_with_its_process_and_what_it_started(yard, cut_off):
    future = yard.tasks.blocks.delay()
    first = cut_off.serve()
    (child,) = until(lambda: yard.notes("child"))
    cut_off.off()
    assert first.wait(WAIT_SECONDS) == 1
    assert "this process exits" in first.stdout.read()
    until(lambda: not os.path.exists(f"/proc/{child}") or _is_zombie(child))
    assert not future.state.is_final()


def _is_zombie(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()[0] in "ZX"


def test_a_server_may_go_on_without_renewing(yard, cut_off):
    future = yard.tasks.work.delay("a")
    first = cut_off.serve(RUNYARD_ON_PARTITION="continue")
    until(lambda: yard.notes("start-a"))
    cut_off.off()
    second = yard.server()
    until(lambda: second.pid in yard.notes("start-a"))
    yard.release("a")
    assert future.result(timeout=WAIT_SECONDS) == "a"
    until(lambda: sorted(yard.notes("end-a")) == sorted([first.pid, second.pid]))


def test_two_servers_never_run_one_task_twice(yard):
    yard.server(), yard.server()
    futures = yard.tasks.quick.map(range(60), deferred=True)
    assert futures.result(timeout=WAIT_SECONDS) == list(range(60))
    assert all(len(yard.notes(f"quick-{number}")) == 1 for number in range(60))


def test_ctrl_c_finishes_what_runs_and_takes_nothing_more(yard):
    future = yard.tasks.work.delay("a")
    server = yard.server()
    until(lambda: yard.notes("start-a"))
    server.send_signal(signal.SIGINT)
    assert "finished first" in server.stdout.readline()
    later = yard.tasks.quick.delay(1)
    yard.release("a")
    assert server.wait(WAIT_SECONDS) == 0, server.stdout.read()
    assert future.result(timeout=0) == "a"
    assert later.state.is_scheduled()


def test_a_second_ctrl_c_gives_back_what_runs(yard):
    future = yard.tasks.work.delay("a")
    first = yard.server()
    until(lambda: yard.notes("start-a"))
    first.send_signal(signal.SIGINT)
    assert "finished first" in first.stdout.readline()
    first.send_signal(signal.SIGINT)
    assert first.wait(WAIT_SECONDS) == 0, first.stdout.read()
    second = yard.server()
    until(lambda: second.pid in yard.notes("start-a"))
    yard.release("a")
    assert future.result(timeout=WAIT_SECONDS) == "a"
