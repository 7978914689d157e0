"""The examples in the documentation: each runs alone as it stands, and each command line is one."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
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
    """Every command line of ours: in a block of commands, in an indented block, or in a sentence."""
    found = {}
    for page, _, text in [*blocks("bash"), *blocks("sh"), *blocks("console")]:
        lines = text.replace("\\\n", " ").splitlines()
        found |= {line.removeprefix("$ ").strip(): page for line in lines}
    for path in PAGES:
        if path.name != "cli.md":
            page = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
            indented = re.findall(r"^ {4}(?:\$ )?(runyard .+(?:\\\n.+)*)$", page, re.MULTILINE)
            found |= {line.replace("\\\n", " "): path.name for line in indented}
            found |= {" ".join(line.split()): path.name for line in re.findall(r"`(runyard [^`]+)`", page)}
    for line, page in found.items():
        if line.startswith("runyard "):
            yield pytest.param(line, id=f"{page}-{line[:60]}")


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


def test_extras_that_the_pages_name_are_there():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {
        name.strip()
        for page in PAGES
        for found in re.findall(r"(?:runyard|[\"' ]\.)\[([a-z, ]+)\]", page.read_text())
        for name in found.split(",")
    }
    assert {"aws", "docker", "server"} <= named <= set(extras)
