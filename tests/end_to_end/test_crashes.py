"""Runs, workers and launchers really killed: nothing stays behind, nothing runs twice in an attempt."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from runyard import clock
from runyard.client import LocalClient
from runyard.operations.deployments import (
    DeploymentApply,
    DeploymentFlowRunCreate,
    DeploymentsApply,
    apply_deployments,
    create_flow_run_from_deployment,
)
from runyard.operations.flow_runs import SetState, read_flow_run, set_flow_run_state
from runyard.operations.logs import filter_logs
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools import WorkPoolCreate, create_work_pool
from runyard.operations.workers import filter_workers

LEASE_SECONDS = 2.0
DEADLINE_SECONDS = 60.0

# A run notes its attempt and process, then goes on until the file `release` is there. With `at=import`
# it waits before its flow can be loaded: its worker has claimed it, and it is not Running.
FLOWS = """
import os, signal, time
from runyard import flow

def note(text):
    with open("notes", "a") as file:
        file.write(f"{text} {os.environ['RUNYARD__ATTEMPT']} {os.getpid()}\\n")

def wait():
    while not os.path.exists("release"):
        time.sleep(0.01)

if os.path.exists("wait-at-import"):
    note("import")
    wait()

@flow
def work(stubborn: bool = False):
    if stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("working")
    note("start")
    wait()
    note("end")
"""
WORKER = """
import sys
from runyard.workers.worker import WorkerOptions, start_worker
sys.exit(start_worker(WorkerOptions(pool="pool", name=sys.argv[1], limit=2)))
"""


def until(condition, what="it"):
    """The first true value of `condition`."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.01)
    return value


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


class Yard:
    """A home with a pool, a deployment, and the workers that a test starts."""

    def __init__(self, folder, home):
        self.folder = folder
        self.client = LocalClient()
        self.workers = []
        self.environment = {
            **os.environ,
            "RUNYARD_WORKER_LEASE_SECONDS": str(LEASE_SECONDS),
            "RUNYARD_WORKER_HEARTBEAT_SECONDS": "1",
            "RUNYARD_WORKER_KILL_GRACE_SECONDS": "1",
        }
        (folder / "flows.py").write_text(FLOWS)
        self.client.call(create_work_pool, WorkPoolCreate(name="pool", type="process"))

    def run(self, crash_retries=0, **parameters):
        """Deploy the flow and ask for a run of it."""
        deployment = DeploymentApply(
            name="crash",
            flow_name="work",
            entrypoint="flows.py:work",
            path=str(self.folder),
            work_pool_name="pool",
            crash_retries=crash_retries,
        )
        body = DeploymentsApply(deployments=[deployment], owner="test")
        deployed = self.client.call(apply_deployments, body)[0].deployment
        body = DeploymentFlowRunCreate(parameters=parameters)
        return self.client.call(create_flow_run_from_deployment, deployed.id, body).id

    def worker(self, name="first", **environment):
        with open(self.folder / f"{name}.out", "w") as out:
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER, name],
                env={**self.environment, **environment},
                cwd=self.folder,
                start_new_session=True,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self.workers.append(process)
        return process

    def said(self, name="first"):
        return (self.folder / f"{name}.out").read_text()

    def notes(self, kind="start"):
        path = self.folder / "notes"
        lines = [line.split() for line in path.read_text().splitlines()] if path.exists() else []
        return [(int(attempt), int(pid)) for text, attempt, pid in lines if text == kind]

    def started(self, count=1, kind="start"):
        """The process of the latest start, once there were `count`."""
        return until(lambda: len(self.notes(kind)) >= count and self.notes(kind), "a start")[-1][1]

    def release(self):
        (self.folder / "release").touch()

    def state(self, run):
        return self.client.call(read_flow_run, run).state

    def ended(self, run, *types):
        def over():
            state = self.state(run)
            return state if state.type in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED") else None

        state = until(over, "the end of the run")
        assert state.type in types, state
        return state

    def launcher_of(self, worker):
        with open(f"/proc/{worker.pid}/task/{worker.pid}/children", encoding="utf-8") as file:
            return int(file.read().split()[0])

    def leases(self):
        with self.client.database.transaction(write=False) as tx:
            return tx.all("SELECT * FROM leases")

    def clean_up(self):
        self.release()
        for worker in self.workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGCONT)
                worker.kill()
            worker.wait()
        for _, pid in (*self.notes("start"), *self.notes("import")):
            until(lambda pid=pid: is_gone(pid), "the end of a run's process")
        self.client.close()


@pytest.fixture
def yard(home, tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    yard = Yard(folder, home)
    yield yard
    yard.clean_up()


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
    worker = yard.worker()
    do(yard, worker, yard.started())
    yard.worker("second")
    since = clock.now()
    yard.ended(run, "CRASHED")
    # Two leases, and the time that an interpreter of a busy machine needs to start.
    assert clock.now() - since < timedelta(seconds=2 * LEASE_SECONDS + 10)
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
    kill(yard.started(kind="import"))
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
        do(yard, worker, pid)
        until(lambda: is_gone(pid), "the end of the run's process")
    yard.worker("second")
    yard.ended(run, "COMPLETED")
    check_nothing_is_left(yard, run, starts=2)


def test_a_worker_stopped_past_its_lease_cannot_go_on_where_it_was(yard):
    run = yard.run(crash_retries=3)
    worker = yard.worker()
    pid = yard.started()
    worker.send_signal(signal.SIGSTOP)
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
        time.sleep(2 * LEASE_SECONDS)  # what is tested is that nothing happens in this time
    yard.release()
    yard.ended(run, "COMPLETED")
    check_nothing_is_left(yard, run, starts=1)


def status_of(yard, name):
    return {worker.name: worker.status for worker in yard.client.call(filter_workers, "pool")}[name]


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
    body = {"logs": {"flow_run_id": {"any_": [run]}}}

    def kept():
        return [
            log.message for log in call_filter(yard.client, filter_logs, body) if log.name == "runyard.stdout"
        ]

    assert until(kept, "the log") == ["working"]


def call_filter(client, operation, body):
    from runyard.operations.wire import hints

    return client.call(operation, hints(operation)["body"].model_validate(body))
