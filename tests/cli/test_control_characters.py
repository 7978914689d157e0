"""What is stored may hold codes that terminals obey; commands spell them out."""

from __future__ import annotations

import re

import pytest
from _terminal import Terminal
from hypothesis import given
from hypothesis import strategies as st
from runyard import flow, get_run_logger
from runyard.base.texts import visible
from runyard.sdk.variables import Variable

# It sets the title and the clipboard, clears the screen, and turns the direction of writing.
EVIL = "a\x1b]0;title\x07\x1b]52;c;ZXZpbA==\x07\x1b[2J\r\x9b31mb\u202ec"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@flow(flow_run_name="run {text}", description=EVIL)
def evil(text):
    get_run_logger().warning("\x1b[31mred\x1b[0m %s", text)
    raise ValueError(text)


@pytest.fixture
def stored(runyard):
    evil(EVIL, return_state=True)
    Variable.set("v", EVIL)
    return runyard("flow-run", "ls", "-o", "json").json[0]["id"]


@pytest.mark.parametrize(
    "command",
    [
        ("flow-run", "ls"),
        ("flow-run", "inspect", "{run}"),
        ("flow-run", "logs", "{run}"),
        ("flow-run", "why", "{run}"),
        ("flow-run", "watch", "{run}"),
        ("variable", "ls"),
        ("variable", "inspect", "v"),
        ("flow-run", "ls", "-o", "json"),
        ("variable", "inspect", "v", "-o", "json"),
    ],
    ids=" ".join,
)
def test_codes_are_spelled_out(runyard, stored, command):
    code = 1 if "watch" in command else 0
    answer = runyard(*(word.replace("{run}", stored) for word in command), code=code)
    assert OBEYED.search(answer.out) is None
    if "json" in command:
        assert EVIL in texts_in(answer.json)


def texts_in(value):
    """All texts in a JSON value, one after the other."""
    if isinstance(value, str):
        return value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return "".join(map(texts_in, parts))


def test_errors_spell_codes_out(runyard):
    assert OBEYED.search(runyard("variable", "get", EVIL, code=1).err.replace("\n", "")) is None


def test_colours_of_logs_stay():
    assert visible("\x1b[1;31mred\x1b[0m \x1b[2J", colours=True) == "\x1b[1;31mred\x1b[0m \\x1b[2J"


@pytest.mark.parametrize("code", ["31", "8", "0;31", "38;5;1", "1m\x1b[32"])
def test_colours_end_with_their_text(code):
    assert visible(f"a\x1b[{code}mb", colours=True) == f"a\x1b[{code}mb\x1b[0m"
    assert visible(f"a\x1b[{code}mb\x1b[m", colours=True) == f"a\x1b[{code}mb\x1b[m"


@flow
def hiding():
    get_run_logger().info("hide \x1b[8m")
    get_run_logger().info("shown")


def test_a_record_does_not_hide_the_next_ones(runyard):
    hiding()
    terminal = Terminal("flow-run", "logs", "-")
    terminal.until("hide \x1b[8m\x1b[0m")
    terminal.until("shown")
    assert terminal.end() == 0
    assert visible("\x1b[31mred") == r"\x1b[31mred"
    assert visible("a\r\nb\tc") == "a\nb\tc"


@given(st.text())
def test_what_a_terminal_does_not_obey_is_shown_as_it_is(text):
    assert OBEYED.search(visible(text)) is None
    if OBEYED.search(text) is None:
        assert visible(text) == text
