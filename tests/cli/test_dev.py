"""`runyard dev`: deploys on save, runs what is typed, shows the logs, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from _terminal import Terminal
from runyard.client import LocalClient
from runyard.operations.deployments.known_flows import filter_flows
from runyard.operations.schemas import Listing

DEADLINE_SECONDS = 90.0
FLOWS = """
from prefect import flow, get_run_logger

@flow
def etl(day: str = "today", size: int = 1):
    inner(day)

@flow
def inner(day: str):
    get_run_logger().info(f"loading {day}")
"""
PROJECT = """\
deployments:
- name: daily
  entrypoint: flows.py:etl
  schedules: [{interval: 1}]
  pull:
  - prefect.deployments.steps.git_clone: {repository: "https://example.invalid/r.git"}
"""


class Session:
    """A running `runyard dev`; what it prints is read line by line."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "runyard_cli.main", "dev", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._late = threading.Timer(DEADLINE_SECONDS, self.process.kill)
        self._late.start()
        self.lines = []

    def until(self, words):
        """Read until a line has `words`."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if words in line:
                return line
        raise AssertionError("\n".join(self.lines))

    def type(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self, number=signal.SIGINT):
        """Send a signal; the exit code."""
        if number is not None:
            os.killpg(self.process.pid, number)
        rest, _ = self.process.communicate(timeout=DEADLINE_SECONDS)
        self.lines += rest.splitlines()
        self._late.cancel()
        return self.process.returncode


@pytest.fixture
def start(home, tmp_path, monkeypatch):
    """Starts sessions in a folder with flows.py; those that still run are killed at the end."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "flows.py").write_text(FLOWS)
    monkeypatch.chdir(folder)
    sessions = []

    def begin(*arguments):
        sessions.append(Session(*arguments))
        return sessions[-1]

    begin.folder = folder
    yield begin
    for each in sessions:
        if each.process.poll() is None:
            os.killpg(each.process.pid, signal.SIGKILL)
        each.process.communicate()
        each._late.cancel()


def save(folder, name, text):
    """In one step: a file that is read while it is written is deployed half."""
    (folder / "new").write_text(text)
    (folder / "new").rename(folder / name)


def left(runyard):
    """What there is: pools, deployments, runs and flows."""
    found = [runyard(group, "ls", "-o", "json").json for group in ("work-pool", "deployment", "flow-run")]
    found.append(LocalClient().call(filter_flows, Listing()))
    return [each for part in found for each in part]


def test_save_run_and_leave(runyard, start):
    (start.folder / "prefect.yaml").write_text(PROJECT)
    session = start()
    session.until("etl/daily-dev")
    session.type("1 day=monday")
    session.until("loading monday")
    session.until("finished")
    save(start.folder, "flows.py", FLOWS.replace("loading", "fetching"))
    session.until("flows.py saved; deployed again.")
    session.type("")
    session.until("fetching monday")
    session.until("finished")
    session.type("daily size=x")
    session.until("Error: ")
    session.type("dayly")
    session.until("no deployment 'dayly' in this session; did you mean 'daily'?")
    save(start.folder, "flows.py", FLOWS + "x = (")
    session.until("Error: ")
    session.until("Not deployed; waiting for the next save.")
    save(start.folder, "flows.py", FLOWS)
    session.until("deployed again.")
    assert len(runyard("flow-run", "ls", "-o", "json").json) >= 2
    assert session.end() == 0
    assert session.lines[-1] == "Deleted the pool 'dev', its deployments and their runs."
    assert left(runyard) == []


def test_what_was_there_stays(runyard, start):
    (start.folder / "prefect.yaml").write_text(PROJECT)
    runyard("work-pool", "create", "dev", "--type", "process")
    runyard("deploy", "--name", "daily", "--pool", "dev")
    before = runyard("deployment", "inspect", "daily", "-o", "json").json
    session = start()
    session.until("etl/daily-dev-2")
    session.type("q")
    assert session.end(None) == 0
    after = runyard("deployment", "inspect", "daily", "-o", "json").json
    assert after == {**before, "last_polled": after["last_polled"]}
    assert [each["name"] for each in runyard("work-pool", "ls", "-o", "json").json] == ["dev"]


def test_a_run_after_each_save(runyard, start):
    session = start("flows.py", "--run", "etl", "--param", "day=friday")
    session.until("loading friday")
    save(start.folder, "flows.py", FLOWS.replace("loading", "fetching"))
    session.until("fetching friday")
    assert session.end(signal.SIGTERM) == 0
    assert left(runyard) == []


def test_running_runs_are_stopped(runyard, start):
    slow = FLOWS.replace("inner(day)", "import time; print('asleep', flush=True); time.sleep(600)", 1)
    (start.folder / "flows.py").write_text(slow)
    session = start("flows.py:etl")
    session.until("etl/etl-dev")
    session.type("1")
    session.until("asleep")
    began = time.monotonic()
    assert session.end() == 0
    assert time.monotonic() - began < 60  # it does not wait for the run
    assert left(runyard) == []


def test_what_a_killed_session_left_goes_with_the_next(runyard, start):
    first = start()
    first.until("etl/etl-dev")
    first.end(signal.SIGKILL)
    assert left(runyard) != []
    second = start()
    second.until("Deleted pool 'dev', which a killed session had left.")
    second.until("etl/etl-dev")
    assert second.end() == 0
    assert left(runyard) == []


def test_over_http_too(runyard, start, api_server, monkeypatch):
    from _api import serving
    from runyard.store.database import get_database

    with serving(api_server, get_database()) as server:
        monkeypatch.setenv("RUNYARD_API_URL", server.url)
        session = start("--run", "etl")
        session.until("loading today")
        assert session.end() == 0
    monkeypatch.delenv("RUNYARD_API_URL")
    assert left(runyard) == []


@pytest.mark.parametrize("colours", [True, False])
def test_on_a_terminal_levels_have_colours(runyard, start, monkeypatch, colours):
    monkeypatch.setenv("TERM", "xterm-256color")
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    (start.folder / "flows.py").write_text(FLOWS.replace("inner(day)", "1 / 0", 1))
    terminal = Terminal("dev")
    terminal.until("etl/etl-dev")
    terminal.type("1")
    terminal.until("\x1b[31mERROR\x1b[0m" if colours else "| ERROR ")
    terminal.until("ZeroDivisionError")
    terminal.type("q")
    terminal.until("Deleted the pool 'dev'")
    assert terminal.end() == 0
    assert left(runyard) == []


def test_without_a_reader_it_ends_and_leaves_nothing(runyard, start):
    read_end, write_end = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "runyard_cli.main", "dev"],
        stdin=subprocess.DEVNULL, stdout=write_end, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(write_end)
    seen = b""
    while b"etl/etl-dev" not in seen:
        seen += os.read(read_end, 4096)
    os.close(read_end)
    save(start.folder, "flows.py", FLOWS + "\n")
    _, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert (process.returncode, "Traceback" in errors) == (141, False), errors
    assert left(runyard) == []


def test_nothing_to_do_is_said(runyard, start):
    (start.folder / "flows.py").unlink()
    session = start()
    session.until("runyard init")
    save(start.folder, "flows.py", FLOWS)
    session.until("etl/etl-dev")
    assert session.end() == 0


def test_wrong_usage_makes_nothing(runyard, start):
    assert "--run" in runyard("dev", "--param", "a=1", code=2).err
    assert "not both" in runyard("dev", "flows.py", "-n", "etl", code=2).err
    assert "key=value" in runyard("dev", "--run", "etl", "--param", "a", code=1).err
    assert left(runyard) == []
