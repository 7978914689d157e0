"""Deploying where packages that the code imports are not installed; its runs have them."""

from __future__ import annotations

import sys

import pytest
from runyard.deployments import absent
from runyard.errors import EntrypointError

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
    from runyard.deployments.schema import parameter_schema

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
        ("import helprs", "No module named 'helprs'"),
        ("import pydantc", "No module named 'pydantc'"),
        ("import helpers.inner", "helpers.inner"),
        ("from helpers import nothing", "nothing"),
        ("import json.nothing", "json.nothing"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_mistake_of_the_project_is_an_error(write, project_folder, said, line, words):
    write("train.py", f"{line}\nfrom runyard import flow\n\n@flow\ndef train():\n    pass\n")
    write("helpers.py", "")
    with pytest.raises(EntrypointError, match=words):
        load(project_folder, said)
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
