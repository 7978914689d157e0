"""What proves that the holder of runs is dead, with real processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from runyard.base import machine
from runyard.engine import death_proofs

pytestmark = pytest.mark.skipif(machine.place() is None, reason="this system does not tell of its processes")

SLEEP = [sys.executable, "-S", "-c", "import time; time.sleep(600)"]
# A process with a child in a group of its own, as a launcher has its runs.
LAUNCHER = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], start_new_session=True)
print(child.pid, flush=True)
time.sleep(600)
"""


def until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def processes():
    started = []

    def start(command=SLEEP):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


def proof_of(process, launcher=None, **other):
    facts = {"kind": "process", "boot": machine.boot_id(), "pids": machine.pid_namespace()}
    facts["worker"] = [process.pid, machine.started(process.pid)]
    if launcher is not None:
        facts["launcher"] = [launcher.pid, machine.started(launcher.pid)]
    return json.dumps({**facts, **other})


def test_this_process_is_known_by_its_own_proof():
    place, proof = machine.identity()
    assert place in death_proofs.places()
    assert json.loads(proof)["worker"] == [os.getpid(), machine.started(os.getpid())]
    assert not death_proofs.is_dead(proof, overdue=False)


def test_a_killed_process_is_dead_even_before_it_is_reaped(processes):
    process = processes()
    proof = proof_of(process)
    assert not death_proofs.is_dead(proof, overdue=True)
    process.kill()
    until(lambda: death_proofs.is_dead(proof, overdue=False))


def test_another_process_with_the_same_number_is_another_one(processes):
    process = processes()
    assert death_proofs.is_dead(proof_of(process, worker=[process.pid, 1]), overdue=False)


def test_who_was_there_before_the_machine_started_anew_is_dead(processes):
    assert death_proofs.is_dead(proof_of(processes(), boot="another"), overdue=False)


@pytest.mark.parametrize("other", [{"pids": "another"}, {"kind": "container"}])
def test_what_cannot_be_judged_is_not_dead(processes, other):
    process = processes()
    proof = proof_of(process, **other)
    process.kill()
    process.wait()
    assert not death_proofs.is_dead(proof, overdue=True)


@pytest.mark.parametrize("text", ["", "[]", "null", "{}", "{"])
def test_a_proof_that_is_none_proves_nothing(text):
    assert not death_proofs.is_dead(text, overdue=True)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_launcher_whose_worker_is_gone_is_ended_with_its_runs(processes, stopped):
    worker, launcher = processes(), processes([sys.executable, "-S", "-c", LAUNCHER])
    run = int(launcher.stdout.readline())
    began = machine.started(run)
    proof = proof_of(worker, launcher)
    if stopped:
        launcher.send_signal(signal.SIGSTOP)
    assert not death_proofs.is_dead(proof, overdue=False)
    assert machine.is_alive(run, began)
    worker.kill()
    worker.wait()
    assert death_proofs.is_dead(proof, overdue=False)
    assert not machine.is_alive(run, began)


def test_a_worker_that_renews_no_more_loses_its_runs_but_lives(processes):
    worker, launcher = processes(), processes([sys.executable, "-S", "-c", LAUNCHER])
    run = int(launcher.stdout.readline())
    began = machine.started(run)
    worker.send_signal(signal.SIGSTOP)
    assert death_proofs.is_dead(proof_of(worker, launcher), overdue=True)
    assert not machine.is_alive(run, began)
    assert worker.poll() is None


def test_another_kind_brings_its_own_judge(monkeypatch):
    monkeypatch.setattr(death_proofs, "_JUDGES", dict(death_proofs._JUDGES))
    monkeypatch.setattr(death_proofs, "_more_places", [])
    death_proofs.add("container", "engine one", lambda facts, overdue: facts["id"] == "gone")
    assert "engine one" in death_proofs.places()
    assert death_proofs.is_dead('{"kind": "container", "id": "gone"}', overdue=False)
    assert not death_proofs.is_dead('{"kind": "container", "id": "there"}', overdue=False)
