"""`worker start` on a terminal: a view of its runs stays below the output; elsewhere plain lines."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from _screen import Screen
from _yard import DEADLINE_SECONDS, WORKER, a_yard, until
from runyard.workers.live_region import LiveRegion

RULE = "─" * 79
FLOW = """
from runyard import flow

@flow(name="work")
def fails():
    raise ValueError("no")
"""


class Stream:
    """A text stream on a descriptor."""

    encoding = "utf-8"

    def __init__(self, file):
        self.fileno = lambda: file


class View:
    """A view whose lines a test sets."""

    shown: tuple[str, ...] = ()

    def lines(self, columns, most):
        return [line[:columns] for line in self.shown[:most]]

    def seconds(self):
        return 1.0


@pytest.fixture
def screen():
    screen = Screen()
    yield screen
    screen.close()


def test_output_scrolls_above_the_region_and_only_changes_are_drawn(screen):
    view = View()
    region = LiveRegion(view, Stream(screen.child))
    view.shown = ("one", "two")
    region.show([])
    until(lambda: screen.text == "one\ntwo", "the region")
    region.show([("stderr", "a line\n"), ("stdout", "x" * 100 + "\n")])
    until(lambda: screen.text == f"a line\n{'x' * 80}\n{'x' * 20}\none\ntwo", "the lines above it")
    written = screen.output
    region.show([])
    view.shown = ("three",)
    region.show([])
    until(lambda: screen.text == f"a line\n{'x' * 80}\n{'x' * 20}\nthree", "the smaller region")
    # The unchanged region was not drawn again.
    assert screen.output.removeprefix(written).count("three") == 1
    assert "two" not in screen.output.removeprefix(written)
    region.erase()
    until(lambda: screen.text == f"a line\n{'x' * 80}\n{'x' * 20}", "the end of the region")


def test_after_a_suspension_the_region_is_drawn_again_below(screen):
    view = View()
    view.shown = ("one",)
    region = LiveRegion(view, Stream(screen.child))
    region.show([])
    os.write(screen.child, b"$ fg\n")
    region.forget()
    region.show([])
    until(lambda: screen.text == "one\n$ fg\none", "the new region")


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "fails.py").write_text(FLOW)
        yield yard


def on_screen(yard, screen, before="", environment=None, **options):
    """A worker whose streams are the terminal."""
    arguments = json.dumps({"pool": "pool", "name": "first", "limit": 2, **options})
    given = {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **(environment or {})}
    worker = subprocess.Popen(
        [sys.executable, "-c", before + WORKER, arguments],
        env={**yard.environment, **given},
        cwd=yard.folder,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=screen.child,
        stderr=screen.child,
    )
    yard.workers.append(worker)
    return worker


def stop(worker):
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0


def test_slots_what_runs_and_the_results_are_shown_until_the_worker_stops(yard, screen):
    worker = on_screen(yard, screen)
    head = "Worker first · pool pool · 0 of 2 slots"
    until(lambda: f"{RULE}\n{head}\nNext     · nothing is due" in screen.text, "the empty view")
    run = yard.run()
    yard.started()
    until(lambda: "· 1 of 2 slots" in screen.text and "Running  ● " in screen.text, "the running run")
    assert re.search(r"Running  ● \S+ +work/crash  \d+ s$", screen.text, re.MULTILINE)
    yard.release()
    yard.ended(run, "COMPLETED")
    until(lambda: "0 of 2 slots · 1 completed" in screen.text, "the result")
    assert re.search(r"Last     ✓ \S+ +work/crash  Completed in \d+ s, just now$", screen.text, re.MULTILINE)
    yard.ended(yard.run(entrypoint="fails.py:fails"), "FAILED")
    until(lambda: "1 completed, 1 failed" in screen.text, "the second result")
    assert re.search(r"Last     ✗ \S+ +work/crash  Failed in \d+ s", screen.text)
    # The output stands above the view, whole.
    above = screen.text.partition(RULE)[0]
    assert "Worker 'first' started!" in above
    assert re.search(r"\nworking\n", above)
    stop(worker)
    until(lambda: "stopped!" in screen.text, "the last line")
    assert screen.text.endswith("2 flow runs: 1 completed, 1 failed.\nWorker 'first' stopped!")
    assert RULE not in screen.text
    assert "pool pool" not in screen.text


def test_a_paused_pool_and_what_is_due_next_are_shown(yard, screen, runyard_cli):
    runyard_cli("work-pool", "pause", "pool")
    on_screen(yard, screen)
    until(lambda: "the pool is paused: no run starts" in screen.text, "the pause")
    yard.run()
    runyard_cli("deployment", "schedule", "create", "work/crash", "--cron", "0 7 1 1 *", "--timezone", "UTC")
    until(lambda: re.search(r"Next     ○ in \d+ d  work/crash  \d+-01-01 07:00:00 UTC", screen.text), "it")
    runyard_cli("work-pool", "resume", "pool")
    until(lambda: "is paused" not in screen.text.partition(RULE)[2], "the end of the pause")


@pytest.fixture
def runyard_cli(yard):
    def call(*arguments):
        subprocess.run(
            [sys.executable, "-m", "runyard_cli.main", *arguments],
            env=yard.environment,
            check=True,
            capture_output=True,
        )

    return call


def test_without_colours_the_signs_tell_the_states(yard, screen):
    on_screen(yard, screen, environment={"NO_COLOR": "1"})
    yard.ended(yard.run(entrypoint="fails.py:fails"), "FAILED")
    until(lambda: "Last     ✗ " in screen.text, "the result")
    assert not re.search(r"\x1b\[[0-9;]*\b(3[0-7]|38|9[0-7])\b[0-9;]*m", screen.output)


def test_a_terminal_without_these_signs_gets_ascii(yard, screen):
    on_screen(yard, screen, environment={"PYTHONIOENCODING": "ascii"})
    yard.ended(yard.run(entrypoint="fails.py:fails"), "FAILED")
    until(lambda: "Last     x " in screen.text, "the result")
    assert f"{'-' * 79}\nWorker first - pool pool - 0 of 2 slots - 1 failed" in screen.text
    assert screen.output.isascii()


def test_plain_lines_when_wished_and_on_a_terminal_that_cannot_move_its_cursor(yard, screen):
    for number, more in enumerate(({"plain": True}, {"environment": {"TERM": "dumb"}}), 1):
        worker = on_screen(yard, screen, **more)
        yard.ended(yard.run(entrypoint="fails.py:fails"), "FAILED")
        until(lambda number=number: screen.output.count("finished: Failed") == number, "the line")
        stop(worker)
    assert "\x1b[" not in re.sub(r"\x1b\[[0-9;]*m", "", screen.output)
    assert "slots" not in screen.output


def test_a_pipe_gets_plain_lines_and_rich_is_not_loaded(yard):
    tells = "import atexit, sys\natexit.register(lambda: print('rich:', 'rich' in sys.modules))\n"
    arguments = json.dumps({"pool": "pool", "name": "first", "limit": 2})
    worker = subprocess.Popen(
        [sys.executable, "-c", tells + WORKER, arguments],
        env={**yard.environment, "TERM": "xterm-256color"},
        cwd=yard.folder,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    yard.workers.append(worker)
    yard.ended(yard.run(entrypoint="fails.py:fails"), "FAILED")
    worker.send_signal(signal.SIGTERM)
    said = worker.communicate(timeout=DEADLINE_SECONDS)[0].decode()
    assert "finished: Failed" in said
    assert "\x1b" not in said
    assert said.endswith("Worker 'first' stopped!\nrich: False\n")


def test_what_the_process_prints_itself_stands_above_the_view(yard, screen):
    # A warning of a library, in a thread of the worker.
    warns = (
        "import sys, threading, time\n"
        "def warn():\n"
        "    while not hasattr(sys.stderr, '_name'):\n"
        "        time.sleep(0.01)\n"
        "    print('a warning', file=sys.stderr)\n"
    )
    start = warns + WORKER.replace("try:", "threading.Timer(0.5, warn).start()\ntry:")
    arguments = json.dumps({"pool": "pool", "name": "first", "limit": 2})
    worker = subprocess.Popen(
        [sys.executable, "-c", start, arguments],
        env={**yard.environment, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"},
        cwd=yard.folder,
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=screen.child,
        stderr=screen.child,
    )
    yard.workers.append(worker)
    until(lambda: f"a warning\n{RULE}" in screen.text, "the warning above the view")
    stop(worker)


@pytest.mark.parametrize("colours", [True, False])
def test_levels_of_log_lines_are_coloured(screen, monkeypatch, colours):
    monkeypatch.delenv("NO_COLOR", raising=False)
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    region = LiveRegion(View(), Stream(screen.child))
    region.show([("stderr", "07:00:00.123 | ERROR   | it failed\n07:00:00.124 | INFO    | an ERROR\n")])
    until(lambda: screen.text.endswith("an ERROR"), "the lines")
    assert screen.text == "07:00:00.123 | ERROR   | it failed\n07:00:00.124 | INFO    | an ERROR"
    assert ("\x1b[31mERROR\x1b[0m   | it failed" in screen.output) is colours
    assert "\x1b[31mERROR\x1b[0m\n" not in screen.output


def test_an_unchanged_page_is_not_painted_again():
    from runyard.workers.live_rendering import Line, Page, Painter

    def page(note):
        return Page(["Worker w"], None, [Line("RUNNING", "calm-otter", "etl/d", note)], [], [])

    painter = Painter("utf-8")
    first = painter.paint(page("1 s"), 79, 10)
    assert painter.paint(page("1 s"), 79, 10) is first
    assert "2 s" in painter.paint(page("2 s"), 79, 10)[2]
    assert len(painter.paint(page("2 s"), 79, 2)) == 2
    assert painter.paint(page("2 s"), 30, 10)[0].count("─") == 30


def test_a_small_terminal_gets_fewer_lines_and_is_told_how_many_are_left_out():
    from runyard.workers.live_rendering import Line, Page, Painter

    runs = [Line("RUNNING", f"run-{number}", "etl/d", "1 s") for number in range(12)]
    due = [Line("SCHEDULED", f"in {number} min", "etl/d", "") for number in range(5)]
    results = [Line("FAILED", f"end-{number}", "etl/d", "Failed") for number in range(5)]
    lines = Painter("ascii").paint(Page(["Worker w"], None, runs, due, results), 79, 8)
    text = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(lines))
    assert len(lines) == 8
    assert [line.split()[:3] for line in text.splitlines()[2:]] == [
        ["Running", "*", "run-0"],
        [".", "and", "11"],
        ["Next", "o", "in"],
        ["o", "in", "1"],
        ["Last", "x", "end-0"],
        ["x", "end-1", "etl/d"],
    ]


def test_a_title_that_is_too_long_for_the_terminal_gets_a_second_line():
    from runyard.workers.live_rendering import Page, Painter

    title = ["Worker crane-4009-dcc4", "pool default-agent-pool", "0 running", "1 completed, 1 failed"]
    page = Page(title, "the pool is paused: no run starts", [], [], [])

    def shown(columns, most=10):
        lines = Painter("utf-8").paint(page, columns, most)
        return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines[1:]]

    assert shown(150) == [" · ".join([*title, page.warning])]
    assert shown(79) == [" · ".join(title[:3]), f"{title[3]} · {page.warning}"]
    assert shown(79, 2) == [" · ".join(title[:3])]
