"""Flows in processes of their own: scripts killed, interrupted, stopped, cancelled, and claimed runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from runyard.operations.flow_runs.flow_runs import SetState, set_flow_run_state
from runyard.operations.recovery.recover_flow_runs import RecoverRequest, recover
from runyard.operations.schemas import StateCreate

SCRIPT = """
import asyncio, sys, time
from runyard import flow, task

def told(name):
    return lambda flow, flow_run, state: open(f"hook-{name}", "w").close()

@task
def step(): pass

@flow(on_cancellation=[told("cancelled")], on_crashed=[told("crashed")])
def waits():
    step()
    open("ready", "w").close()
    while True:
        time.sleep(0.01)

@flow(on_cancellation=[told("cancelled")], on_crashed=[told("crashed")])
async def waits_async():
    open("ready", "w").close()
    while True:
        await asyncio.sleep(0.01)

if __name__ == "__main__":
    asyncio.run(waits_async()) if sys.argv[1:] == ["async"] else waits()
"""


def until(condition, what):
    deadline = time.monotonic() + 60
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.01)
    return value


@contextmanager
def script(folder, *arguments, **settings):
    """A running script whose flow has begun."""
    (folder / "script.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "script.py", *arguments],
        cwd=folder,
        env={**os.environ, **settings},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: (folder / "ready").exists() or process.poll() is not None, "the flow's start")
        yield process
    finally:
        process.kill()
        process.communicate()


def ended(recorded):
    (run,) = recorded.flow_runs()
    return run


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_stopped_script_reports_its_crash(recorded, tmp_path, kind):
    with script(tmp_path, kind) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
    run = ended(recorded)
    assert run["state_type"] == "CRASHED"
    assert "termination signal" in recorded.state(run)["message"]
    assert (tmp_path / "hook-crashed").exists()
    assert recorded.rows("SELECT * FROM leases") == []


def test_an_interrupted_script_reports_its_crash(recorded, tmp_path):
    with script(tmp_path) as process:
        process.send_signal(signal.SIGINT)
        assert process.wait(60) != 0
    run = ended(recorded)
    assert run["state_type"] == "CRASHED"
    assert "interrupt" in recorded.state(run)["message"]


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_cancelled_script_stops_by_itself(recorded, tmp_path, kind):
    with script(tmp_path, kind, RUNYARD_FLOW_LEASE_SECONDS="0.6") as process:
        body = SetState(state=StateCreate(type="CANCELLING"))
        recorded.client.call(set_flow_run_state, ended(recorded)["id"], body)
        process.wait(60)
    assert ended(recorded)["state_type"] == "CANCELLED"
    assert (tmp_path / "hook-cancelled").exists()
    assert not (tmp_path / "hook-crashed").exists()


def test_a_killed_script_is_found_by_its_lease(recorded, tmp_path):
    with script(tmp_path, RUNYARD_FLOW_LEASE_SECONDS="0.6") as process:
        until(lambda: recorded.task_runs("step"), "the first record")
        recorded.client.call(recover, RecoverRequest())
        assert ended(recorded)["state_type"] == "RUNNING"
        process.kill()
        process.wait(60)

    def crashed():
        recorded.client.call(recover, RecoverRequest())
        return ended(recorded)["state_type"] == "CRASHED"

    until(crashed, "the crash")
    assert recorded.rows("SELECT * FROM leases") == []


def test_a_living_script_keeps_its_lease(recorded, tmp_path):
    with script(tmp_path, RUNYARD_FLOW_LEASE_SECONDS="0.6"):

        def expiry():
            return recorded.rows("SELECT expires FROM leases")[0]["expires"]

        first = expiry()
        until(lambda: expiry() > first, "a renewal")
        recorded.client.call(recover, RecoverRequest())
        assert ended(recorded)["state_type"] == "RUNNING"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_script_that_cannot_record_its_end_stops_all_the_same(recorded, tmp_path, number):
    # Another process that holds the write lock for good refuses every write, as a full disk does.
    held = recorded.client.database.transaction
    with script(tmp_path, RUNYARD_DATABASE_TIMEOUT_SECONDS="0.1") as process, held():
        process.send_signal(number)
        assert process.wait(60) != 0
    assert ended(recorded)["state_type"] == "RUNNING"
