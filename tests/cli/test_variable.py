"""`runyard variable` and `runyard artifact`, typed as a user would."""

from __future__ import annotations

import pytest
from runyard.sdk import artifacts


def test_a_variable_is_set_read_and_deleted(runyard):
    runyard("variable", "set", "threshold", "42", "--tag", "a")
    assert runyard("variable", "get", "threshold").out == "42\n"
    runyard("variable", "set", "name", "plain text")
    assert runyard("variable", "get", "name").out == "plain text\n"
    assert "--overwrite" in runyard("variable", "set", "threshold", "43", code=1).err
    runyard("variable", "set", "threshold", '{"a": 1}', "--overwrite")
    found = runyard("variable", "inspect", "threshold", "-o", "json").json
    assert (found["value"], found["tags"]) == ({"a": 1}, ["a"])
    assert '{"a": 1}' in runyard("variable", "ls").out
    assert [each["name"] for each in runyard("variables", "ls", "-o", "json").json] == ["name", "threshold"]
    runyard("variable", "unset", "name", "-y")
    runyard("variable", "delete", "threshold", "-y")
    assert "variable 'name' not found" in runyard("variable", "get", "name", code=1).err
    assert "invalid variable name" in runyard("variable", "set", "a b", "1", code=1).err


@pytest.fixture
def made(home):
    """Two versions of `report`, and one artifact without a key."""
    artifacts.create_markdown_artifact("# first", key="report")
    artifacts.create_markdown_artifact("# second", key="report")
    return artifacts.create_table_artifact([{"a": 1}])


def test_artifacts_are_listed_and_shown(runyard, made):
    assert "report" in runyard("artifact", "ls").out
    assert len(runyard("artifact", "ls", "-o", "json").json) == 1
    assert len(runyard("artifact", "ls", "--all", "-o", "json").json) == 3
    shown = runyard("artifact", "inspect", "report").out
    assert "# second" in shown
    assert "# first" not in shown
    assert '"a": 1' in runyard("artifact", "inspect", made).out
    assert len(runyard("artifact", "inspect", "report", "-o", "json").json) == 2
    assert "artifact 'none' not found" in runyard("artifact", "inspect", "none", code=1).err


def test_artifacts_are_deleted(runyard, made):
    runyard("artifact", "delete", "--id", made, "-y")
    assert "2 versions" in runyard("artifact", "delete", "report", "-y").out
    assert runyard("artifact", "ls", "--all", "-o", "json").json == []
    assert "one of them" in runyard("artifact", "delete", code=2).err
    assert "no artifact" in runyard("artifact", "delete", "none", code=1).err


def test_a_flow_run_shows_what_it_left(runyard, store):
    from runyard import flow
    from runyard.operations.flow_runs.flow_runs import find_flow_run

    @flow(flow_run_name="leaver")
    def main():
        artifacts.create_markdown_artifact("# hi", key="left-by-it")

    main()
    assert store.call(find_flow_run, reference="leaver")
    assert "left-by-it" in runyard("flow-run", "inspect", "leaver").out
