"""Scratch folders: kept as long as a worker or a run uses them, removed when a killed worker left them."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from _yard import DEADLINE_SECONDS, a_yard, is_gone, until
from runyard.base import scratch


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """The temporary folder of this process and of its workers."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def yard(home, tmp_path, temporary):
    with a_yard(tmp_path) as yard:
        yield yard


def steps(yard):
    step = {"prefect.deployments.steps.run_shell_script": {"script": "touch brought"}}
    back = {"prefect.deployments.steps.set_working_directory": {"directory": str(yard.folder)}}
    return {"pull_steps": [step, back]}


@pytest.mark.parametrize("variables", [{}, {"python": sys.executable}], ids=["forked", "executed"])
def test_a_killed_workers_folder_stays_with_its_run_and_goes_with_the_next_worker(yard, temporary, variables):
    run = yard.run(crash_retries=1, job_variables=variables, policies=steps(yard))
    worker = yard.worker()
    pid = yard.started()
    launcher = yard.launcher_of(worker)
    os.kill(launcher, signal.SIGSTOP)
    worker.kill()
    worker.wait()
    (left,) = temporary.iterdir()
    assert (left / "brought").exists()
    scratch.sweep()
    assert left.exists(), "the run goes on there"
    os.kill(launcher, signal.SIGCONT)
    until(lambda: is_gone(pid), "the end of the run")
    yard.worker("second")
    until(lambda: not left.exists(), "the removal")
    yard.started(2)
    yard.release()
    yard.ended(run, "COMPLETED")
    until(lambda: not any(temporary.iterdir()), "the removal of the second folder")


def test_a_worker_that_ends_leaves_no_folder(yard, temporary):
    run = yard.run(policies=steps(yard))
    yard.release()
    assert yard.worker(run_once=True).wait(DEADLINE_SECONDS) == 0
    assert yard.state(run).type == "COMPLETED"
    assert not any(temporary.iterdir())


def test_folders_of_others_are_left_alone(temporary, tmp_path):
    held, left = scratch.Scratch(), scratch.Scratch()
    os.close(left._file)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (temporary / "runyard-scratch-link").symlink_to(elsewhere)
    (temporary / "other").mkdir()
    scratch.sweep()
    assert sorted(os.listdir(temporary)) == sorted(
        [os.path.basename(held.path), "other", "runyard-scratch-link"]
    )
    pid = os.fork()
    if pid == 0:
        held.remove()
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.path.exists(held.path)
    held.remove()
    assert elsewhere.exists()
    assert scratch.hold(held.path) is None
