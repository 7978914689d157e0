"""What each command prints stands in tests/golden: on two terminals, in a pipe, with NO_COLOR.

After a change of it: `WRITE_GOLDEN=1 pytest tests/cli/test_golden.py`; then read the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import _golden
import pytest
from runyard_cli import reference
from runyard_cli.main import cli

FOLDER = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def printed():
    """The text of each file: what was printed for its commands, in all modes."""
    found = {mode: iter(_golden.typed(mode)) for mode in _golden.GOLDEN}
    texts = {}
    for name, lines in _golden.COMMANDS.items():
        parts = []
        for line in lines:
            shown = {mode: next(rest) for mode, rest in found.items()}
            assert {each[0] for each in shown.values()} == {line}
            parts += [f"$ runyard {line}".rstrip(), ""]
            parts += [part for mode, (_, text) in shown.items() for part in (f"--- {mode}", text, "")]
        texts[name] = "\n".join(parts)
    return texts


@pytest.mark.parametrize("name", _golden.COMMANDS)
def test_commands_print_what_stands_there(printed, name):
    file = FOLDER / f"{name}.txt"
    if os.environ.get("WRITE_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(printed[name], "utf-8")
    assert printed[name] == file.read_text("utf-8")


@pytest.mark.parametrize("name", _golden.COMMANDS)
def test_no_colour_means_the_same_without_colours(name):
    text = (FOLDER / f"{name}.txt").read_text("utf-8")
    for part in text.split("\n$ runyard "):
        shown = {
            mode: section.partition("\n")[2]
            for mode in _golden.GOLDEN
            for section in part.split("--- ")
            if section.startswith(f"{mode}\n")
        }
        assert "\\e[3" not in shown["80 columns, NO_COLOR"], part
        assert "\\e[" not in shown["a pipe"], part
        assert "Traceback" not in part
        assert "bug in Runyard" not in part


def test_every_command_is_typed_or_left_out_for_a_reason():
    there = {
        context.command_path.removeprefix("runyard ")
        for context in reference.commands(cli, reference.context_of(cli, "runyard"))
        if not hasattr(context.command, "list_commands")
    }
    lines = [
        line.replace("gcl ", "global-concurrency-limit ")
        for each in _golden.COMMANDS.values()
        for line in each
    ]
    untyped = {path for path in there if not any(f"{line} ".startswith(f"{path} ") for line in lines)}
    whole = {path.partition(" ")[0] for path in untyped} & set(_golden.LEFT_OUT)
    assert whole | {path for path in untyped if path.partition(" ")[0] not in whole} == set(_golden.LEFT_OUT)
