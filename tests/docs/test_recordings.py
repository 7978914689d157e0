"""The recordings in docs/recordings are what the commands print.

After a change of it: `WRITE_GOLDEN=1 pytest tests/docs/test_recordings.py`.
"""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

import _golden
import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "recordings"
_OTHER_HOSTS = re.compile(r"\s*@font-face \{.*?\}|\s*<!--.*?-->", re.DOTALL)
_TEXT = re.compile(r"<text[^>]*>([^<]*)</text>")


@pytest.fixture(scope="module")
def printed():
    return {line: text.replace("\\e", "\x1b") for line, text in _golden.typed("recording")}


def svg(name, printed):
    """A session as a picture. It loads no font from another host."""
    from rich.console import Console
    from rich.text import Text

    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=92, file=nowhere, force_terminal=True, color_system="truecolor")
        for line in _golden.RECORDED[name]:
            console.print(Text.assemble(("$ ", "dim"), (f"runyard {line}", "bold")))
            text = re.sub("/home/ada/runyard-golden_*/home", "/home/ada/.runyard", printed[line])
            console.print(Text.from_ansi(text))
            console.print()
    return _OTHER_HOSTS.sub("", console.export_svg(title="Runyard", unique_id=f"runyard-{name}"))


def shown(picture):
    """The texts of a picture; the rest belongs to the version of rich."""
    return [html.unescape(text).replace("\xa0", " ").rstrip() for text in _TEXT.findall(picture)]


@pytest.mark.parametrize("name", _golden.RECORDED)
def test_a_recording_is_current(printed, name):
    made, file = svg(name, printed), FOLDER / f"{name}.svg"
    if os.environ.get("WRITE_GOLDEN"):
        FOLDER.mkdir(exist_ok=True)
        file.write_text(made, "utf-8")
    stored = file.read_text("utf-8")
    assert shown(made) == shown(stored)
    assert any("runyard" in text for text in shown(stored))
    assert "http" not in stored.replace("http://www.w3.org/2000/svg", "")
    assert f"docs/recordings/{name}.svg" in (FOLDER.parents[1] / "README.md").read_text("utf-8")
