"""A worker works on whatever its own output is: closed, full, of another encoding, or not read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from _yard import DEADLINE_SECONDS, WORKER, a_yard, until
from runyard.workers.terminal import Terminal

PRINTS = """
import sys
from runyard import flow

@flow(name="work")
def prints(lines: int = 1):
    for _ in range(lines):
        print("grün ✅ 報告 \\udcff" + "x" * 80)
    sys.stderr.write("no end of line")
"""


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "prints.py").write_text(PRINTS)
        yield yard


def _worker(yard, before: str = "", stdout=subprocess.DEVNULL, **environment):
    """A worker whose process does `before` first."""
    arguments = json.dumps({"pool": "pool", "name": "first", "limit": 2})
    process = subprocess.Popen(
        [sys.executable, "-c", before + WORKER, arguments],
        env={**yard.environment, **environment},
        cwd=yard.folder,
        start_new_session=True,
        stdout=stdout,
        stderr=subprocess.STDOUT,
    )
    yard.workers.append(process)
    return process


def _stop(worker) -> None:
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(DEADLINE_SECONDS) == 0


@pytest.mark.parametrize("closed", ["1", "2", "0, 1, 2"])
def test_closed(yard, closed):
    # As the shell's `>&-`: Python starts without the streams.
    start = f"import os, sys\nfor number in ({closed},):\n    os.close(number)\n"
    run = yard.run(entrypoint="prints.py:prints")
    again = start + "os.execv(sys.executable, [sys.executable, '-c', sys.argv[2], sys.argv[1]])"
    arguments = json.dumps({"pool": "pool", "name": "first", "limit": 2})
    worker = subprocess.Popen(
        [sys.executable, "-c", again, arguments, WORKER],
        env=yard.environment,
        cwd=yard.folder,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yard.workers.append(worker)
    yard.ended(run, "COMPLETED")
    _stop(worker)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_disk(yard):
    run = yard.run(entrypoint="prints.py:prints")
    with open("/dev/full", "w") as full:
        worker = _worker(yard, stdout=full)
    yard.ended(run, "COMPLETED")
    _stop(worker)


def test_another_encoding(yard):
    run = yard.run(entrypoint="prints.py:prints")
    with open(yard.folder / "out", "w") as out:
        worker = _worker(yard, stdout=out, PYTHONIOENCODING="latin-1")
    yard.ended(run, "COMPLETED")
    _stop(worker)
    said = (yard.folder / "out").read_text("latin-1")
    assert "grün \\u2705 \\u5831\\u544a" in said
    assert "stopped!" in said


def test_a_reader_that_is_gone(yard):
    read_end, write_end = os.pipe()
    worker = _worker(yard, stdout=write_end)
    os.close(write_end)
    os.close(read_end)
    yard.ended(yard.run(entrypoint="prints.py:prints"), "COMPLETED")
    _stop(worker)


def test_a_reader_that_does_not_read(yard):
    read_end, write_end = os.pipe()
    worker = _worker(yard, stdout=write_end)
    os.close(write_end)
    # More than the pipe takes: the second run starts and ends beside it.
    yard.ended(yard.run(entrypoint="prints.py:prints", lines=5_000), "COMPLETED")
    yard.ended(yard.run(entrypoint="prints.py:prints"), "COMPLETED")
    _stop(worker)
    os.close(read_end)


def test_a_terminal_that_is_too_slow_leaves_lines_out_and_says_how_many(monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setattr("runyard.workers.terminal._MOST_CHARACTERS", 10)
    monkeypatch.setattr(terminal, "_thread", object())  # nothing is shown for now
    for line in ("one\n", "two\n", "three\n", "four\n"):
        terminal.write("stdout", line)
    assert [text for _, text in terminal._waiting] == ["one\n", "two\n"]
    terminal._waiting.clear()
    terminal._characters = 0
    monkeypatch.setattr(terminal, "_thread", None)
    terminal.write("stdout", "five\n")
    terminal.flush()
    assert capsys.readouterr().out == "(not shown, as the terminal was too slow: 2 lines)\nfive\n"


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_a_hangup_lets_runs_finish(yard):
    run = yard.run()
    worker = yard.worker()
    yard.started()
    worker.send_signal(signal.SIGHUP)
    until(lambda: "may finish" in yard.said(), "the worker's word")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert worker.wait(DEADLINE_SECONDS) == 0


@pytest.mark.skipif(not hasattr(signal, "SIGQUIT"), reason="this system has no SIGQUIT")
def test_a_quit_stops_what_runs_without_waiting_for_it(yard):
    run = yard.run()
    worker = yard.worker()
    yard.started()
    worker.send_signal(signal.SIGQUIT)
    assert worker.wait(DEADLINE_SECONDS) == 0
    yard.ended(run, "CANCELLED")
    assert yard.leases() == []


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")
def test_nohup_stays_in_force(yard):
    worker = _worker(yard, "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n")
    run = yard.run()
    yard.started()
    worker.send_signal(signal.SIGHUP)
    yard.release()
    yard.ended(run, "COMPLETED")
    yard.ended(yard.run(), "COMPLETED")
    _stop(worker)
