"""Runs that report their start and end through their worker, and runs or workers that do not answer."""

from __future__ import annotations

import os
import signal

import pytest
from _yard import a_yard, is_asleep, is_gone, logs_of, until

FLOWS = """
import json, os, signal, socket, time
from contextlib import suppress
from runyard import flow, task

def open_files():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            pass
    return found

@flow(name="work")
def lists():
    with open("files.part", "w") as file:
        json.dump(list(open_files().values()), file)
    os.rename("files.part", "files")

@flow(name="work")
def closes():
    os.closerange(3, 256)

@flow(name="work")
def sends(text: str, times: int = 1):
    for number, path in open_files().items():
        if path.startswith("socket:"):
            with socket.socket(fileno=os.dup(number)) as line, suppress(BrokenPipeError):
                line.sendall(text.encode() * times + b"\\n")

@task
def step():
    pass

def kills(flow, run, state):
    os.kill(os.getpid(), signal.SIGKILL)

@flow(name="work", on_completion=[kills])
def dies_after_its_end():
    step()

@flow(name="work")
def forks():
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "more.py").write_text(FLOWS)
        yield yard


def texts_of(yard, run):
    return [log.message for log in logs_of(yard, run) if log.name == "runyard.flow_runs"]


def test_a_run_that_needs_nothing_else_never_opens_the_database(yard):
    run = yard.run(entrypoint="more.py:lists")
    yard.worker()
    yard.ended(run, "COMPLETED")
    opened = (yard.folder / "files").read_text()
    assert "socket:" in opened
    assert "runyard.db" not in opened
    first, last = texts_of(yard, run)
    assert first.startswith("Beginning flow run")
    assert last == "Finished in state Completed()"


def test_a_run_in_an_interpreter_of_its_own_reports_by_itself(yard):
    run = yard.run(entrypoint="more.py:lists", job_variables={"env": {"PYTHONHASHSEED": "1"}})
    yard.worker()
    yard.ended(run, "COMPLETED")
    assert "runyard.db" in (yard.folder / "files").read_text()


@pytest.mark.parametrize("name", ["closes", "forks"])
def test_a_run_ends_whatever_its_code_does_with_the_line(yard, name):
    run = yard.run(entrypoint=f"more.py:{name}")
    yard.worker()
    yard.ended(run, "COMPLETED")
    assert len(texts_of(yard, run)) == 2


@pytest.mark.parametrize(
    ("text", "times"), [("no JSON", 1), ('{"number": 1}', 1), ("[]", 1), ("x", 5_000_000)]
)
def test_a_run_that_sends_nonsense_harms_nobody(yard, text, times):
    other = yard.run()
    yard.worker(limit=3)
    yard.started()
    run = yard.run(entrypoint="more.py:sends", text=text, times=times)
    yard.ended(run, "COMPLETED")
    assert yard.state(other).type == "RUNNING"
    yard.release()
    yard.ended(other, "COMPLETED")


def test_the_last_record_is_stored_with_the_end(yard):
    run = yard.run(entrypoint="more.py:dies_after_its_end")
    yard.worker()
    yard.ended(run, "COMPLETED")
    assert texts_of(yard, run)[-1] == "Finished in state Completed()"


def test_a_run_reports_for_no_other(yard):
    other = yard.run()
    yard.worker(limit=3)
    yard.started()
    state = '{"type": "FAILED", "name": "Failed", "message": null, "data": null, "state_details": {}}'
    body = f'{{"flow_run_id": "{other}", "attempt": 1, "state": {state}, "force": true}}'
    forged = f'{{"number": 7, "operation": "report_state", "body": {body}}}'
    run = yard.run(entrypoint="more.py:sends", text=forged)
    yard.ended(run, "COMPLETED")
    assert yard.state(other).type == "RUNNING"
    yard.release()
    yard.ended(other, "COMPLETED")


def test_what_a_run_has_sent_is_done_though_it_was_killed_before_the_answer(yard):
    run = yard.run()
    worker = yard.worker()
    process = yard.started()
    yard.stop_between_writes(worker)
    yard.release()
    until(lambda: yard.notes("end"), "the end of its function")
    # After its function there is nothing to wait for but the answer.
    until(lambda: is_asleep(process), "the report")
    os.kill(process, signal.SIGKILL)
    until(lambda: is_gone(process), "its end")
    worker.send_signal(signal.SIGCONT)
    yard.ended(run, "COMPLETED")
    assert texts_of(yard, run)[-1] == "Finished in state Completed()"


def test_a_run_whose_worker_is_stopped_reports_by_itself(yard):
    run = yard.run()
    worker = yard.worker()
    process = yard.started()
    yard.stop_between_writes(worker)
    yard.release()
    yard.ended(run, "COMPLETED")
    assert texts_of(yard, run)[-1] == "Finished in state Completed()"
    until(lambda: is_gone(process), "its end")
    worker.send_signal(signal.SIGCONT)
    until(lambda: "finished" in yard.said(), "the worker's word")
    assert yard.state(run).type == "COMPLETED"
    assert len(texts_of(yard, run)) == 2
    assert yard.leases() == []


def test_runs_wait_for_a_database_that_is_busy_and_their_records_are_stored_once(yard):
    yard.environment["RUNYARD_DATABASE_TIMEOUT_SECONDS"] = "1"
    worker = yard.worker(limit=3)
    runs = [yard.run() for _ in range(3)]
    yard.started(3)
    with yard.client.database.transaction():
        yard.release()
        until(lambda: "trying again" in yard.said() or "retrying" in yard.said(), "the outage")
    for run in runs:
        yard.ended(run, "COMPLETED")
        until(lambda run=run: len(texts_of(yard, run)) == 2, "the records")
    assert worker.poll() is None


def test_the_last_record_says_what_became_of_the_run(yard):
    run = yard.run()
    yard.worker()
    yard.started()
    yard.cancel(run)
    yard.ended(run, "CANCELLED")
    until(lambda: len(texts_of(yard, run)) > 1, "the record")
    assert [text for text in texts_of(yard, run) if text.startswith("Finished")] == [
        "Finished in state Cancelled('the run was cancelled')"
    ]
