"""Reports that a run has given up waiting for, and made itself: its worker must not make them late."""

from __future__ import annotations

import os
import signal

import pytest
from _yard import a_yard, logs_of, until

FLOWS = """
import os, time
from runyard import flow, pause_flow_run

def note(text):
    with open("notes", "a") as file:
        file.write(f"{text} {os.environ['RUNYARD__ATTEMPT']} {os.getpid()}\\n")

def wait(name):
    while not os.path.exists(name):
        time.sleep(0.01)

if os.path.exists("wait-at-import"):
    note("import")
    wait("release-import")

@flow(name="work")
def asks(text: str = ""):
    note("start")
    pause_flow_run(timeout=600)
    note("end")

@flow(name="work", retries=1)
def fails_once():
    note("start")
    if len(open("notes").readlines()) == 1:
        wait("fail")
        raise ValueError("once")
    note("again")
    wait("release")

@flow(name="work")
def waits(text: str = ""):
    note("start")
    wait("release")
    raise ValueError("x" * 1_000_000)

@flow(name="work")
def says(text: str = ""):
    note("start")
    wait("say")
    print("said", flush=True)
    from runyard import get_run_logger
    get_run_logger().info("logged")
    wait("release")
"""


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "more.py").write_text(FLOWS)
        yield yard


def goes_on(yard, worker):
    """Let a stopped worker go on, and wait until it has done what it found."""
    before = len(yard.heartbeats())
    worker.send_signal(signal.SIGCONT)
    until(lambda: len(yard.heartbeats()) > before + 1, "two more signs of life")


def test_a_start_that_comes_late_does_not_end_a_pause(yard):
    (yard.folder / "wait-at-import").touch()
    run = yard.run(entrypoint="more.py:asks")
    worker = yard.worker()
    yard.started(kind="import")
    yard.stop_between_writes(worker)
    (yard.folder / "release-import").touch()
    until(lambda: yard.state(run).type == "PAUSED", "the pause")
    goes_on(yard, worker)
    assert yard.state(run).type == "PAUSED"
    assert not yard.notes("end")
    yard.cancel(run)
    yard.ended(run, "CANCELLED")


def test_a_failure_that_comes_late_does_not_end_the_next_try(yard):
    run = yard.run(entrypoint="more.py:fails_once")
    worker = yard.worker()
    yard.started()
    yard.stop_between_writes(worker)
    (yard.folder / "fail").touch()
    yard.started(kind="again")
    goes_on(yard, worker)
    assert yard.state(run).type == "RUNNING"
    yard.release()
    yard.ended(run, "COMPLETED")
    assert len([log for log in logs_of(yard, run) if log.message.startswith("Beginning")]) == 1


def test_a_start_that_is_larger_than_the_line_holds_does_not_wait_for_a_stopped_worker(yard):
    (yard.folder / "wait-at-import").touch()
    run = yard.run(entrypoint="more.py:waits", text="x" * 400_000)
    worker = yard.worker()
    yard.started(kind="import")
    yard.stop_between_writes(worker)
    (yard.folder / "release-import").touch()
    yard.started()
    assert yard.state(run).type == "RUNNING"
    yard.release()
    yard.ended(run, "FAILED")
    goes_on(yard, worker)
    assert len([log for log in logs_of(yard, run) if log.message.startswith("Finished")]) == 1


def test_a_run_makes_no_database_in_the_place_of_one_that_was_moved(yard, home):
    run = yard.run(entrypoint="more.py:says")
    yard.worker()
    yard.started()
    path = yard.client.database._driver.path
    os.rename(path, f"{path}.away")
    (yard.folder / "say").touch()
    until(lambda: "retrying" in yard.said() or os.path.exists(path), "the run's word")
    assert not os.path.exists(path)
    os.rename(f"{path}.away", path)
    yard.release()
    yard.ended(run, "COMPLETED")
    assert "logged" in [log.message for log in logs_of(yard, run)]
