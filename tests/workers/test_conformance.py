"""What the runs of every type of pool do that has jobs: the same scenarios on each."""

from __future__ import annotations

import signal

import pytest
from _pool_yards import YARDS, a_yard_of
from _yard import is_gone, logs_of, until
from runyard.operations.recovery.recover_flow_runs import RecoverRequest, recover

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

@task
def double(number):
    return 2 * number

@flow
def below(number):
    return sum(double.map(range(number)).result())

@flow(name="work", retries=1)
def nests():
    with open("tries", "a") as file:
        file.write("x")
    assert below(3) == 6
    if len(open("tries").read()) == 1:
        raise ValueError("once")
    print("tries", len(open("tries").read()))

@flow(name="work")
def fails():
    print("a\\x1b[2J\\x1b[31mb\\x1b[0m")
    raise ValueError("on purpose")
"""


@pytest.fixture(params=YARDS)
def yard(request, home, tmp_path):
    with a_yard_of(request.param, tmp_path) as yard:
        (yard.folder / "lives.py").write_text(FLOWS)
        yield yard


def printed(yard, run):
    return [log.message for log in logs_of(yard, run)]


def test_a_flow_is_tried_again_in_its_job_with_its_subflows(yard):
    run = yard.run(entrypoint="lives.py:nests")
    assert yard.worker(run_once=True).wait(120) == 0
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    assert printed(yard, run).count("tries 2") == 1


def test_a_flow_that_fails_is_no_crash(yard):
    run = yard.run(entrypoint="lives.py:fails", crash_retries=1)
    assert yard.worker(run_once=True).wait(120) == 0
    assert yard.state(run).type == "FAILED"
    assert "on purpose" in yard.state(run).message
    # Its output is stored as it is; a terminal gets no control characters of it but colours.
    assert "a\x1b[2J\x1b[31mb\x1b[0m" in printed(yard, run)
    assert "\na\\x1b[2J\x1b[31mb\x1b[0m\n" in yard.said()
    assert "finished: Failed" in yard.said()


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_run_is_cancelled(yard, stubborn):
    run = yard.run(stubborn=stubborn)
    yard.worker()
    until(lambda: yard.is_running(run), "the start")
    yard.cancel(run)
    yard.ended(run, "CANCELLED")
    assert yard.notes("end") == []


@pytest.mark.parametrize("how", ["crashed", "cancelled"])
def test_the_hooks_of_a_job_that_was_killed_are_called(yard, how):
    run = yard.run(entrypoint="lives.py:hooked")
    yard.worker()
    until(lambda: yard.is_running(run), "the start")
    if how == "crashed":
        yard.kill_job(run)
    else:
        yard.cancel(run)
    yard.ended(run, how.upper())
    until(lambda: f"{how} hook {how.upper()}" in printed(yard, run), "the hook")


@pytest.mark.parametrize("how", ["killed", "told to end"])
def test_a_job_that_others_end_is_crashed_and_starts_again(yard, how):
    run = yard.run(crash_retries=1)
    yard.worker()
    until(lambda: yard.is_running(run), "the start")
    if how == "killed":
        yard.kill_job(run)
    else:
        yard.end_job(run)
    until(lambda: len(yard.notes()) == 2, "the second attempt")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1, 2]


def test_workers_adopt_a_job_one_after_the_other(yard):
    run = yard.run()
    worker = yard.worker("w0")
    until(lambda: yard.is_running(run), "the start")
    until(lambda: "working" in printed(yard, run), "what it prints")
    for name in ("w1", "w2"):
        worker.kill()
        worker.wait()
        worker = yard.worker(name)
        until(lambda name=name: [one["owner"] for one in yard.leases()] == [name], "the adoption")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1]
    assert printed(yard, run).count("working") == 1


def test_a_job_that_ended_while_no_worker_was_there(yard):
    run = yard.run(crash_retries=1)
    first = yard.worker("first")
    until(lambda: yard.is_running(run), "the start")
    first.kill()
    first.wait()
    yard.kill_job(run)
    yard.worker("second")
    until(lambda: len(yard.notes()) == 2, "the second attempt")
    yard.release()
    yard.ended(run, "COMPLETED")


def test_two_workers_of_one_pool_start_each_run_once(yard):
    runs = [yard.run() for _ in range(4)]
    yard.release()
    for name in ("first", "second"):
        yard.worker(name)
    for run in runs:
        yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1] * 4


def test_a_worker_that_is_stopped_lets_its_runs_finish(yard):
    run = yard.run()
    worker = yard.worker()
    until(lambda: yard.is_running(run), "the start")
    worker.send_signal(signal.SIGTERM)
    until(lambda: "may finish" in yard.said(), "the answer to the signal")
    yard.release()
    assert worker.wait(60) == 0
    assert yard.state(run).type == "COMPLETED"


def test_a_worker_that_is_stopped_twice_cancels_its_runs(yard):
    run = yard.run()
    worker = yard.worker()
    until(lambda: yard.is_running(run), "the start")
    worker.send_signal(signal.SIGTERM)
    until(lambda: "may finish" in yard.said(), "the answer to the signal")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(60) == 0
    assert yard.state(run).type == "CANCELLED"


def test_a_job_whose_run_was_lost_without_an_heir_is_ended_before_the_run_starts_again(yard):
    run = yard.run(stubborn=True, crash_retries=1)
    first = yard.worker("first")
    until(lambda: yard.is_running(run), "the start")
    first.kill()
    first.wait()
    # As others do after the time without a sign of life, who know nothing of its job.
    yard.client.call(recover, RecoverRequest(dead=[lease["proof"] for lease in yard.leases()]))
    assert yard.state(run).name == "AwaitingRetry"
    yard.worker("second")
    until(lambda: len(yard.notes()) == 2, "the second attempt")
    if yard.pool_type != "docker":  # whose processes have other numbers here
        assert is_gone(yard.notes()[0][1])
    until(
        lambda: any("still ran and was stopped" in text for text in printed(yard, run)), "the word about it"
    )
    yard.release()
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1, 2]
