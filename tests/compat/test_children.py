"""Processes that multiprocessing starts afresh know `prefect` where their parent does."""

from __future__ import annotations

import subprocess
import sys

import pytest
from _yard import a_yard

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
