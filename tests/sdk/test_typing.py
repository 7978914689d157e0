"""What type checkers know about flows and tasks; and that none of it costs a start."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from runyard import Flow, Task
from runyard.sdk.decorator_options import FlowOptions, TaskOptions

CORE = Path(__file__).parents[2] / "core"

CODE = """
from runyard import allow_failure, flow, task, unmapped
from runyard.states import Completed, State

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

@task
def three(x: int, y: str, z: bytes = b"") -> bool:
    return True

@task
def total(numbers: list[int]) -> float:
    return 1.0

@task
def several(*numbers: int) -> int:
    return 1

@task
def named(*, x: int) -> int:
    return x

class Job:
    @task
    def scaled(self, x: int) -> bytes:
        return b""

    @classmethod
    @task
    def made(cls, x: int) -> complex:
        return 1j

    @task
    @classmethod
    def named(cls, x: int) -> bool:
        return True

    @task
    @staticmethod
    def plain(x: int) -> bytearray:
        return bytearray()

class Special(Job): ...

async def main() -> None:
    reveal_type(plus(1, y=2))  # int
    reveal_type(plus(1, return_state=True))  # State[int]
    reveal_type(plus(1, return_state=True).result())  # int
    reveal_type(plus.submit(1).result())  # int
    reveal_type(plus.submit(1, return_state=True))  # State[int]
    reveal_type(plus.map([1, 2]).result())  # list[int]
    reveal_type(plus.map(range(2), 5).result())  # list[int]
    reveal_type(plus.map([1], y=unmapped(2)).result())  # list[int]
    reveal_type(plus.map([1], unmapped(2)).result())  # list[int]
    reveal_type(plus.map(x=[1], y=[2]).result())  # list[int]
    reveal_type(plus.map([1], wait_for=[plus.submit(1)]).result())  # list[int]
    reveal_type(plus.map([1], return_state=True))  # list[State[int]]
    reveal_type(plus.map(plus.submit(1)).result())  # list[int]
    reveal_type(plus.map(plus.map([1]), allow_failure(plus.map([1]))).result())  # list[int]
    reveal_type(plus.map([plus.submit(1), 2]).result())  # list[int]
    reveal_type(plus.with_options(name="other").map([1]).result())  # list[int]
    reveal_type(three.map([1], ["a"], [b""]).result())  # list[bool]
    reveal_type(total.map([[1], [2]]).result())  # list[float]
    reveal_type(several.map([1], [2]).result())  # list[int]
    reveal_type(named.map(x=[1]).result())  # list[int]
    reveal_type(Job().scaled.map([1]).result())  # list[bytes]
    reveal_type(aplus.map([1], return_state=True))  # list[State[str]]
    reveal_type(await aplus(1))  # str
    reveal_type(await aplus(1, return_state=True))  # State[str]
    reveal_type(aplus.submit(1).result())  # str
    reveal_type(aplus.submit(1, return_state=True))  # State[str]
    reveal_type(aplus.with_options(retries=1).submit(1).result())  # str
    reveal_type(aplus.map([1]).result())  # list[str]
    reveal_type(aplus.delay(1).result())  # str
    reveal_type(outer("monday"))  # list[int]
    reveal_type(await aouter("monday"))  # float
    reveal_type(await aouter("monday", return_state=True))  # State[float]
    reveal_type(plus.with_options(retries=1)(1))  # int
    reveal_type(plus.fn(1))  # int
    reveal_type(plus(plus.submit(1)))  # int
    reveal_type(plus.submit(1, plus.submit(1)).result())  # int
    reveal_type(plus(1, wait_for=plus.submit(1)))  # int
    reveal_type(Job().scaled(1))  # bytes
    reveal_type(Job().scaled.submit(1).result())  # bytes
    reveal_type(Job.scaled(Job(), 1))  # bytes
    reveal_type(Job.made(1))  # complex
    reveal_type(Job().made(1))  # complex
    reveal_type(Special.made.submit(1).result())  # complex
    reveal_type(Job.named(1))  # bool
    reveal_type(Job.plain(1))  # bytearray
    state: State = Completed()
    known: State[int] = plus(1, return_state=True)
    plus("one")  # error
    plus.submit("one")  # error
    plus.submit(1, z=2)  # error
    plus.delay("one")  # error
    aplus.submit()  # error
    plus.map(["one"])  # error
    plus.map([1], ["one"])  # error
    plus.map([1], [2], [3])  # error
    three.map([1], [2])  # error
    total.map(["one"])  # error
    aplus.map(["one"])  # error
    aplus.with_options(retries=1).map(["one"])  # error
    Job().scaled.map(["one"])  # error
    outer()  # error
    task(retires=2)  # error
    outer.deploy("daily", chron="0 6 * * *")  # error
"""


def said(done, revealed):
    """What a checker says of CODE: the types it names, by line, and the lines it finds errors in."""
    types, errors = {}, set()
    for line in done.stdout.splitlines():
        at = re.match(r".*?script\.py:(\d+)", line)
        name = re.search(revealed, line)
        if at and name:
            types[int(at[1])] = re.sub(r"\b(builtins|runyard\.domain\.states|states)\.", "", name[1])
        elif at and "error" in line:
            errors.add(int(at[1]))
    return types, errors


def expected():
    lines = dict(enumerate(CODE.splitlines(), 1))
    types = {
        at: line.partition("  # ")[2] for at, line in lines.items() if line.strip().startswith("reveal_type")
    }
    return types, {at for at, line in lines.items() if line.endswith("  # error")}


def test_mypy_knows_what_tasks_and_flows_take_and_return(tmp_path):
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
    assert said(done, r'Revealed type is "(.*)"') == expected(), done.stdout + done.stderr


def test_pyright_knows_what_tasks_and_flows_take_and_return(tmp_path):
    pytest.importorskip("pyright", reason="pyright is not installed")
    (tmp_path / "script.py").write_text(CODE)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(CORE)]}))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if "information:" not in done.stdout:
        pytest.skip(f"pyright cannot start here: {(done.stdout + done.stderr)[-200:]}")
    assert said(done, r'information: Type of ".*" is "(.*)"') == expected(), done.stdout + done.stderr


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
    from runyard.domain.states import State
    from runyard.engine.futures import FutureList, TaskFuture
    from runyard.engine.task_runners import TaskRunner

    assert Flow[[int], str] is Flow
    assert Task[..., int] is Task
    assert TaskRunner[TaskFuture] is TaskRunner
    assert State[int] is State
    assert FutureList[int]
