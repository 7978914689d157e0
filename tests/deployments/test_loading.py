"""Loading flows from entrypoints, and what is said when that fails."""

from __future__ import annotations

import sys

import pytest
from runyard.base.errors import EntrypointError
from runyard.deployments.loading.loading import load_flow, parameter_schema, parse

ETL = '''\
from prefect import flow

@flow
def my_etl_flow(date: str = None):
    """Daily ETL flow"""
    return date

def helper():
    pass

class Jobs:
    @flow
    @staticmethod
    def nightly(size: int):
        return size
'''


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("flows/etl.py:main", ("flows/etl.py", None, "main")),
        ("C:/x/etl.py:Jobs.main", ("C:/x/etl.py", None, "Jobs.main")),
        ("pkg.mod.main", (None, "pkg.mod", "main")),
        ("pkg.mod:main", (None, "pkg.mod", "main")),
    ],
)
def test_entrypoints_have_three_forms(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize("text", ["flows/etl.py", "main", "", "flows/etl:main", "etl.py:", ":main"])
def test_anything_else_is_no_entrypoint(text):
    with pytest.raises(EntrypointError):
        parse(text)


def test_import_prefect_gives_runyard(write):
    write("flows/etl.py", ETL)
    flow = load_flow("flows/etl.py:my_etl_flow")
    assert flow.name == "my-etl-flow"
    assert flow.fn("2026-01-01") == "2026-01-01"


def test_relative_to_a_folder_and_from_a_package(write, project_folder, monkeypatch):
    write("pack/__init__.py", "")
    write("pack/etl_module.py", ETL)
    monkeypatch.chdir("/")
    for entrypoint in (
        "pack/etl_module.py:my_etl_flow",
        "pack.etl_module.my_etl_flow",
        "pack.etl_module:my_etl_flow",
    ):
        assert load_flow(entrypoint, str(project_folder)).name == "my-etl-flow"


def test_a_flow_in_a_class(write):
    write("etl.py", ETL)
    assert load_flow("etl.py:Jobs.nightly").fn(3) == 3
    with pytest.raises(EntrypointError, match="'nightlie' not found; did you mean 'nightly'"):
        load_flow("etl.py:Jobs.nightlie")


def test_a_file_may_import_its_neighbours_and_the_projects_modules(write):
    write("shared_by_all.py", "A = 1")
    write("flows/beside_it.py", "B = 2")
    write("flows/etl.py", "import shared_by_all, beside_it\n" + ETL)
    assert load_flow("flows/etl.py:my_etl_flow").name == "my-etl-flow"


def test_a_file_called_like_a_module_of_python_hides_nothing(write):
    import json

    write("json.py", ETL)
    assert load_flow("json.py:my_etl_flow").name == "my-etl-flow"
    assert sys.modules["json"] is json


def test_two_files_of_one_name_are_two_modules(write):
    write("a/etl.py", ETL)
    write("b/etl.py", ETL.replace("my_etl_flow", "other"))
    first, second = load_flow("a/etl.py:my_etl_flow"), load_flow("b/etl.py:other")
    assert (first.name, second.name) == ("my-etl-flow", "other")
    assert first.fn.__module__ != second.fn.__module__


def test_a_changed_file_is_loaded_again(write):
    write("etl.py", ETL)
    load_flow("etl.py:my_etl_flow")
    write("etl.py", ETL.replace("my_etl_flow", "renamed_flow") + "\n# longer than before\n")
    assert load_flow("etl.py:renamed_flow").name == "renamed-flow"


def test_each_file_is_executed_once_for_several_flows(write):
    write("etl.py", "import counted; counted.times += 1\n" + ETL)
    write("counted.py", "times = 0")
    modules = {}
    load_flow("etl.py:my_etl_flow", modules=modules)
    load_flow("./etl.py:my_etl_flow", modules=modules)
    assert sys.modules["counted"].times == 1


@pytest.mark.parametrize(
    ("entrypoint", "message"),
    [
        ("flows/elt.py:my_etl_flow", r"file .*/flows/elt.py not found; did you mean 'etl.py'\?"),
        ("nowhere/etl.py:f", "folder .*nowhere not found either"),
        ("flows/etl.py:my_elt_flow", "'my_elt_flow' not found; did you mean 'my_etl_flow'"),
        ("flows/etl.py:zzz", "its flows are: my_etl_flow"),
        ("flows/etl.py:helper", "is a function, not a flow; decorate it with @flow"),
        ("flows/etl.py:Jobs", "is a type, not a flow"),
        ("no_such_package.mod.f", "module no_such_package not found"),
    ],
)
def test_what_is_missing_is_said_with_a_hint(write, entrypoint, message):
    write("flows/etl.py", ETL)
    with pytest.raises(EntrypointError, match=message):
        load_flow(entrypoint)


def test_a_failing_import_shows_the_users_own_frames_only(write):
    write("helper_of_etl.py", "def work():\n    return 1 / 0\n")
    write("flows/etl.py", "from helper_of_etl import work\n\nwork()\n")
    with pytest.raises(EntrypointError) as caught:
        load_flow("flows/etl.py:f")
    assert str(caught.value).splitlines() == [
        "flows/etl.py fails on import: ZeroDivisionError: division by zero",
        "  flows/etl.py:3 in <module>: work()",
        "  helper_of_etl.py:2 in work: return 1 / 0",
    ]


def test_a_syntax_error_shows_its_line(write):
    write("etl.py", "x = 1\ndef f(:\n")
    with pytest.raises(EntrypointError, match=r"(?s)etl.py fails on import: SyntaxError.*etl.py:2: def f\(:"):
        load_flow("etl.py:f")


@pytest.mark.parametrize("text", ["import sys; sys.exit(3)", "raise SystemExit"])
def test_a_file_that_exits_does_not_end_the_command(write, text):
    write("etl.py", text)
    with pytest.raises(EntrypointError, match="SystemExit"):
        load_flow("etl.py:f")


def test_a_name_that_runyard_lacks_says_what_to_use(write):
    write("etl.py", "from prefect.events import emit_event\n")
    with pytest.raises(EntrypointError, match="use state hooks"):
        load_flow("etl.py:f")


def test_a_failed_load_leaves_no_half_module(write):
    write("half_loaded.py", "raise RuntimeError('no')")
    with pytest.raises(EntrypointError):
        load_flow("half_loaded.py:f")
    assert "half_loaded" not in sys.modules


def test_the_schema_of_the_tutorials_flow(write):
    write("etl.py", ETL)
    assert parameter_schema(load_flow("etl.py:my_etl_flow")) == {
        "title": "Parameters",
        "type": "object",
        "properties": {
            "date": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "default": None,
                "title": "date",
                "position": 0,
            }
        },
        "required": [],
        "definitions": {},
    }
