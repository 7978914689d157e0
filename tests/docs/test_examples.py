"""The examples in the documentation: each runs alone as it stands, and each command line is one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from runyard_cli.main import cli
from runyard_cli.shared.app import Group

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
_BLOCK = re.compile(r"^(?P<before>.*)\n+```(?P<kind>\w+)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: .+ -->")


def blocks(kind):
    """(page, position, text) of every block of a kind, but for those marked as not to be run."""
    found = []
    for page in PAGES:
        lines, at, inside, before, text = page.read_text().splitlines(), 0, None, "", []
        for line in lines:
            if line.startswith("```"):
                if inside is None:
                    inside, text = line.removeprefix("```").strip(), []
                else:
                    if inside == kind and not _NOT_RUN.search(before):
                        found.append((page.name, at, "\n".join(text) + "\n"))
                        at += 1
                    inside, before = None, ""
            elif inside is not None:
                text.append(line)
            elif line.strip():
                before = line
    return found


def named(found):
    return [pytest.param(text, id=f"{page}-{at}") for page, at, text in found]


@pytest.mark.parametrize("code", named(blocks("python")))
def test_an_example_runs_alone(home, tmp_path, code):
    (tmp_path / "example.py").write_text(code)
    done = subprocess.run(
        [sys.executable, "-m", "runyard", "example.py"],
        cwd=tmp_path,
        env={**os.environ, "RUNYARD_PREFECT_IMPORTS": "always"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def command_lines():
    """Every command line of ours in a block of shell commands."""
    for page, at, text in [*blocks("bash"), *blocks("sh"), *blocks("console")]:
        for line in text.replace("\\\n", " ").splitlines():
            words = line.removeprefix("$ ").strip()
            if words.startswith("runyard "):
                yield pytest.param(words, id=f"{page}-{at}-{words[:40]}")


@pytest.mark.parametrize("line", list(command_lines()))
def test_a_command_line_is_one(line):
    words = shlex.split(line.split(" | ")[0].split(" > ")[0].split(" < ")[0], comments=True)[1:]
    words = [word for word in words if word != "&"]
    command, context = cli, typer.Context(cli, info_name="runyard", **cli.context_settings)
    while isinstance(command, Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"{line}: there is no command {words[0]}"
        command, words = found, words[1:]
        context = typer.Context(command, parent=context, info_name=command.name, **command.context_settings)
    if not isinstance(command, Group):
        command.make_parser(context).parse_args(list(words))
