"""What type checkers know about flows and tasks; and that none of it costs a start."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from runyard import Flow, Task
from runyard.options import FlowOptions, TaskOptions

CORE = Path(__file__).parents[2] / "core"

CODE = """
from runyard import flow, task

@task
def plus(x: int, y: int = 1) -> int:
    return x + y

@task(retries=2)
async def aplus(x: int) -> str:
    return str(x)

@flow
def outer(day: str) -> list[int]:
    return [plus(1)]

@flow(name="named")
async def aouter(day: str) -> float:
    return 1.0

class Job:
    @task
    def scaled(self, x: int) -> bytes:
        return b""

async def main() -> None:
    reveal_type(plus(1, y=2))
    reveal_type(plus(1, return_state=True))
    reveal_type(plus.submit(1).result())
    reveal_type(plus.submit(1, return_state=True))
    reveal_type(plus.map([1, 2]).result())
    reveal_type(await aplus(1))
    reveal_type(aplus.submit(1).result())
    reveal_type(aplus.map([1]).result())
    reveal_type(outer("monday"))
    reveal_type(await aouter("monday"))
    reveal_type(await aouter("monday", return_state=True))
    reveal_type(plus.with_options(retries=1)(1))
    reveal_type(Job().scaled(1))
    reveal_type(Job().scaled.submit(1).result())
    plus("one")
    outer()
    task(retires=2)
    outer.deploy("daily", chron="0 6 * * *")
"""

EXPECTED = [
    "int", "State", "int", "State", "list[int]", "str", "str", "list[str]", "list[int]", "float", "State",
    "int", "bytes", "bytes",
]  # fmt: skip


def test_mypy_knows_what_tasks_and_flows_return(tmp_path):
    pytest.importorskip("mypy.api", reason="mypy is not installed")
    path = tmp_path / "script.py"
    path.write_text(CODE)
    options = ["--config-file=", "--cache-dir", tmp_path / "cache", "--follow-imports=silent"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *options, path],
        env={"MYPYPATH": str(CORE), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = done.stdout.splitlines()
    revealed = [line.rpartition('"')[0].rpartition('"')[2] for line in lines if "Revealed type" in line]
    names = [
        name.replace("builtins.", "")
        .rpartition("runyard.")[2]
        .rpartition("states.")[2]
        .rpartition("flow_runs.")[2]
        for name in revealed
    ]
    assert names == EXPECTED, done.stdout + done.stderr
    # plus("one"), outer(), retires= and chron= do not fit.
    assert len([line for line in lines if ": error:" in line]) == 4, done.stdout


@pytest.mark.parametrize(("typed", "made"), [(FlowOptions, Flow), (TaskOptions, Task)])
def test_the_typed_options_are_those_there_are(typed, made):
    names = list(inspect.signature(made.__init__).parameters)
    assert sorted(typed.__annotations__) == sorted(set(names) - {"self", "fn"})


def test_nothing_is_loaded_for_it(home):
    code = f"""
import sys
sys.path.insert(0, {str(CORE)!r})
from runyard import flow, task, Flow, Task
print("typing" in sys.modules)
"""
    command = [sys.executable, "-S", "-E", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr


def test_subscripts_in_annotations(home):
    from runyard import Flow, Task
    from runyard.futures import FutureList, TaskFuture
    from runyard.task_runners import TaskRunner

    assert Flow[[int], str] is Flow
    assert Task[..., int] is Task
    assert TaskRunner[TaskFuture] is TaskRunner
    assert FutureList[int]
