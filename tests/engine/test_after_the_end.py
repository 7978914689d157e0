"""What a process does after its run is over, hooks and the like, is not cut short by the run's lease."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from _yard import DEADLINE_SECONDS, a_yard, until
from runyard.operations.flow_runs.flow_runs import SetState, set_flow_run_state
from runyard.operations.schemas import StateCreate

HOOK = """
import time
from runyard import flow

def slow(flow, flow_run, state):
    time.sleep({seconds})
    open("hooked", "a").write(state.name)

@flow(on_completion=[slow], on_failure=[slow])
def hooked(fail: bool = False):
    if fail:
        raise ValueError("no")
"""
MANY = """
from runyard import flow

@flow
def short():
    pass

for _ in range(200):
    short()
"""


def script(folder, text, lease_seconds):
    (folder / "script.py").write_text(text)
    environment = {**os.environ, "RUNYARD_FLOW_LEASE_SECONDS": str(lease_seconds)}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, (done.returncode, done.stderr)


def test_hooks_of_a_script_take_longer_than_its_lease(home, tmp_path):
    script(tmp_path, HOOK.format(seconds=1) + "\nhooked()\nhooked(True, return_state=True)\n", 0.2)
    assert (tmp_path / "hooked").read_text() == "CompletedFailed"


def test_a_lease_that_is_renewed_while_the_run_ends(home, tmp_path):
    # Renewed every 33 ms, with the shortest lease: some renewal falls between a report and its answer.
    script(tmp_path, MANY, 0.1)


def test_hooks_of_a_claimed_run_take_longer_than_many_heartbeats(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "hooks.py").write_text(HOOK.format(seconds=3))
        run = yard.run(entrypoint="hooks.py:hooked")
        assert yard.worker(run_once=True, RUNYARD_WORKER_HEARTBEAT_SECONDS="0.2").wait(DEADLINE_SECONDS) == 0
        assert yard.state(run).type == "COMPLETED"
        assert (yard.folder / "hooked").read_text() == "Completed"
        assert "killed" not in yard.said()


@pytest.mark.parametrize("state", ["CANCELLED", "FAILED"])
def test_a_run_that_somebody_else_ended_is_killed(home, tmp_path, state):
    with a_yard(tmp_path) as yard:
        run = yard.run(stubborn=True)
        yard.worker(RUNYARD_WORKER_HEARTBEAT_SECONDS="0.2")
        pid = yard.started()
        yard.client.call(set_flow_run_state, run, SetState(state=StateCreate(type=state), force=True))
        until(lambda: not os.path.exists(f"/proc/{pid}"), "the end of the process")
        assert yard.notes("end") == []
