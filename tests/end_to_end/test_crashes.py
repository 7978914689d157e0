"""Runs, workers and launchers really killed: nothing stays behind, nothing runs twice in an attempt."""

from __future__ import annotations

import os
import signal
import time

import pytest
from _yard import (
    DEADLINE_SECONDS,
    TAKEOVER_SECONDS,
    a_yard,
    is_asleep,
    is_gone,
    logs_of,
    status_of,
    until,
)
from runyard.operations.flow_runs.flow_runs import SetState, set_flow_run_state
from runyard.operations.schemas import StateCreate


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        yield yard


def kill(*pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def kill_run(yard, worker, pid):
    kill(pid)


def kill_worker(yard, worker, pid):
    kill(worker.pid)


def kill_worker_then_run(yard, worker, pid):
    kill(worker.pid)
    worker.wait()
    kill(pid)


def kill_both_at_once(yard, worker, pid):
    kill(worker.pid, pid)


def kill_launcher(yard, worker, pid):
    kill(yard.launcher_of(worker))


def kill_group(yard, worker, pid):
    os.killpg(worker.pid, signal.SIGKILL)


def kill_everything(yard, worker, pid):
    kill(yard.launcher_of(worker), worker.pid, pid)


KILLS = [
    kill_run,
    kill_worker,
    kill_worker_then_run,
    kill_both_at_once,
    kill_launcher,
    kill_group,
    kill_everything,
]
by_name = pytest.mark.parametrize("do", KILLS, ids=lambda do: do.__name__)


def check_nothing_is_left(yard, run, starts, kind="start"):
    notes = yard.notes(kind)
    assert len({attempt for attempt, _ in notes}) == len(notes) == starts, "twice in one attempt"
    assert not yard.leases()


@by_name
def test_a_run_that_is_lost_crashes_and_starts_again(yard, do):
    run = yard.run(crash_retries=3)
    worker = yard.worker()
    pid = yard.started()
    do(yard, worker, pid)
    until(lambda: is_gone(pid), "the end of the run's process")
    yard.worker("second")
    yard.started(2)
    yard.release()
    yard.ended(run, "COMPLETED")
    check_nothing_is_left(yard, run, starts=2)


@by_name
def test_a_run_that_is_lost_without_retries_is_crashed(yard, do):
    run = yard.run()
    # Its end is proved: nobody waits for the time after which runs are taken over in doubt.
    worker = yard.worker(RUNYARD_TAKEOVER_AFTER_SECONDS="3600")
    do(yard, worker, yard.started())
    yard.worker("second", RUNYARD_TAKEOVER_AFTER_SECONDS="3600")
    yard.ended(run, "CRASHED")
    check_nothing_is_left(yard, run, starts=1)


@pytest.mark.parametrize("do", [kill_worker, kill_both_at_once, kill_everything], ids=lambda do: do.__name__)
def test_a_worker_that_is_lost_during_launch_costs_no_retry(yard, do):
    (yard.folder / "wait-at-import").touch()
    run = yard.run()
    worker = yard.worker()
    do(yard, worker, yard.started(kind="import"))
    yard.worker("second")
    yard.started(2, kind="import")
    yard.release()
    yard.ended(run, "COMPLETED")
    check_nothing_is_left(yard, run, starts=1)
    check_nothing_is_left(yard, run, starts=2, kind="import")


def test_a_run_that_dies_during_launch_is_crashed(yard):
    (yard.folder / "wait-at-import").touch()
    run = yard.run()
    yard.worker()
    pid = yard.started(kind="import")
    # The process that calls the hooks of a killed run loads its flow too, but does not run it.
    (yard.folder / "wait-at-import").unlink()
    kill(pid)
    yard.ended(run, "CRASHED")
    check_nothing_is_left(yard, run, starts=1, kind="import")


@pytest.mark.parametrize("do", [kill_run, kill_worker, kill_everything], ids=lambda do: do.__name__)
def test_losses_during_the_final_report(yard, do):
    run = yard.run(crash_retries=3)
    worker = yard.worker()
    pid = yard.started()
    with yard.client.database.transaction() as tx:
        # While this transaction is open nobody else can write: the run hangs in its last report.
        tx.execute("UPDATE flows SET updated = updated")
        yard.release()
        until(lambda: yard.notes("end"), "the end of the flow")
        until(lambda: is_asleep(pid), "the report")
        do(yard, worker, pid)
        until(lambda: is_gone(pid), "the end of the run's process")
    yard.worker("second")
    yard.ended(run, "COMPLETED")
    # What it reported reaches the database as long as its worker lives.
    check_nothing_is_left(yard, run, starts=1 if do is kill_run else 2)


def test_a_worker_stopped_past_its_lease_cannot_go_on_where_it_was(yard):
    run = yard.run(crash_retries=3)
    worker = yard.worker()
    pid = yard.started()
    yard.stop_between_writes(worker)
    yard.worker("second")
    yard.started(2)
    assert is_gone(pid)
    worker.send_signal(signal.SIGCONT)
    until(lambda: "not this worker's" in yard.said() or "ended with" in yard.said(), "the worker's insight")
    yard.release()
    yard.ended(run, "COMPLETED")
    check_nothing_is_left(yard, run, starts=2)
    assert worker.poll() is None


def test_a_worker_goes_on_after_the_database_was_held_past_its_lease(yard):
    run = yard.run(crash_retries=3)
    yard.worker(RUNYARD_DATABASE_TIMEOUT_SECONDS="0.2")
    yard.started()
    with yard.client.database.transaction() as tx:
        tx.execute("UPDATE flows SET updated = updated")
        time.sleep(2 * TAKEOVER_SECONDS)  # what is tested is that nothing happens in this time
    yard.release()
    yard.ended(run, "COMPLETED")
    check_nothing_is_left(yard, run, starts=1)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_worker_lets_its_runs_finish(yard, number):
    run = yard.run()
    worker = yard.worker()
    yard.started()
    worker.send_signal(number)
    until(lambda: "Stopping" in yard.said(), "the stop")
    later = yard.run()
    yard.release()
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert yard.state(run).type == "COMPLETED"
    assert yard.state(later).type == "SCHEDULED"
    assert status_of(yard, "first") == "OFFLINE"
    assert "Worker 'first' started!" in yard.said()
    assert "Worker 'first' stopped!" in yard.said()


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_second_signal_cancels_the_runs(yard, stubborn):
    run = yard.run(stubborn=stubborn)
    worker = yard.worker()
    pid = yard.started()
    worker.send_signal(signal.SIGINT)
    until(lambda: "Stopping" in yard.said(), "the stop")
    worker.send_signal(signal.SIGINT)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert is_gone(pid)
    assert yard.state(run).type == "CANCELLED"
    assert not yard.leases()


def test_a_worker_started_with_sigint_ignored_stops_all_the_same(yard):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        worker = yard.worker()
    finally:
        signal.signal(signal.SIGINT, before)
    until(lambda: "started!" in yard.said(), "the start")
    until(lambda: status_of(yard, "first") == "ONLINE", "the first heartbeat")
    worker.send_signal(signal.SIGINT)
    assert worker.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("stubborn", [False, True])
def test_a_cancelled_run_is_stopped(yard, stubborn):
    run = yard.run(stubborn=stubborn)
    yard.worker()
    pid = yard.started()
    yard.client.call(set_flow_run_state, run, SetState(state=StateCreate(type="CANCELLING")))
    yard.ended(run, "CANCELLED")
    until(lambda: is_gone(pid), "the end of the run's process")
    assert not yard.leases()


def test_a_run_whose_worker_is_lost_while_it_is_cancelled_is_cancelled(yard):
    run = yard.run(stubborn=True)
    worker = yard.worker(RUNYARD_WORKER_KILL_GRACE_SECONDS="60")
    yard.started()
    yard.client.call(set_flow_run_state, run, SetState(state=StateCreate(type="CANCELLING")))
    kill(worker.pid)
    yard.worker("second")
    yard.ended(run, "CANCELLED")
    check_nothing_is_left(yard, run, starts=1)


def test_what_a_run_prints_is_kept(yard):
    run = yard.run()
    yard.release()
    yard.worker()
    yard.ended(run, "COMPLETED")

    def kept():
        return [log.message for log in logs_of(yard, run) if log.name == "runyard.stdout"]

    assert until(kept, "the log") == ["working"]


def test_a_lost_process_does_not_use_up_the_retries_of_failures(yard):
    run = yard.run(crash_retries=1, entrypoint="flows.py:dies_then_fails")
    yard.worker()
    yard.ended(run, "COMPLETED", "FAILED")
    assert yard.state(run).type == "COMPLETED"
    assert [attempt for attempt, _ in yard.notes()] == [1, 2, 2]


def test_a_run_that_is_told_to_end_starts_again_once_its_process_is_gone(yard):
    run = yard.run(crash_retries=1)
    yard.worker()
    first = yard.started()
    until(lambda: yard.is_running(run), "the start")
    os.kill(first, signal.SIGTERM)
    second = yard.started(2)
    assert is_gone(first)
    # No crash retry is left: it reports its end itself.
    os.kill(second, signal.SIGTERM)
    assert "termination signal" in yard.ended(run, "CRASHED").message
    check_nothing_is_left(yard, run, starts=2)
