"""Whole lives of runs in containers: hooks, retries, subflows, workers that follow each other."""

from __future__ import annotations

import signal

import pytest
from _docker import need_docker
from _docker_yard import DockerYard, docker, printed, run_all
from _yard import a_yard, until
from runyard.operations.flow_runs import SetState, set_flow_run_state
from runyard.operations.schemas import StateCreate

FLOWS = """
import os, time
from runyard import flow, task

def crashed(flow, run, state):
    print("crashed hook", state.type.value, flush=True)

def cancelled(flow, run, state):
    print("cancelled hook", state.type.value, flush=True)

@flow(name="work", on_crashed=[crashed], on_cancellation=[cancelled])
def hooked():
    import signal
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("notes", "a") as file:
        file.write(f"start {os.environ['RUNYARD__ATTEMPT']} {os.getpid()}\\n")
    time.sleep(600)

@flow
def below(number):
    return number + 1

@flow(name="work", retries=1)
def nests():
    with open("tries", "a") as file:
        file.write("x")
    assert below(1) == 2
    if len(open("tries").read()) == 1:
        raise ValueError("once")
    print("tries", len(open("tries").read()))
"""


@pytest.fixture
def yard(home, tmp_path):
    need_docker()
    with a_yard(tmp_path, DockerYard) as yard:
        (yard.folder / "lives.py").write_text(FLOWS)
        yield yard


@pytest.mark.parametrize("how", ["crashed", "cancelled"])
def test_the_hooks_of_a_container_that_was_killed_are_called(yard, how):
    run = yard.run(entrypoint="lives.py:hooked")
    yard.worker()
    until(lambda: yard.is_running(run), "the start")
    if how == "crashed":
        docker("kill", yard.container(run))
    else:
        state = StateCreate(type="CANCELLING")
        yard.client.call(set_flow_run_state, run, SetState(state=state, force=False))
    yard.ended(run, how.upper())
    until(lambda: f"{how} hook {how.upper()}" in printed(yard, run), "the hook")


def test_a_flow_is_tried_again_in_its_container_with_its_subflows(yard):
    run = yard.run(entrypoint="lives.py:nests")
    run_all(yard)
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    assert "tries 2" in printed(yard, run)


def test_three_workers_adopt_a_container_one_after_the_other(yard):
    run = yard.run()
    worker = yard.worker("w0")
    until(lambda: yard.is_running(run), "the start")
    container = yard.container(run)
    for name in ("w1", "w2", "w3"):
        worker.kill()
        worker.wait()
        worker = yard.worker(name)
        until(lambda name=name: [one["owner"] for one in yard.leases()] == [name], "the adoption")
        assert yard.container(run) == container
    yard.release()
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1]


def test_a_worker_that_is_stopped_twice_cancels_its_containers(yard):
    run = yard.run()
    worker = yard.worker()
    until(lambda: yard.is_running(run), "the start")
    worker.send_signal(signal.SIGTERM)
    until(lambda: "may finish" in yard.said(), "the answer to the signal")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert yard.state(run).type == "CANCELLED"
    assert not docker("ps", "-q", "--filter", f"label=io.runyard.flow-run-id={run}")
