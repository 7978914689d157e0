"""Messages on a terminal break between words; a command in them stays whole. A pipe gets them as they are."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from _screen import Screen
from _yard import until

MISSING = "a-name-that-no-pool-has"
CREATE = f"runyard work-pool create {MISSING} --type process"


@pytest.fixture
def typed(home):
    """Runs a command on a terminal; its exit code, and what it shows, line by line."""

    def type_(*words, columns=80):
        screen = Screen(columns)
        program = [sys.executable, "-m", "runyard_cli.main", *words]
        done = subprocess.run(program, stdin=screen.child, stdout=screen.child, stderr=screen.child)
        # The last line tells that all of it was read.
        os.write(screen.child, b"all")
        until(lambda: screen.text.endswith("all"), "the output")
        lines = screen.text.splitlines()[:-1]
        screen.close()
        return done.returncode, lines

    return type_


def test_a_terminal_gets_whole_words_and_the_command_on_a_line_of_its_own(runyard, typed):
    for name in ("default-agent-pool", "nightly"):
        runyard("work-pool", "create", name, "--type", "process")
    assert typed("work-pool", "inspect", MISSING) == (
        1,
        [
            f"Error: work pool '{MISSING}' not found; there are:",
            "default-agent-pool, nightly. To create it:",
            f"  {CREATE}",
        ],
    )


def test_a_wide_terminal_and_a_pipe_get_one_line(runyard, typed):
    runyard("work-pool", "create", "nightly", "--type", "process")
    line = f"Error: work pool '{MISSING}' not found; there are: nightly. To create it: {CREATE}"
    assert typed("work-pool", "inspect", MISSING, columns=200) == (1, [line])
    assert runyard("work-pool", "inspect", MISSING, code=1).err == f"{line}\n"


def test_a_word_longer_than_the_terminal_is_left_to_it(typed):
    _, lines = typed("variable", "get", "x" * 100, columns=60)
    assert lines == [
        "Error: variable",
        "'" + "x" * 59,
        "x" * 41 + "'",
        "not found; see:",
        "  runyard variable ls",
    ]


def test_wide_characters_count_twice(runyard, typed):
    name = "夜" * 20
    runyard("work-pool", "create", name, "--type", "process")
    # 55 characters on 95 cells.
    assert typed("work-pool", "pause", name, columns=72)[1] == [
        f"Paused work pool '{name}'.",
        "Running runs continue; no other run starts until:",
        f"  runyard work-pool resume '{name}'",
    ]
