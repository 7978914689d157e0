"""Parameters of a run from the command line to the flow: checked before it is queued, typed when it runs."""

from __future__ import annotations

import json

import pytest

FLOW = '''
from datetime import date, datetime
from enum import Enum
from typing import Literal

from prefect import flow
from pydantic import BaseModel, Field

class Colour(Enum):
    RED = "red"
    BLUE = "blue"

class Source(BaseModel):
    path: str
    rows: int = Field(10, ge=1)

class Config(BaseModel):
    sources: list[Source]
    colour: Colour = Colour.RED

@flow
def etl(
    config: Config,
    mode: Literal["full", "delta"] = "full",
    colour: Colour = Colour.BLUE,
    since: datetime | None = None,
    day: date = date(2026, 1, 1),
    limit: int | None = None,
    ratio: float = 0.5,
    labels: dict[str, int] = {},
    loose=None,
):
    """Load.

    Args:
        config: where from.
    """
    values = [config, mode, colour, since, day, limit, ratio, labels, loose]
    with open("seen.txt", "w") as file:
        file.write(repr(values))
'''
CONFIG = '{"sources": [{"path": "a"}, {"path": "b", "rows": 3}]}'


@pytest.fixture
def folder(tmp_path, monkeypatch, runyard):
    (tmp_path / "etl.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "pool", "--type", "process")
    runyard("deploy", "etl.py:etl", "-n", "d", "-p", "pool")
    return tmp_path


@pytest.mark.parametrize(
    ("param", "words"),
    [
        ("config={}", "config.sources.*required"),
        ('config={"sources": [{"path": 1}]}', r"config.sources\[0\].path.*text"),
        ('config={"sources": [{"path": "a", "rows": 0}]}', r"config.sources\[0\].rows.*at least 1"),
        ('config={"sources": [], "colour": "green"}', 'config.colour.*"red", "blue"'),
        ("mode=half", '"full", "delta"'),
        ("colour=green", '"red", "blue"'),
        ("since=yesterday", "since.*date-time"),
        ("day=2026-13-01", "day.*date"),
        ("limit=many", "limit.*whole number"),
        ("limit=1.5", "limit.*whole number"),
        ("ratio=half", "ratio.*number"),
        ('labels={"a": "b"}', "labels.a.*whole number"),
        ("labels=[]", "labels.*mapping"),
        ("lables={}", "lables.*labels"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(runyard, folder, param, words):
    import re

    given = ["-p", param] if param.startswith("config") else ["-p", f"config={CONFIG}", "-p", param]
    error = runyard("deployment", "run", "d", *given, code=1).err
    assert re.search(words, error), error
    assert len(error.splitlines()) == 1
    assert runyard("flow-run", "ls", "-o", "json").json == []


def test_what_is_missing_is_said(runyard, folder):
    error = runyard("deployment", "run", "d", code=1).err
    assert "'config'" in error
    assert "--param config=" in error


def test_what_fits_arrives_with_its_types(runyard, program, folder):
    runyard(
        "deployment", "run", "d", "-p", f"config={CONFIG}", "-p", "mode=delta", "-p", "colour=red", "-p",
        "since=2026-01-01T06:00:00Z", "-p", "day=2026-02-03", "-p", "limit=null", "-p", "ratio=1", "-p",
        'labels={"a": 1}', "-p", "loose=[1, 2]",
    )  # fmt: skip
    program("worker", "start", "--pool", "pool", "--run-once")
    (run,) = runyard("flow-run", "ls", "-o", "json").json
    assert run["state_name"] == "Completed", run["state"]
    seen = (folder / "seen.txt").read_text()
    for words in (
        "Config(sources=[Source(path='a', rows=10), Source(path='b', rows=3)], colour=<Colour.RED: 'red'>)",
        "'delta'", "<Colour.RED: 'red'>", "datetime.datetime(2026, 1, 1, 6, 0, tzinfo=", "date(2026, 2, 3)",
        "None", "1.0", "{'a': 1}", "[1, 2]",
    ):  # fmt: skip
        assert words in seen


def test_all_of_them_at_once_from_a_file_and_from_standard_input(program, runyard, folder):
    given = {"config": json.loads(CONFIG), "limit": 3}
    made = program("deployment", "run", "d", "--params", "-", "-o", "json", input=json.dumps(given)).json
    assert made["parameters"]["limit"] == 3
    both = ("deployment", "run", "d", "--params", json.dumps(given), "-p", "limit=4", "-o", "json")
    assert runyard(*both).json["parameters"]["limit"] == 4
    assert "JSON" in runyard("deployment", "run", "d", "--params", "{", code=1).err


@pytest.mark.parametrize("template", ["{limit:9999999999}", "{limit:{limit}}", "{absent}", "{limit.real.x}"])
def test_a_run_name_that_cannot_be_filled_in_makes_no_run(folder, runyard, template):
    asked = ("-p", f"config={CONFIG}", "-p", "limit=3", "--flow-run-name", template)
    told = runyard("deployment", "run", "etl/d", *asked, code=1)
    assert "cannot be filled in" in told.err
    assert runyard("flow-run", "ls", "-o", "json").json == []


def test_a_parameter_that_the_flow_has_not_is_refused_where_nothing_is_enforced(folder, runyard):
    runyard("deploy", "etl.py:etl", "-n", "lax", "-p", "pool", "--no-enforce-parameter-schema")
    told = runyard("deployment", "run", "etl/lax", "-p", "lmit=3", code=1)
    assert "has no parameter 'lmit'; did you mean 'limit'?" in told.err
