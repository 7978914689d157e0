"""A type of work pool of a user's own: the example of docs/pool-types.md, found by its entry point."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from _yard import Yard, a_yard, is_gone, logs_of, until
from runyard.operations.flow_runs import SetState, set_flow_run_state
from runyard.operations.schemas import StateCreate

GUIDE = Path(__file__).parents[2] / "docs" / "pool-types.md"
METADATA = "Metadata-Version: 2.1\nName: detached\nVersion: 1\n"


class DetachedYard(Yard):
    """A yard whose pool is of the example's type."""

    pool_type = "detached"

    def __init__(self, folder):
        super().__init__(folder)
        text = GUIDE.read_text(encoding="utf-8")
        package = folder / "package"
        package.mkdir()
        (package / "detached.py").write_text(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1])
        info = package / "detached-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(METADATA)
        entry = re.search(r"```toml\n\[project.entry-points.\"(.*?)\"\]\n(.*?)```", text, re.DOTALL)
        (info / "entry_points.txt").write_text(f"[{entry[1]}]\n{entry[2].replace(chr(34), '')}")
        self.jobs = folder / "jobs"
        self.environment |= {
            "PYTHONPATH": os.pathsep.join([str(package), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "DETACHED_JOBS": str(self.jobs),
        }

    def ended(self, run, *types):
        """The final state, once the job has ended as well, which needs its worker until then."""
        state = super().ended(run, *types)
        for _, pid in self.notes():
            until(lambda pid=pid: is_gone(pid), "the end of the job")
        return state


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path, DetachedYard) as yard:
        yield yard


def printed(yard, run):
    return [log.message for log in logs_of(yard, run)]


def test_it_runs(yard):
    run = yard.run()
    yard.release()
    assert yard.worker(run_once=True).wait(60) == 0
    assert yard.state(run).type == "COMPLETED", yard.state(run)
    assert printed(yard, run).count("working") == 1


@pytest.mark.parametrize("stubborn", [False, True])
def test_it_is_cancelled(yard, stubborn):
    run = yard.run(stubborn=stubborn)
    yard.worker()
    yard.started()
    yard.client.call(set_flow_run_state, run, SetState(state=StateCreate(type="CANCELLING"), force=False))
    yard.ended(run, "CANCELLED")


def test_the_next_workers_adopt_its_jobs_one_after_the_other(yard):
    run = yard.run()
    worker = yard.worker("w0")
    yard.started()
    for number in (1, 2):
        worker.kill()
        worker.wait()
        worker = yard.worker(f"w{number}")
        until(lambda owner=f"w{number}": [one["owner"] for one in yard.leases()] == [owner], "the adoption")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1]


def test_a_job_that_dies_is_crashed_and_starts_again(yard):
    run = yard.run(crash_retries=1)
    yard.worker()
    os.kill(yard.started(), 9)
    yard.started(2)
    yard.release()
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [1, 2]
