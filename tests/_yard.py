"""A temporary installation with real workers, for tests that start and kill processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

from runyard.client import LocalClient
from runyard.operations.deployments.deployments import (
    DeploymentApply,
    DeploymentFlowRunCreate,
    DeploymentsApply,
    apply_deployments,
)
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.flow_runs import SetState, read_flow_run, set_flow_run_state
from runyard.operations.records.logs import LogListing, filter_logs
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool
from runyard.operations.work_pools.workers import WorkerListing, filter_workers

LEASE_SECONDS = 2.0
# After that a worker in doubt loses its runs; long enough for a machine that is busy.
TAKEOVER_SECONDS = 5.0
DEADLINE_SECONDS = 120.0

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

@flow(name="work", retries=1)
def dies_then_fails():
    note("start")
    starts = len(open("notes").readlines())
    if starts == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if starts == 2:
        raise ValueError("once")
"""
WORKER = """
import json, sys
from runyard.errors import RunyardError
from runyard.workers.worker import start_worker
from runyard.workers.worker_options import WorkerOptions

def open_run_api(database, also_at):
    from runyard.server.worker_api import RunApi
    return RunApi(database, also_at)

try:
    sys.exit(start_worker(WorkerOptions(**json.loads(sys.argv[1])), open_run_api))
except RunyardError as error:
    sys.exit(str(error))
"""


def until(condition, what="it"):
    """Wait for `condition`; return its first true value."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.01)
    return value


def _state_of(pid, thread=""):
    try:
        with open(f"/proc/{pid}{thread}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def is_gone(pid):
    return _state_of(pid) in "ZX"


def is_asleep(pid):
    return _state_of(pid) == "S"


def stop_between_writes(process, database):
    """Send SIGSTOP, but not while the process holds the database's lock, which would block every writer."""
    threads = f"/proc/{process.pid}/task"
    with database.transaction():
        process.send_signal(signal.SIGSTOP)
        # Each of its threads: one may be in the midst of asking for the lock.
        until(
            lambda: all(_state_of(process.pid, f"/task/{thread}") in "TX" for thread in os.listdir(threads)),
            "the stop",
        )


class Yard:
    """A home with a pool, a deployment, and the workers that a test starts."""

    pool_type = "process"

    def __init__(self, folder):
        self.folder = folder
        self.client = LocalClient()
        self.workers = []
        self._heartbeats = set()
        self.environment = {
            **os.environ,
            "RUNYARD_WORKER_LEASE_SECONDS": str(LEASE_SECONDS),
            "RUNYARD_TAKEOVER_AFTER_SECONDS": str(TAKEOVER_SECONDS),
            "RUNYARD_WORKER_HEARTBEAT_SECONDS": "1",
            "RUNYARD_WORKER_KILL_GRACE_SECONDS": "1",
        }
        (folder / "flows.py").write_text(FLOWS)
        self.client.call(create_work_pool, WorkPoolCreate(name="pool", type=self.pool_type))

    def job_variables(self):
        """Of the deployment."""
        return {}

    def run(
        self, crash_retries=0, entrypoint="flows.py:work", job_variables=None, policies=None, **parameters
    ):
        """Deploy the flow and create a run of it."""
        deployment = DeploymentApply(
            name="crash",
            flow_name="work",
            entrypoint=entrypoint,
            path=str(self.folder),
            work_pool_name="pool",
            crash_retries=crash_retries,
            job_variables=self.job_variables(),
            **(policies or {}),
        )
        body = DeploymentsApply(deployments=[deployment], owner="test")
        deployed = self.client.call(apply_deployments, body)[0].deployment
        body = DeploymentFlowRunCreate(parameters=parameters, job_variables=job_variables)
        return self.client.call(create_flow_run_from_deployment, deployed.id, body).id

    def worker(self, name="first", **options):
        """Start a worker; upper-case options are its environment."""
        environment = {key: options.pop(key) for key in list(options) if key.isupper()}
        arguments = json.dumps({"pool": "pool", "name": name, "limit": 2, **options})
        with open(self.folder / f"{name}.out", "w") as out:
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", WORKER, arguments],
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
        """The process of the latest start, once there were `count` starts."""
        return until(lambda: len(self.notes(kind)) >= count and self.notes(kind), "a start")[-1][1]

    def release(self):
        (self.folder / "release").touch()

    def state(self, run):
        return self.client.call(read_flow_run, run).state

    def is_running(self, run):
        """Whether the code of a run is running."""
        return self.state(run).type == "RUNNING" and self.notes()

    def cancel(self, run):
        state = StateCreate(type="CANCELLING")
        self.client.call(set_flow_run_state, run, SetState(state=state, force=False))

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

    def stop_between_writes(self, process):
        """See the function."""
        stop_between_writes(process, self.client.database)

    def heartbeats(self):
        """The heartbeats seen so far, by repeated calls."""
        with self.client.database.transaction(write=False) as tx:
            rows = tx.all("SELECT name, last_heartbeat_time AS moment FROM workers")
        self._heartbeats |= {(row["name"], row["moment"]) for row in rows}
        return self._heartbeats

    def leases(self):
        with self.client.database.transaction(write=False) as tx:
            return tx.all("SELECT * FROM leases")

    def end_engine(self):
        """End the yard's additional processes."""

    def clean_up(self):
        self.release()
        for worker in self.workers:
            if worker.poll() is None:
                os.killpg(worker.pid, signal.SIGCONT)
                worker.kill()
            worker.wait()
        self.end_engine()
        for _, pid in (*self.notes("start"), *self.notes("import")):
            until(lambda pid=pid: is_gone(pid), "the end of a run's process")
        self.client.close()


@contextmanager
def a_yard(tmp_path, kind=Yard):
    """A yard in its own folder; at the end none of its processes is left."""
    folder = tmp_path / "project"
    folder.mkdir()
    yard = kind(folder)
    try:
        yield yard
    finally:
        yard.clean_up()


def status_of(yard, name):
    """ONLINE or OFFLINE of a worker; None before its first heartbeat."""
    workers = yard.client.call(filter_workers, "pool", WorkerListing())
    return next((worker.status for worker in workers if worker.name == name), None)


def logs_of(yard, run):
    """The log records of a run."""
    return yard.client.call(filter_logs, LogListing(logs={"flow_run_id": {"any_": [run]}}))
