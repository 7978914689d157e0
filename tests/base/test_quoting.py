"""Commands that messages suggest can be typed as they stand, whatever the names in them are."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runyard.base.quoting import command_of, quoted

ROOT = Path(__file__).parents[2]
# What stands before a value that becomes a word of a command: `run: runyard work-pool create `.
COMMAND = re.compile(r"(?:^|[\s`'\"(])(?:runyard|prefect|chmod) [a-z][\w+-]*(?: [\w+-]+)*[ '=]+$")
# Words that a shell takes as they are: ids, numbers, and names of types of ours.
PLAIN = re.compile(r"(?:.*[._\[\"'])?(?:id|kind|extra|more|limit|module)[\"'\]]*")


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)))
def test_a_shell_gives_back_what_was_quoted(names):
    line = " ".join(map(quoted, names))
    assert line.isprintable()
    script = f"printf '%s\\0' {line}" if names else "true"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, check=True, timeout=60, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.stdout.decode().split("\0")[:-1] == names


def test_plain_names_are_not_quoted_and_long_ones_not_repeated():
    assert quoted("my-flow/daily-etl_2.1") == "my-flow/daily-etl_2.1"
    assert quoted("a b") == "'a b'"
    assert quoted("$(id)") == "'$(id)'"
    assert quoted("a\x1b[2Jb\n") == r"$'a\x1b[2Jb\x0a'"
    assert quoted("") == "''"
    assert quoted("x" * 60_000) == "NAME"


def unquoted(path):
    """Values in f-strings of a file that become a word of a suggested command, and are not quoted."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        before = ""
        for part in node.values:
            if isinstance(part, ast.Constant):
                before += str(part.value)
                continue
            assert isinstance(part, ast.FormattedValue)
            value = ast.unparse(part.value)
            is_quoted = value.startswith("quoted(") or PLAIN.fullmatch(value)
            if COMMAND.search(before) and not is_quoted:
                yield f"{path.relative_to(ROOT)}:{node.lineno}: {before}{{{value}}}"
            before += "X"


def test_every_suggested_command_quotes_its_names():
    files = [*(ROOT / "core").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    assert [found for path in files for found in unquoted(path)] == []


def test_a_name_that_begins_with_a_dash_stays_a_name():
    create = "runyard work-pool create"
    assert command_of(create, "etl", options="--type process") == f"{create} etl --type process"
    assert command_of(create, "-x y", options="--type process") == f"{create} --type process -- '-x y'"
    assert command_of("runyard concurrency-limit create", "-t", "N") == (
        "runyard concurrency-limit create -- -t N"
    )
