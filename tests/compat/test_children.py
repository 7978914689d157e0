"""Processes that multiprocessing starts afresh know `prefect` where their parent does."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from _yard import a_yard
from runyard.compat import child_interpreters

SCRIPT = """
import concurrent.futures, multiprocessing, sys
from prefect import flow, task

def work(number):
    return number + 1

@task
def spread(numbers):
    context = multiprocessing.get_context(sys.argv[1])
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        return list(pool.map(work, numbers))

@flow
def main():
    return spread([1, 2])

if __name__ == "__main__":
    print("got", main())
"""
POOL = """
import concurrent.futures, multiprocessing
from prefect import flow

def work(number):
    return number + 1

@flow(name="work")
def spread():
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert list(pool.map(work, [1, 2])) == [2, 3]
"""


@pytest.mark.parametrize("how", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("program", [["script.py"], ["-m", "script"]], ids=["file", "module"])
def test_children_of_a_program(home, tmp_path, program, how):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "runyard", *program, how]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert "got [2, 3]" in done.stdout, done.stderr


def test_children_of_a_run_of_a_worker(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "pool.py").write_text(POOL)
        run = yard.run(entrypoint="pool.py:spread")
        yard.worker()
        yard.ended(run, "COMPLETED")


STARTER = """
import json, os, subprocess, sys
import prefect
found = json.loads(subprocess.check_output([sys.executable, "-c", sys.argv[1]]))
print("got", json.dumps(found))
"""
NAMES = """
import json, prefect, prefect.states
from prefect.tasks import Task
from prefect import flow
print(json.dumps([prefect.flow.__module__, prefect.states.__name__, Task.__module__]))
"""


def start(tmp_path, **variables):
    """What a Python tells that a script starts which is run by `python -m runyard`."""
    (tmp_path / "starter.py").write_text(STARTER)
    command = [sys.executable, "-m", "runyard", "starter.py", NAMES]
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert "got " in done.stdout, done.stderr
    return json.loads(done.stdout.partition("got ")[2])


def test_any_python_that_a_program_starts(home, tmp_path):
    assert start(tmp_path) == ["runyard.sdk.flows", "runyard.prefect_names.state_names", "runyard.sdk.tasks"]


def test_a_prefect_that_is_installed_stays_what_it_is(home, tmp_path):
    package = tmp_path / "site" / "prefect"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("def flow(): ...\n")
    (package / "states.py").touch()
    (package / "tasks.py").write_text("class Task: ...\n")
    found = start(tmp_path, PYTHONPATH=str(tmp_path / "site"))
    assert found == ["prefect", "prefect.states", "prefect.tasks"]
    found = start(tmp_path, PYTHONPATH=str(tmp_path / "site"), RUNYARD_PREFECT_IMPORTS="always")
    assert found == ["prefect", "prefect.states", "prefect.tasks"]


def test_another_python_finds_its_own_prefect_or_none(tmp_path):
    lines = (
        "import sys; sys.modules['runyard'] = None",
        "try: import prefect",
        "except ImportError as error: print(error.name)",
    )
    script = "\n".join(lines)
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": child_interpreters.FOLDER},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.strip() == "prefect"


def test_the_path_of_children_is_given_back(monkeypatch):
    for before in (None, "a", f"a{os.pathsep}b"):
        monkeypatch.delenv("PYTHONPATH", raising=False)
        if before is not None:
            monkeypatch.setenv("PYTHONPATH", before)
        child_interpreters.tell_programs()
        child_interpreters.tell_programs()
        assert os.environ["PYTHONPATH"].split(os.pathsep)[-1] == child_interpreters.FOLDER
        assert os.environ["PYTHONPATH"].count(child_interpreters.FOLDER) == 1
        child_interpreters._tell_no_program()
        assert os.environ.get("PYTHONPATH") == before
