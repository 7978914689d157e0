"""`-o yaml` holds the same values for readers of YAML 1.1 and 1.2, and nothing that a terminal executes."""

from __future__ import annotations

import re

import pytest
import yaml
from runyard.sdk.variables import Variable

# What YAML 1.1 or 1.2, and common readers of either, take for a number, a switch, a date or a tag.
TEXTS = [
    *("no", "007", "2026-11-29", "!!python/object/apply:os.system [id]", "12:30:00", "~", "", "null", "<<"),
    *("08", "0o7", "0x1F", "0b1", "1e3", "12e03", "-.5", "+1", "1_000", ".inf", "y", "N", "%c", "@a", "`b"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_quoted(runyard, text):
    Variable.set("v", text)
    printed = runyard("variable", "inspect", "v", "-o", "yaml").out
    (line,) = [each for each in printed.splitlines() if each.startswith("value: ")]
    assert line.removeprefix("value: ")[0] in "'\""
    assert yaml.safe_load(printed)["value"] == text


def test_plain_texts_are_not_quoted(runyard):
    Variable.set("v", "calm-otter 01a22831-e42b")
    assert "value: calm-otter 01a22831-e42b\n" in runyard("variable", "inspect", "v", "-o", "yaml").out


EVIL = "a\x1b[2J\x85\x9b31m\u202eb\u2028c\u2066d\u200f: e\n# f "


def test_nothing_is_left_for_a_terminal_to_execute(runyard):
    Variable.set("v", {"text": EVIL, EVIL: ["x" * 200 + EVIL]})
    printed = runyard("variable", "get", "v", "-o", "yaml").out
    assert re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]", printed) is None
    assert yaml.safe_load(printed) == {"text": EVIL, EVIL: ["x" * 200 + EVIL]}
