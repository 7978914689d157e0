"""`runyard` as a process: pipes, interrupts, tracebacks, JSON, scripts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from _terminal import Terminal

COMMAND = [sys.executable, "-m", "runyard_cli.main"]


def test_the_script_is_installed(home):
    done = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "runyard"), "--version"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "0.1.0"


def test_text_in_a_pipe_has_no_colours(program):
    program("work-pool", "create", "mine", "-t", "process")
    answer = program("work-pool", "ls")
    assert "\x1b" not in answer.out
    assert answer.out.split("\t")[0] == "mine"


def test_a_reader_that_leaves_is_no_error(home):
    process = subprocess.Popen(
        [*COMMAND, "config", "view", "--show-defaults"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(30) in (0, 141)


def test_an_error_has_a_traceback_only_with_debug(program, monkeypatch):
    answer = program("work-pool", "inspect", "nobody", code=1)
    assert answer.out == ""
    assert len(answer.err.splitlines()) == 1
    assert "Traceback" in program("work-pool", "inspect", "nobody", "--debug", code=1).err
    assert "Traceback" in program("--debug", "work-pool", "inspect", "nobody", code=1).err
    monkeypatch.setenv("RUNYARD_DEBUG", "1")
    assert "Traceback" in program("work-pool", "inspect", "nobody", code=1).err


def test_an_unexpected_error_is_called_a_bug(runyard, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("nobody thought of this")

    monkeypatch.setattr("runyard.store.database_maintenance.where", broken)
    error = runyard("database", "path", code=1).err
    assert "bug" in error
    assert "--debug" in error
    assert len(error.splitlines()) == 1


def test_an_interrupt_ends_with_130(home, tmp_path):
    script = tmp_path / "wait.py"
    # In slices: Python does not notice a signal that comes just before a call that waits.
    script.write_text("import time\nprint('ready', flush=True)\nwhile True:\n    time.sleep(0.1)\n")
    process = subprocess.Popen([*COMMAND, "run", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors


def test_an_api_that_does_not_answer(program, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", "http://127.0.0.1:9/api")
    error = program("work-pool", "ls", code=1).err
    assert "RUNYARD_API_URL" in error
    assert len(error.splitlines()) == 1


def test_a_setting_of_the_wrong_type(program, monkeypatch):
    monkeypatch.setenv("RUNYARD_WORKER_LEASE_SECONDS", "soon")
    assert "is not a number" in program("config", "view", code=1).err
    monkeypatch.delenv("RUNYARD_WORKER_LEASE_SECONDS")
    monkeypatch.setenv("RUNYARD_DEBUG", "perhaps")
    assert "is not true or false" in program("config", "view", code=1).err


def test_config_hides_secrets(program, monkeypatch):
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "me:hunter2")
    monkeypatch.setenv("RUNYARD_API_AUTH_STRING", "me:hunter2")
    assert "hunter2" not in program("config", "view").out
    assert "me:hunter2" in program("config", "view", "--show-secrets").out
    names = {row["name"] for row in program("config", "view", "--show-defaults", "-o", "json").json}
    assert "RUNYARD_WORKER_LEASE_SECONDS" in names


def test_version_says_where_the_data_is(program, home):
    assert program("version", "-o", "json").json["database"] == str(home / "runyard.db")


SCRIPT = """
import sys
from prefect import flow

@flow
def greet(name: str = "you", times: int = 1):
    if times < 0:
        raise ValueError("cannot greet backwards")
    print(*[f"hello {name}"] * times)

if __name__ == "__main__":
    greet(*sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path):
    file = tmp_path / "greet.py"
    file.write_text(SCRIPT)
    return file


def test_a_script_runs_with_its_arguments(program, script):
    assert "hello world" in program("run", script, "world").out


def test_a_flow_runs_with_parameters(program, script):
    assert (
        "hello 1 hello 1" in program("run", f"{script}:greet", "-p", "name=1", "--params", '{"times": 2}').out
    )
    assert json.loads(program("flow-run", "ls", "-o", "json").out)[0]["state_type"] == "COMPLETED"


def test_a_failing_flow_shows_its_own_traceback(program, script):
    error = program("run", f"{script}:greet", "-p", "times=-1", code=1).err
    assert "cannot greet backwards" in error
    assert "bug in Runyard" not in error


@pytest.mark.parametrize(
    ("target", "words"), [("nowhere.py", "nowhere.py"), ("nowhere.py:flow", "nowhere.py"), ("greet", "greet")]
)
def test_what_cannot_be_run(program, target, words):
    error = program("run", target, code=1).err
    assert words in error
    assert len(error.splitlines()) == 1


def test_parameters_need_a_flow(program, script):
    assert ":FLOW" in program("run", script, "--param", "x=1", code=2).err


def test_exit_codes(program, home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program("work-pool", "ls")
    program("work-pool", "inspect", "nosuch", code=1)
    program("work-pool", "nosuch", code=2)
    (tmp_path / "a.py").write_text("from prefect import flow\n\n@flow\ndef f():\n    pass\n")
    program("work-pool", "create", "p", "--type", "process")
    assert program("deploy", "a.py:f", "-n", "d", "-p", "p", "--plan", code=2).err == ""
    program("deploy", "a.py:f", "-n", "d", "-p", "p")
    program("deploy", "a.py:f", "-n", "d", "-p", "p", "--plan", code=0)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_terminal_of_any_encoding_shows_lists(runyard, monkeypatch, encoding):
    runyard("work-pool", "create", "p", "--type", "process")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    terminal = Terminal("work-pool", "ls")
    terminal.until("✗ NOT_READY" if encoding == "utf-8" else " NOT_READY")
    assert terminal.end() == 0


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_what_an_encoding_lacks_is_spelled_out(runyard, program, monkeypatch, encoding):
    runyard("variable", "set", "v", "a✓")
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    assert program("variable", "get", "v").out == "a\\u2713\n"


def test_watching_clears_the_screen_without_colours_but_not_on_a_dumb_terminal(runyard, monkeypatch):
    runyard("work-pool", "create", "p", "--type", "process")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal("work-pool", "ls", "--watch")
    terminal.until("\x1b[2J")
    assert terminal.interrupt() == 130
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal("work-pool", "ls", "--watch")
    assert "\x1b" not in terminal.until("NOT_READY")
    assert terminal.interrupt() == 130
