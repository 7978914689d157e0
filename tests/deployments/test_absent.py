"""Deploying where packages that the code imports are not installed; its runs have them."""

from __future__ import annotations

import sys

import pytest
from runyard.base.errors import EntrypointError
from runyard.deployments.loading import absent

FLOW = """
import no_such_frames as nf
import no_such_models.nn.functional as F
from no_such_models import nn, optimise
from no_such_retry import retry, on_error
from pydantic import BaseModel
from runyard import flow, task

class Net(nn.Module):
    pass

class Config(BaseModel):
    rate: float = 0.1

SIZE = nf.options["size"] * 2
for one in nf.everything:
    raise RuntimeError
with nf.context() as it:
    pass

@task
@retry
def step(frame: nf.Frame) -> nf.Frame:
    return F.relu(frame)

@flow
@retry(times=3)
@on_error
def train(
    frame: nf.Frame,
    more: list[nf.Frame] = None,
    perhaps: nf.Frame | None = None,
    count: int = 1,
    config: Config = Config(),
    optimiser: str = "adam",
    odd=nf.NOTHING,
):
    '''Train.'''
    step(frame)
"""


@pytest.fixture
def said():
    return []


def load(folder, said, entrypoint="train.py:train"):
    return absent.load_flow(entrypoint, str(folder), {}, said.append)


def test_a_flow_is_loaded_without_its_packages(write, project_folder, said):
    from runyard.deployments.signature_schema import parameter_schema

    write("train.py", FLOW)
    flow = load(project_folder, said)
    assert (flow.name, flow.description) == ("train", "Train.")
    schema = parameter_schema(flow.fn)
    assert schema["required"] == ["frame"]
    assert "type" not in schema["properties"]["frame"]
    assert schema["properties"]["count"]["type"] == "integer"
    assert schema["definitions"]["Config"]["properties"]["rate"]["type"] == "number"
    (line,) = said
    assert "not installed here: no_such_frames, no_such_models, no_such_retry;" in line
    assert not [name for name in sys.modules if name.startswith("no_such")]
    with pytest.raises(ModuleNotFoundError):
        import no_such_frames  # noqa: F401


def test_what_can_be_imported_is_no_stand_in(write, project_folder, said):
    write("train.py", "import helpers\nfrom runyard import flow\n\n@flow\ndef train():\n    pass\n")
    write("helpers.py", "import json\n")
    load(project_folder, said)
    assert said == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import helprs", "helprs (did you mean helpers?)"),
        ("import pydantc", "pydantc (did you mean pydantic?)"),
        ("import helpers.inner", "helpers.inner"),
        ("from helpers import nothing", "nothing"),
        ("import json.nothing", "json.nothing"),
        ("1 / 0", "line 1: ZeroDivisionError"),
        ("import os; URL = os.environ['ONLY_WORKERS_HAVE_IT']", "KeyError: 'ONLY_WORKERS_HAVE_IT'"),
        (
            "import os; SCOPES = os.getenv('NOT_HERE').split(',')",
            "'NoneType' object has no attribute 'split'",
        ),
        ("from prefect.blocks.system import Secret; KEY = Secret.load('only-there').get()", "only-there"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("open('/no/such/file')", "No such file"),
    ],
)
def test_what_fails_on_import_is_told_and_the_flow_read(write, project_folder, said, line, words):
    from runyard.deployments.signature_schema import parameter_schema

    rest = """
from enum import Enum
from missing_marks import mark
from runyard import flow

class Mode(Enum):
    full = "full"

@mark.slow
@flow(name="trainer", description="Train it.", retries=mark.RETRIES)
def train(x: int, mode: Mode = Mode.full, where: str = URL_OF_NOTHING, *, deep: bool = False):
    pass
"""
    write("train.py", f"{line}\n{rest}")
    write("helpers.py", "")
    flow = load(project_folder, said)
    assert (flow.name, flow.description) == ("trainer", "Train it.")
    schema = parameter_schema(flow.fn)
    assert schema["required"] == ["x"]
    assert schema["properties"]["x"]["type"] == "integer"
    assert any(words in told for told in said), said
    assert all("\n" not in told for told in said)


def test_what_is_no_python_or_no_flow_is_an_error(write, project_folder, said):
    write("train.py", "def train(:\n")
    with pytest.raises(EntrypointError, match="SyntaxError"):
        load(project_folder, said)
    write("other.py", "1 / 0\ndef train(): ...\n")
    with pytest.raises(EntrypointError, match=r"flow 'train' not found in other.py; .*ZeroDivisionError"):
        load(project_folder, said, "other.py:train")


def test_every_file_is_executed_once(write, project_folder, said):
    code = """
with open({marks!r}, "a") as file:
    file.write("x")
import missing_a
import missing_b
import broken
from runyard import flow

@flow
def one(): ...

@flow
def two(x: int): ...
"""
    marks = project_folder / "marks.txt"
    write("flows.py", code.format(marks=str(marks)))
    write("broken.py", f"with open({str(marks)!r}, 'a') as file:\n    file.write('y')\n1 / 0\n")
    loader = absent.FlowLoader(str(project_folder))
    assert [loader.load(f"flows.py:{name}").name for name in ("one", "two")] == ["one", "two"]
    assert marks.read_text() == "xy"
    loader.report(said.append)
    lacking, failing = said
    assert "flows.py:one, flows.py:two: not installed here: missing_a, missing_b;" in lacking
    assert "ZeroDivisionError" in failing


def test_a_part_of_a_namespace_package_may_be_missing(write, project_folder, said, monkeypatch):
    (project_folder / "site" / "spaced").mkdir(parents=True)
    (project_folder / "empty_submodule").mkdir()
    monkeypatch.syspath_prepend(str(project_folder / "site"))
    code = "from spaced.cloud import storage\nimport empty_submodule.lib\n"
    write("train.py", code + "from runyard import flow\n\n@flow\ndef train(): ...\n")
    load(project_folder, said)
    assert "not installed here: spaced.cloud, empty_submodule.lib;" in said[0]


@pytest.mark.parametrize("in_package", [True, False])
def test_relative_imports_are_found(write, project_folder, said, in_package):
    package = f"pkg_{in_package}".lower()
    (project_folder / package).mkdir()
    write(
        f"{package}/train.py",
        "from runyard import flow\nfrom .near import X\n\n@flow(name=X)\ndef train(): ...\n",
    )
    write(f"{package}/near.py", "X = 'near'\n")
    if in_package:
        write(f"{package}/__init__.py", "")
    assert load(project_folder, said, f"{package}/train.py:train").name == "near"
    assert said == []


def test_optional_packages_stay_absent(write, project_folder, said):
    code = """
import no_such_frames
try:
    import no_such_extra
except ImportError:
    no_such_extra = None
from runyard import flow

@flow(name="without" if no_such_extra is None else "with")
def train():
    pass
"""
    write("train.py", code)
    assert load(project_folder, said).name == "without"
    assert "no_such_extra" not in said[0]
