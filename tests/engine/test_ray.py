"""Ray as task runner, on a real local instance where Ray is installed."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from runyard import flow, task
from runyard.base.errors import MissingExtra
from runyard.engine.task_runners import RayTaskRunner


@task
def plus(x, y=1):
    return x + y


def test_without_the_extra(recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)

    @flow(task_runner=RayTaskRunner())
    def calls():
        return plus.submit(1)

    with pytest.raises(MissingExtra, match=r"runyard\[ray\]"):
        calls()


CODE = """
import asyncio, os, signal
from runyard import flow, task
from runyard.task_runners import RayTaskRunner
from runyard.engine.task_runners.ray import remote_options

@task
def where(_x):
    return os.getpid()

@task
async def aplus(x):
    await asyncio.sleep(0)
    return x + 1

@task
def breaks():
    raise ValueError("broken there")

@task
def dies():
    os.kill(os.getpid(), signal.SIGKILL)

@flow(task_runner=RayTaskRunner(init_kwargs={"num_cpus": 2, "include_dashboard": False}))
def main():
    assert os.getpid() not in set(where.map(range(4)).result())
    with remote_options(num_cpus=1):
        assert aplus.submit(aplus.submit(1)).result() == 3
    failed, lost = breaks.submit(), dies.submit()
    failed.wait(), lost.wait()
    late = where.submit(failed)
    late.wait()
    print([future.state.name for future in (failed, lost, late)])

main()
"""


def test_tasks_run_on_ray(recorded, tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(CODE))
    # A process of its own: Ray keeps threads and signal handlers.
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=120)
    assert "['Failed', 'Crashed', 'NotReady']" in done.stdout, done.stderr
    assert {run["name"]: run["state_name"] for run in recorded.task_runs("dies")} == {"dies-0": "Crashed"}
    assert {run["state_name"] for run in recorded.task_runs("aplus")} == {"Completed"}
