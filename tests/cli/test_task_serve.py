"""`runyard task serve` and `runyard flow serve`: processes that run what others ask for."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from runyard.client import LocalClient
from runyard.deployments.loading.loading import load_tasks
from runyard.operations.deployments.deployments import find_deployment

WAIT_SECONDS = 60
TASKS = """
from runyard import flow, task

@task
def double(number):
    return number * 2

@task
def shout(text):
    return text.upper()

@flow
def work(name: str = "x"):
    print("working for", name)
    open(f"done-{name}", "w").close()
"""


@pytest.fixture
def folder(home, tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "jobs.py").write_text(TASKS)
    (folder / "shop").mkdir()
    (folder / "shop" / "__init__.py").write_text("")
    (folder / "shop" / "stock.py").write_text(
        "from runyard import task\n\n@task\ndef count():\n    return 7\n"
    )
    monkeypatch.chdir(folder)
    yield folder
    for name in ("jobs", "shop", "shop.stock"):
        sys.modules.pop(name, None)


@pytest.fixture
def program_that_serves(folder):
    """Starts a command that serves until it is stopped by Ctrl-C; gives the process."""
    started = []

    def start(*words):
        process = subprocess.Popen(
            [sys.executable, "-m", "runyard_cli.main", *words],
            cwd=folder,
            env=dict(os.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        line = process.stdout.readline()
        assert "erv" in line, line + process.stdout.read()
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


def stop(process):
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=WAIT_SECONDS)[0]
    assert process.returncode == 0, said
    return said


def test_tasks_of_several_files(folder, program_that_serves):
    (double,), (count,) = load_tasks("jobs.py:double"), load_tasks("shop.stock.count")
    futures = [double.delay(21), count.delay()]
    process = program_that_serves("task", "serve", "jobs.py:double", "shop.stock:count", "--limit", "2")
    assert [future.result(timeout=WAIT_SECONDS) for future in futures] == [42, 7]
    assert "Stopped serving" in stop(process)


def test_all_tasks_of_a_file_and_of_a_module(folder, program_that_serves):
    tasks = {task.name: task for task in load_tasks("jobs.py")}
    assert set(tasks) == {"double", "shout"}
    (count,) = load_tasks("shop.stock.count")
    futures = [tasks["shout"].delay("hi"), tasks["double"].delay(1), count.delay()]
    process = program_that_serves("task", "serve", "jobs.py", "--module", "shop.stock")
    assert [future.result(timeout=WAIT_SECONDS) for future in futures] == ["HI", 2, 7]
    stop(process)


def test_tasks_beside_a_worker(folder, program, program_that_serves):
    program("work-pool", "create", "served", "--type", "process")
    (double,), (shout,) = load_tasks("jobs.py:double"), load_tasks("jobs.py:shout")
    futures = [double.delay(4), shout.delay("ho")]
    process = program_that_serves(
        "worker", "start", "--pool", "served", "--task", "jobs.py:double", "--task", "jobs.py:shout"
    )
    assert [future.result(timeout=WAIT_SECONDS) for future in futures] == [8, "HO"]
    assert "stopped!" in stop(process)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["jobs.py:doubl"], "did you mean 'double'"),
        (["jobs.py:work"], "not a task; decorate it with @task"),
        (["missing.py:double"], "missing.py not found"),
        (["--module", "shop"], "no function decorated with @task"),
    ],
)
def test_what_cannot_be_served(folder, program, words, said):
    answer = program("task", "serve", *words, code=1, cwd=folder)
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_nothing_to_serve_is_a_wrong_call(runyard):
    assert "FILE.py" in runyard("task", "serve", code=2).err


def test_a_flow_is_served_by_its_file(folder, program_that_serves, program):
    timing = ("--interval", "1h30m", "--timezone", "Asia/Tokyo", "--anchor-date", "2026-01-01T09:00")
    process = program_that_serves("flow", "serve", "jobs.py:work", "--name", "here", *timing)
    program("deployment", "run", "work/here", "--param", "name=asked", "--watch", cwd=folder)
    assert (folder / "done-asked").exists()
    deployment = LocalClient().call(find_deployment, "work/here")
    (schedule,) = (each.schedule for each in deployment.schedules)
    assert (schedule.interval, schedule.timezone) == (5400, "Asia/Tokyo")
    assert schedule.anchor_date == datetime(2026, 1, 1, tzinfo=UTC)
    assert "invalid duration 'x'" in program("flow", "serve", "jobs.py:work", "--interval", "x", code=1).err
    assert not deployment.paused
    stop(process)
    assert LocalClient().call(find_deployment, "work/here").paused


def test_help_has_examples(runyard):
    assert "runyard task serve tasks.py" in runyard("task", "serve", "--help").out
    assert "--pause-on-shutdown" in runyard("flow", "serve", "--help").out
