"""The recipes of CONTRIBUTING.md: applied to a copy of the code, each does what it says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
_SECTION = re.compile(r"^## (Add .+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"^`([\w./]+)`:\n\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONSOLE = re.compile(r"```console\n\$ (.*?)\n(.*?)```", re.DOTALL)
_TABLE_ROW = re.compile(r"^\| `([\w./]+)` \|", re.MULTILINE)
MOST_FILES = 4


def _apply(path: Path, kind: str, text: str) -> None:
    """Write a file of a recipe, or the lines that a diff shows in place of those around them."""
    if kind != "diff":
        path.write_text(text, "utf-8")
        return
    lines = text.splitlines(keepends=True)
    before = "".join(line[1:] for line in lines if line[0] in " -")
    after = "".join(line[1:] for line in lines if line[0] in " +")
    content = path.read_text("utf-8")
    assert content.count(before) == 1, f"{path.name}: {before!r}"
    path.write_text(content.replace(before, after), "utf-8")


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the code in which every recipe is applied."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("core", "cli", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for _title, text in _SECTION.findall(PAGE):
        for name, kind, content in _FILE.findall(text):
            _apply(folder / name, kind, content)
    return folder


@pytest.mark.parametrize(
    ("title", "text"), [pytest.param(*found, id=found[0]) for found in _SECTION.findall(PAGE)]
)
def test_a_recipe_does_what_it_says(home, tree, title, text):
    places = os.pathsep.join(str(tree / name) for name in ("core", "cli", "templates"))
    programs = os.pathsep.join((os.path.dirname(sys.executable), os.environ["PATH"]))
    environment = {**os.environ, "PYTHONPATH": places, "PATH": programs}
    for command, expected in _CONSOLE.findall(text):
        done = subprocess.run(
            ["bash", "-c", command], env=environment, cwd=tree, capture_output=True, text=True, timeout=120
        )
        assert (done.returncode, done.stdout) == (0, expected), done.stderr


@pytest.mark.parametrize(
    ("title", "text"), [pytest.param(*found, id=found[0]) for found in _SECTION.findall(PAGE)]
)
def test_a_recipe_touches_few_files_that_are_there(title, text):
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| File ")]
    assert 1 <= len(rows) <= MOST_FILES
    for name in _TABLE_ROW.findall(text):
        if "NAME" not in name and "NNNN" not in name:
            assert (ROOT / name).parent.is_dir(), name
