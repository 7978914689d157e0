"""`runyard variable` and `runyard artifact`, typed as a user would."""

from __future__ import annotations

import pytest
from runyard.sdk import artifacts
from runyard.sdk.variables import Variable


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
    assert "artifact 'none' not found" in runyard("artifact", "delete", "none", code=1).err


def test_a_flow_run_shows_what_it_left(runyard, store):
    from runyard import flow
    from runyard.operations.flow_runs.flow_runs import find_flow_run

    @flow(flow_run_name="leaver")
    def main():
        artifacts.create_markdown_artifact("# hi", key="left-by-it")

    main()
    assert store.call(find_flow_run, reference="leaver")
    assert "left-by-it" in runyard("flow-run", "inspect", "leaver").out


def test_a_variable_says_what_happened_and_what_is_next(runyard):
    said = runyard("variable", "set", "threshold", "1").out
    assert said == "Created variable 'threshold'.\nRead it with: runyard variable get threshold\n"
    told = runyard("variable", "set", "threshold", "2", code=1).err
    assert told == "Error: variable 'threshold' exists already; use --overwrite to replace it\n"
    assert "Updated variable 'threshold'." in runyard("variable", "set", "threshold", "2", "--overwrite").out
    assert runyard("variable", "set", "other", "1", "-o", "json").json["name"] == "other"
    assert "did you mean 'threshold'?" in runyard("variable", "get", "treshold", code=1).err
    assert runyard("variable", "get", "threshold", "-o", "json").json == 2
    gone = runyard("variable", "unset", "threshold", "other", "-o", "json").json
    assert [each["name"] for each in gone] == ["threshold", "other"]


def test_variables_are_found_by_tag_and_counted(runyard):
    for number in range(5):
        runyard("variable", "set", f"v{number}", "1", "--tag", f"t{number % 2}", "--tag", "all")
    assert runyard("variable", "ls", "--tag", "t1", "--tag", "all", "-o", "name").out == "v1\nv3\n"
    few = runyard("variable", "ls", "--limit", "2")
    assert few.out.splitlines()[0].split("\t")[:2] == ["v0", "1"]
    assert few.err == "2 of 5 shown; --limit 0 shows all.\n"
    last = runyard("variable", "ls", "--limit", "1", "--sort", "-name", "-o", "name")
    assert (last.out, last.err) == ("v4\n", "1 of 5 shown; --limit 0 shows all.\n")


@pytest.mark.parametrize("value", ["[red]x[/red]", "a\x1b[2Jb", "\U0001d11e" * 3, '"\\ud834"', ""])
def test_values_of_all_kinds_are_shown(runyard, value):
    runyard("variable", "set", "v", value)
    for command in ("get", "inspect"):
        assert "\x1b" not in runyard("variable", command, "v", "-o", "json").out
    assert "\x1b" not in runyard("variable", "ls").out
    assert runyard("variable", "inspect", "v").code == 0


def test_an_artifact_is_named_by_the_beginning_of_its_id(runyard, made):
    assert made[:18] in runyard("artifact", "inspect", made[:20]).out
    assert "did you mean 'report'?" in runyard("artifact", "inspect", "reprt", code=1).err
    assert "begin with" in runyard("artifact", "inspect", made[:8], code=1).err
    assert made in runyard("artifact", "inspect", "-").out
    assert "not found" in runyard("artifact", "delete", "--id", "report", code=1).err
    assert len(runyard("artifact", "delete", "report", "--dry-run", "-o", "json").json) == 2
    assert "report" in runyard("artifact", "ls", "-o", "name").out
    assert runyard("artifact", "ls", "--all", "-o", "name").out.split() == [made, "report", "report"]


def test_artifacts_of_one_run(runyard, store):
    from runyard import flow

    @flow(flow_run_name="leaver")
    def main():
        artifacts.create_markdown_artifact("# hi")

    main()
    artifacts.create_markdown_artifact("# by hand", key="by-hand")
    (found,) = runyard("artifact", "ls", "--flow-run", "leaver", "-o", "json").json
    assert found["data"] == "# hi"


def test_a_value_that_json_does_not_have_is_not_lost(runyard):
    for text in ("NaN", "1e400"):
        runyard("variable", "set", "v", text, "--overwrite")
        assert runyard("variable", "get", "v", "-o", "json").json == text
    assert "at most 5000 characters" in runyard("variable", "set", "w", "[" * 100_000, code=1).err
    error = runyard("variable", "set", "w", '{"limit": Infinity}', code=1).err
    assert error == 'Error: JSON has no number Infinity; give it as a text: "Infinity"\n'


def test_a_text_in_a_pipe_is_exactly_the_value(program):
    text = "a\x1b[31mred\x1b[2J\u202e\ttab"
    Variable.set("v", text)
    assert program("variable", "get", "v").out == text + "\n"


def test_the_data_of_an_artifact_in_a_pipe_is_exact(program):
    artifacts.create_markdown_artifact("# \x1b[31mred", key="report")
    assert program("artifact", "inspect", "report").out.rstrip().endswith("# \x1b[31mred")


def test_json_has_no_nan(runyard):
    Variable.set("v", {"x": [float("nan"), float("-inf"), 1.5]})
    for command in ("get", "inspect"):
        printed = runyard("variable", command, "v", "-o", "json")
        value = printed.json if command == "get" else printed.json["value"]
        assert value == {"x": [None, None, 1.5]}
