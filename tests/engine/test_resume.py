"""A run that starts again does not do again what it had completed: retried, resumed, killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest
from _yard import a_yard
from runyard import flow, task
from runyard.base.errors import Conflict, MissingResult
from runyard.engine.entry import run_again
from runyard.operations.flow_runs.flow_runs import read_flow_run

# Each step notes that it was run, for good, before it returns.
SCRIPT = """
import os, sys, time
from runyard import flow, task

def note(text):
    file = os.open("effects", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, f"{text}\\n".encode())
    os.close(file)

# After so many steps this process waits to be killed, however late that is.
left = int(os.environ.get("STEPS", 1_000_000))

@task
def step(number):
    global left
    left -= 1
    while left < 0:
        time.sleep(0.01)
    time.sleep(0.002)  # its work: long enough to be killed in
    note(number)
    return number

@flow
def part(first):
    return [step(number) for number in range(first, first + 10)]

@flow(name="work", persist_result=True)
def work():
    numbers = [number for first in range(0, 100, 10) for number in part(first)]
    assert numbers == list(range(100)), numbers
    note("end")

@flow(name="dies", persist_result=True)
def dies():
    import random, signal, threading
    def kill():
        time.sleep(random.uniform(0.0, 0.03))
        os.kill(os.getpid(), signal.SIGKILL)
    if not os.path.exists("enough"):
        threading.Thread(target=kill, daemon=True).start()
    work.fn()

if __name__ == "__main__":
    work()
"""


def effects(folder):
    path = folder / "effects"
    return path.read_text().split() if path.exists() else []


def check(done, kills):
    """Every step once; what was in hand when the process was killed may have been done just before."""
    assert [one for at, one in enumerate(done) if one not in done[:at]] == [
        *(str(number) for number in range(100)), "end"
    ]  # fmt: skip
    repeated = [at for at, one in enumerate(done) if one in done[:at]]
    assert len(repeated) <= kills
    # What was repeated is the very step that was in hand: the one before it, and not yet returned.
    assert all(done[at] == done[at - 1] for at in repeated), done


def test_a_killed_script_is_retried_without_what_it_had_done(home, tmp_path, recorded):
    (tmp_path / "work.py").write_text(SCRIPT)
    environment = {**os.environ, "RUNYARD_FLOW_LEASE_SECONDS": "0.3", "RUNYARD_LOGGING_LEVEL": "ERROR"}
    command = [sys.executable, "work.py"]
    kills, deadline = 0, time.monotonic() + 120
    while time.monotonic() < deadline:
        before = len(effects(tmp_path))
        process = subprocess.Popen(
            command,
            cwd=tmp_path,
            env={**environment, **({"STEPS": "20"} if kills < 4 else {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        # Killed after some more steps, and a random instant.
        while kills < 4 and process.poll() is None and len(effects(tmp_path)) < before + 12:
            time.sleep(0.001)
        if kills < 4 and process.poll() is None:
            time.sleep(random.uniform(0, 0.01))
            process.send_signal(signal.SIGKILL)
        _, said = process.communicate()
        if process.returncode == -signal.SIGKILL:
            kills += 1
        elif process.returncode == 0:
            break
        else:
            assert "only an ended run" in said, said  # its lease has not run out yet
            time.sleep(0.05)
        (run,) = recorded.flow_runs("work")
        command = [
            sys.executable, "-m", "runyard", "flow-run", "retry", run["id"], "--entrypoint", "work.py:work"
        ]  # fmt: skip
    assert kills == 4
    check(effects(tmp_path), kills)


def test_a_worker_goes_on_with_a_killed_run_where_it_was(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "work.py").write_text(SCRIPT)
        run = yard.run(crash_retries=1000, entrypoint="work.py:dies")
        stop = threading.Timer(10, lambda: (yard.folder / "enough").touch())
        stop.start()
        yard.worker()
        yard.ended(run, "COMPLETED")
        stop.cancel()
        kills = yard.client.call(read_flow_run, run).run_count - 1
        check(effects(yard.folder), kills)


def test_a_flow_retried_by_its_policy_keeps_what_it_has(home):
    calls = []

    @task(persist_result=True)
    def step(number):
        calls.append(number)
        return number

    @task
    def forgets():
        calls.append("forgets")

    @flow(retries=2)
    def main():
        step(1)
        forgets()
        step(2)
        if calls.count("forgets") < 3:
            raise ValueError("once")

    main()
    assert calls == [1, "forgets", 2, "forgets", "forgets"]


def test_a_subflow_that_completed_is_not_run_again(home, recorded):
    calls = []

    @flow
    def inner(number):
        calls.append(number)
        return number

    @flow(persist_result=True)
    def main():
        numbers = [inner(1), inner(1), inner(2)]
        if recorded.flow_runs("main")[0]["run_count"] == 1:
            raise ValueError("once")
        return numbers

    with pytest.raises(ValueError, match="once"):
        main()
    state = run_again(main, recorded.flow_runs("main")[0]["id"], {})
    assert state.result() == [1, 1, 2]
    assert calls == [1, 1, 2]


def test_other_code_runs_again(home, recorded):
    calls = []

    def made(text):
        source = f"def step(x):\n    {text}\n    return x\n"
        names = {"calls": calls}
        exec(source, names)
        return task(persist_result=True)(names["step"])

    current = [made("calls.append('old')")]

    @flow
    def main():
        current[0](1)
        if len(calls) == 1:
            raise ValueError("once")

    with pytest.raises(ValueError, match="once"):
        main()
    current[0] = made("calls.append('new'); calls.append('newer')")
    run_again(main, recorded.flow_runs()[0]["id"], {})
    assert calls == ["old", "new", "newer"]


def test_a_run_that_is_not_over_cannot_start_again(home, recorded):
    @flow
    def main():
        with pytest.raises(Conflict, match="is Running; only an ended run"):
            run_again(main, recorded.flow_runs()[0]["id"], {})

    main()


def test_a_completed_run_can_be_run_again(home, recorded):
    calls = []

    @flow(persist_result=True)
    def main():
        calls.append(1)
        return len(calls)

    assert main() == 1
    run_id = recorded.flow_runs()[0]["id"]
    assert run_again(main, run_id, {}).result() == 2
    assert recorded.client.call(read_flow_run, run_id).state.to_state().result() == 2


def test_a_result_is_found_by_its_state_from_another_process(home, recorded, tmp_path):
    @task(result_storage=tmp_path / "results", result_serializer="json")
    def stored():
        return {"x": 1}

    @task(persist_result=True)
    def large():
        return b"x" * 200_000

    @flow(persist_result=True)
    def main():
        stored()
        large()
        return [1, 2]

    @flow
    def forgets():
        return 1

    main()
    forgets()
    rows = [recorded.flow_runs("main")[0], *recorded.task_runs()]
    states = [recorded.state(row) for row in rows]
    code = (
        "import json, sys; from runyard.domain.states import State\n"
        "print([len(repr(State.from_json(body).result())) for body in json.load(sys.stdin)])"
    )
    import json

    answer = subprocess.run(
        [sys.executable, "-c", code], input=json.dumps(states), capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == str([len("[1, 2]"), len("{'x': 1}"), 200_003])
    assert list((home / "storage").iterdir())
    with pytest.raises(MissingResult, match="persist_result=True"):
        recorded.client.call(read_flow_run, recorded.flow_runs("forgets")[0]["id"]).state.to_state().result()


def test_the_setting_turns_it_on(home, monkeypatch):
    monkeypatch.setenv("PREFECT_RESULTS_PERSIST_BY_DEFAULT", "true")
    calls = []

    @task
    def step():
        calls.append(1)

    @flow(retries=1)
    def main():
        step()
        if len(calls) < 1 or (not calls.append(2) and calls.count(2) < 2):
            raise ValueError("once")

    main()
    assert calls.count(1) == 1
