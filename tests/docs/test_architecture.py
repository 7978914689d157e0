"""The pages on the code are true: the files, rooms and figures of the layout that they name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CORE = ROOT / "core" / "runyard"
PAGES = {
    name: (ROOT / "docs" / name).read_text("utf-8")
    for name in ("architecture.md", "ways-through-the-code.md")
}
_FILE = re.compile(r"(?<![\w/.])((?:\w+/)+\w+\.py)\b")
_ROOM = re.compile(r"^\| `(\w+)/` \|", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_are_there(page):
    named = set(_FILE.findall(PAGES[page]))
    assert named or page == "architecture.md"
    assert [name for name in sorted(named) if not ((CORE / name).is_file() or (ROOT / name).is_file())] == []


def test_the_page_lists_every_room_in_the_order_that_the_linter_checks():
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    checked = re.search(
        r'containers = \["runyard"\].*?^layers = \[(.*?)\]', pyproject, re.DOTALL | re.MULTILINE
    )
    assert _ROOM.findall(PAGES["architecture.md"]) == re.findall(r'"(\w+)"', checked[1])
