"""`on_crashed` and `on_cancellation` are called for runs whose process could not call them any more."""

from __future__ import annotations

import os
import signal

import pytest
from _yard import DEADLINE_SECONDS, a_yard, logs_of, until
from runyard.operations.flow_runs.flow_runs import SetState, set_flow_run_state
from runyard.operations.schemas import StateCreate

FLOW = """
import os, signal, sys, time
from runyard import flow, runtime

def note(kind):
    def hook(flow, flow_run, state):
        print("calling", kind)
        with open("hooks", "a") as file:
            file.write(f"{kind} {flow.name} {flow_run.name} {state.name} {flow_run.parameters['how']} "
                       f"{flow_run.id == runtime.flow_run.id}\\n")
    return hook

def broken(flow, flow_run, state):
    raise ValueError("broken hook")

@flow(name="work", on_crashed=[broken, note("crashed")], on_cancellation=[note("cancelled")],
      on_failure=[note("failed")], on_completion=[note("completed")])
def work(how: str):
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "exit":
        os._exit(3)
    if how == "parent":
        os.kill(os.getppid(), signal.SIGKILL)
    if how == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with open("notes", "a") as file:
        file.write(f"start {os.environ['RUNYARD__ATTEMPT']} {os.getpid()}\\n")
    while not os.path.exists("release"):
        time.sleep(0.01)
"""


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "hooked.py").write_text(FLOW)
        yield yard


def hooks(yard):
    path = yard.folder / "hooks"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("how", ["kill", "exit", "parent"])
@pytest.mark.parametrize("variables", [{}, {"env": {"PYTHONUNBUFFERED": "1"}}])
def test_a_run_that_dies(yard, how, variables):
    run = yard.run(entrypoint="hooked.py:work", how=how, job_variables=variables)
    assert yard.worker(run_once=True).wait(DEADLINE_SECONDS) == 0
    assert yard.ended(run, "CRASHED")
    (line,) = hooks(yard)
    kind, flow, _name, state, parameter, same = line.split()
    assert (kind, flow, state, parameter, same) == ("crashed", "work", "Crashed", how, "True")
    messages = [record.message for record in logs_of(yard, run)]
    assert any("error was encountered while running hook 'broken'" in each for each in messages)
    assert any("broken hook" in each for each in messages)
    assert "calling crashed" in messages


def test_a_run_that_is_killed_for_not_stopping(yard):
    run = yard.run(entrypoint="hooked.py:work", how="stubborn")
    worker = yard.worker()
    yard.started()
    body = SetState(state=StateCreate(type="CANCELLING"))
    yard.client.call(set_flow_run_state, run, body)
    assert yard.ended(run, "CANCELLED")
    until(lambda: hooks(yard), "the hook")
    assert [line.split()[0] for line in hooks(yard)] == ["cancelled"]
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0


def test_a_run_that_stops_by_itself_calls_them_once(yard):
    run = yard.run(entrypoint="hooked.py:work", how="wait")
    worker = yard.worker(RUNYARD_WORKER_KILL_GRACE_SECONDS="60")
    yard.started()
    body = SetState(state=StateCreate(type="CANCELLING"))
    yard.client.call(set_flow_run_state, run, body)
    assert yard.ended(run, "CANCELLED")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert [line.split()[0] for line in hooks(yard)] == ["cancelled"]


@pytest.mark.parametrize("how", ["wait", "stubborn"])
def test_a_run_that_has_run_as_long_as_it_may(yard, how):
    run = yard.run(entrypoint="hooked.py:work", how=how, crash_retries=3, policies={"max_run_seconds": 0.5})
    worker = yard.worker()
    yard.started()
    ended = yard.ended(run, "FAILED")
    assert ended.name == "TimedOut"
    assert "maximum run time of 0.5 s (max_run_seconds)" in ended.message
    until(lambda: hooks(yard), "the hook")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert [line.split()[0] for line in hooks(yard)] == ["failed"]
    assert len(yard.notes()) == 1
    assert "has run for its max_run_seconds and is stopped" in yard.said()


def test_a_run_that_starts_again_has_not_crashed_for_good(yard):
    run = yard.run(entrypoint="hooked.py:work", how="wait", crash_retries=1)
    worker = yard.worker()
    os.kill(yard.started(), signal.SIGKILL)
    yard.started(2)
    assert hooks(yard) == []
    yard.release()
    assert yard.ended(run, "COMPLETED")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert [line.split()[0] for line in hooks(yard)] == ["completed"]


def test_a_command_of_the_user_is_not_run_again(yard):
    command = "sh -c 'echo run >> commands; exit 4'"
    run = yard.run(entrypoint="hooked.py:work", how="wait", job_variables={"command": command})
    assert yard.worker(run_once=True).wait(DEADLINE_SECONDS) == 0
    assert yard.ended(run, "CRASHED")
    assert (yard.folder / "commands").read_text() == "run\n"
    assert hooks(yard) == []


def test_hooks_that_do_not_end_do_not_hold_a_worker_that_is_stopped(yard):
    code = FLOW.replace('print("calling", kind)', "note_start(); time.sleep(600)").replace(
        "@flow(", "def note_start():\n    open('in-hook', 'w').close()\n\n@flow(", 1
    )
    (yard.folder / "slow.py").write_text(code)
    yard.run(entrypoint="slow.py:work", how="kill")
    worker = yard.worker()
    until((yard.folder / "in-hook").exists, "the hook")
    worker.send_signal(signal.SIGTERM)
    until(lambda: "second signal" in yard.said(), "the first signal")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0
