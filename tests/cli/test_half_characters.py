"""Values that UTF-8 cannot hold, such as names of files in Latin-1: commands show them and do not fail."""

from __future__ import annotations

import pytest
from runyard import flow, task
from runyard.blocks.system import JSON
from runyard.sdk.artifacts import create_table_artifact
from runyard.sdk.variables import Variable

HALF = "caf\udce9"
SPELLED = "caf\\udce9"


@pytest.fixture
def kept(home):
    """A run, an artifact, a variable and a block with such texts as values and as keys."""
    value = {HALF: [{HALF: HALF}]}

    @task
    def step():
        create_table_artifact([{HALF: HALF}], key="table")

    @flow(name="f", flow_run_name=HALF)
    def scan(what, path):
        step()

    scan(value, HALF)
    Variable.set("v", value, overwrite=True)
    JSON(value=value).save("b")


@pytest.mark.parametrize(
    "command",
    [
        "flow-run ls", "flow-run inspect caf\\udce9", "flow-run logs caf\\udce9", "task-run ls",
        "artifact ls", "artifact inspect table", "variable ls", "variable get v", "variable inspect v",
        "block ls", "block inspect json/b", "api POST /flow_runs/filter",
    ],
)  # fmt: skip
def test_commands_show_them(kept, program, command):
    words = command.split()
    text = program(*words).out
    assert text
    if not command.startswith(("api", "variable get")):
        assert program(*words, "-o", "json").json is not None


def test_keys_are_spelled_out_and_values_stay(kept, program):
    (run,) = program("flow-run", "ls", "-o", "json").json
    assert run["parameters"] == {"what": {SPELLED: [{SPELLED: HALF}]}, "path": HALF}
