"""Doubt waits, proof acts: workers that are killed, stopped or cut off, and clocks that jump."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta

import pytest
from _tools import need
from _yard import TAKEOVER_SECONDS, a_yard, is_gone, logs_of, until
from runyard.base import clock
from runyard.operations.schemas import Listing

# What is tested with this setting can only happen by a proof.
NEVER = "3600"


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        yield yard


def test_a_worker_that_is_gone_is_taken_over_at_once(yard):
    run = yard.run(crash_retries=1)
    worker = yard.worker(RUNYARD_TAKEOVER_AFTER_SECONDS=NEVER)
    yard.started()
    worker.kill()
    worker.wait()
    yard.worker("second", RUNYARD_TAKEOVER_AFTER_SECONDS=NEVER)
    yard.started(2)
    yard.release()
    yard.ended(run, "COMPLETED")


def test_what_a_stopped_launcher_left_is_ended_before_the_next_attempt(yard):
    run = yard.run(crash_retries=1)
    worker = yard.worker(RUNYARD_TAKEOVER_AFTER_SECONDS=NEVER)
    pid = yard.started()
    launcher = yard.launcher_of(worker)
    os.kill(launcher, signal.SIGSTOP)
    worker.kill()
    worker.wait()
    assert not is_gone(pid)
    yard.worker("second", RUNYARD_TAKEOVER_AFTER_SECONDS=NEVER)
    yard.started(2)
    assert is_gone(pid)
    assert is_gone(launcher)
    yard.release()
    yard.ended(run, "COMPLETED")


def test_a_worker_that_is_stopped_for_a_while_keeps_its_runs(yard):
    run = yard.run()
    worker = yard.worker(RUNYARD_TAKEOVER_AFTER_SECONDS=NEVER)
    yard.started()
    yard.stop_between_writes(worker)
    other = yard.worker("second", RUNYARD_TAKEOVER_AFTER_SECONDS=NEVER)
    later = yard.run()
    yard.started(2)
    worker.send_signal(signal.SIGCONT)
    yard.release()
    yard.ended(run, "COMPLETED")
    yard.ended(later, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1, 1]
    assert other.poll() is None


def test_a_script_that_is_killed_is_crashed_at_once(yard):
    code = "import flows; flows.work()"
    environment = {**yard.environment, "RUNYARD__ATTEMPT": "1"}
    script = subprocess.Popen([sys.executable, "-c", code], cwd=yard.folder, env=environment)
    try:
        until(lambda: yard.notes(), "the start")
    finally:
        script.kill()
        script.wait()
    yard.worker(RUNYARD_TAKEOVER_AFTER_SECONDS=NEVER)
    until(lambda: not yard.leases(), "the end of its lease")


@pytest.mark.parametrize("choice", ["stop", "continue"])
def test_a_worker_that_cannot_renew(yard, api_server, choice):
    """Cut off from the API while the database itself is there for others."""
    from _api import no_database

    database = yard.client.database
    api_server.use(database)
    try:
        run = yard.run(crash_retries=1)
        yard.worker(RUNYARD_API_URL=api_server.url, RUNYARD_ON_PARTITION=choice)
        pid = yard.started()
        api_server.use(no_database())
        since = clock.boot_seconds()
        if choice == "stop":
            until(lambda: is_gone(pid), "the end of the run's process")
            # Before others may take it over; and nobody has.
            assert len(yard.leases()) == 1
        else:
            until(lambda: clock.boot_seconds() - since > TAKEOVER_SECONDS, "the end of the time")
            assert not is_gone(pid)
        api_server.use(database)
        if choice == "stop":
            yard.started(2)
        yard.release()
        yard.ended(run, "COMPLETED")
        assert [attempt for attempt, _ in yard.notes()] == ([1, 2] if choice == "stop" else [1])
    finally:
        api_server.use(no_database())


@pytest.fixture
def wall(tmp_path):
    """A function that sets the wall clock of the workers that get its environment."""
    library = need("faketime")
    file = tmp_path / "clock"

    def put(offset):
        (tmp_path / "new").write_text(offset + "\n")
        (tmp_path / "new").replace(file)

    put("+0")
    put.environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    return put


@pytest.mark.parametrize("offset", ["+3600", "-3600"])
def test_a_clock_that_jumps_kills_nothing_and_makes_nothing_late(yard, wall, offset):
    yard.environment |= wall.environment
    (yard.folder / "flows.py").write_text(
        (yard.folder / "flows.py")
        .read_text()
        .replace("time.sleep(0.01)", "select.select([], [], [], 0.01)")
        .replace("import os, signal, time", "import os, select, signal, time")
    )
    runs = [yard.run() for _ in range(3)]
    yard.worker(limit=1)
    yard.worker("second", limit=1)
    yard.started(2)
    wall(offset)
    # Both have looked by their new clocks; the third run waits for one of them.
    seen = len(yard.heartbeats())
    until(lambda: len(yard.heartbeats()) >= seen + 4, "the next signs of life")
    yard.release()
    for run in runs:
        yard.ended(run, "COMPLETED")
    assert sorted(attempt for attempt, _ in yard.notes()) == [1, 1, 1]


def test_a_worker_whose_clock_is_ahead_steals_nothing(yard, wall):
    run = yard.run(crash_retries=1)
    yard.worker()
    yard.started()
    wall("+600")
    yard.worker("second", **wall.environment)
    other = yard.run()
    yard.started(2)
    seen = len(yard.heartbeats())
    until(lambda: len(yard.heartbeats()) >= seen + 4, "the next signs of life")
    yard.release()
    yard.ended(run, "COMPLETED")
    yard.ended(other, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1, 1]


TIMED = """
import os
from runyard import flow, get_run_logger, task

@task
def step():
    get_run_logger().info("in the task")

@flow(name="work")
def work():
    print("printed by the flow")
    os.write(1, b"written\\n")
    step()
    step.submit().result()
    get_run_logger().info("at the end")
"""


@pytest.mark.parametrize("offset", ["+3600", "-3600"])
def test_what_a_machine_whose_clock_is_wrong_records_is_told_in_the_servers_time(
    yard, wall, api_server, offset
):
    from runyard.operations.flow_runs import flow_runs
    from runyard.operations.task_runs import task_runs

    api_server.use(yard.client.database)
    (yard.folder / "timed.py").write_text(TIMED)
    wall(offset)
    began = clock.now()
    run = yard.run(entrypoint="timed.py:work")
    yard.worker(RUNYARD_API_URL=api_server.url, **wall.environment)
    yard.ended(run, "COMPLETED")
    records = until(
        lambda: (
            len(found := logs_of(yard, run)) >= 4
            and any("written" in each.message for each in found)
            and found
        ),
        "its records",
    )
    over = clock.now()
    its = yard.client.call(flow_runs.read_flow_run, run)
    moments = [its.start_time, its.end_time, *(record.timestamp for record in records)]
    for each in yard.client.call(task_runs.filter_task_runs, Listing()):
        moments += [each.start_time, each.end_time]
    margin = timedelta(seconds=2)
    assert all(began - margin < moment < over + margin for moment in moments), (moments, began, over)
    assert its.start_time <= its.end_time
