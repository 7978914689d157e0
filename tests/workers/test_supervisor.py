"""The launcher and the supervisor of its processes, with real processes and no database."""

from __future__ import annotations

import os
import signal
import sys
import time
from types import SimpleNamespace

import pytest
from runyard.workers.process import launcher
from runyard.workers.process.supervisor import Supervisor

DEADLINE_SECONDS = 60.0


def _claimed(attempt=1, **deployment):
    fields = {"entrypoint": None, "path": None, "pull_steps": None, **deployment}

    def dump(**_):
        return fields

    run = SimpleNamespace(name="calm-otter", parameters={}, model_dump=lambda **_: {"name": "calm-otter"})
    return SimpleNamespace(
        flow_run_id="run",
        attempt=attempt,
        flow_run=run,
        deployment=SimpleNamespace(model_dump=dump, **fields),
    )


def _python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, *arguments]


@pytest.fixture
def logs():
    return []


@pytest.fixture
def start(home, logs):
    supervisors = []

    def make(lease_seconds: float = 30.0):
        patience = lease_seconds * 0.6
        line, beats, pid = launcher.spawn(patience)
        supervisor = Supervisor(line, beats, pid, lease_seconds, {"EVERY": "run"}, logs.extend)
        supervisors.append(supervisor)
        return supervisor

    yield make
    for supervisor in supervisors:
        supervisor.close()


def _until(supervisor, condition):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        supervisor.wait(0.05)


def _run(supervisor, command, **job):
    process = supervisor.launch(_claimed(), {"command": command, "stream_output": False, **job})
    _until(supervisor, lambda: process in supervisor.ended)
    supervisor.logs.flush()
    return process


def _gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_a_run_gets_its_environment_and_folder_and_its_output_is_kept(start, logs, tmp_path):
    code = "from os import *; e = environ; print(getcwd(), e['EVERY'], e['MINE'], e['RUNYARD__ATTEMPT'])"
    process = _run(start(), _python(code), env={"MINE": "4"}, working_dir=str(tmp_path))
    assert process.exit_code == 0
    assert [(body["name"], body["message"]) for body in logs] == [("runyard.stdout", f"{tmp_path} run 4 1")]


def test_a_null_removes_a_variable(start, logs, monkeypatch):
    monkeypatch.setenv("UNWANTED", "yes")
    _run(start(), _python("import os; print(os.environ.get('UNWANTED'))"), env={"UNWANTED": None})
    assert logs[0]["message"] == "None"


def test_all_output_is_there_when_the_run_ends(start, logs):
    _run(start(), _python("for n in range(20000): print(n, 'x' * 20)"))
    assert [body["message"].split()[0] for body in logs] == [str(n) for n in range(20000)]


@pytest.mark.parametrize(
    ("job", "says"),
    [
        ({"command": ["no-such-program"]}, "command 'no-such-program' cannot be started"),
        (
            {"command": ["true"], "working_dir": "/no/such/folder"},
            "working_dir /no/such/folder cannot be entered",
        ),
        ({"command": ["/etc/passwd"]}, "Permission denied"),
        ({"command": ["true\0"]}, "cannot be started: "),
        ({"command": ["true"], "working_dir": "/tmp\0"}, "cannot be entered: "),
        ({"command": ["true"], "env": {"A=B": "1"}}, "the variable 'A=B' of env cannot be set"),
        ({"command": ["true"], "env": {"A": "\0"}}, "the variable 'A' of env cannot be set"),
    ],
)
def test_a_launch_that_fails_says_why(start, logs, job, says):
    supervisor = start()
    process = _run(supervisor, **job)
    assert process.exit_code in (126, 127)
    assert says in process.failure
    assert any(says in body["message"] for body in logs)


def test_a_command_whose_quotes_do_not_match_is_named(start):
    failure = _run(start(), "echo 'it").failure
    assert failure.endswith('command "echo \'it" cannot be split as a shell would: No closing quotation')


def test_exit_codes_and_signals_are_told(start):
    supervisor = start()
    assert _run(supervisor, _python("raise SystemExit(3)")).exit_code == 3
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert _run(supervisor, _python(kill)).exit_code == -signal.SIGKILL


def test_what_a_run_leaves_in_its_group_ends_with_it(start, logs):
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid, flush=True)"
    supervisor = start()
    _run(supervisor, _python(code))
    pid = int(logs[0]["message"])
    _until(supervisor, lambda: _gone(pid))


def test_a_run_that_ignores_sigterm_is_killed_after_the_grace(start, logs):
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"not yet\\n"))
print("ready", flush=True)
while True: time.sleep(1)
"""
    supervisor = start()
    process = supervisor.launch(_claimed(), {"command": _python(code), "stream_output": False})
    _until(supervisor, lambda: supervisor.logs.flush() or logs)
    supervisor.stop(process, grace_seconds=0.5)
    _until(supervisor, lambda: process in supervisor.ended)
    supervisor.logs.flush()
    assert process.exit_code == -signal.SIGKILL
    assert [body["message"] for body in logs] == ["ready", "not yet"]


def test_the_launcher_ends_runs_of_a_worker_that_shows_no_life(start):
    supervisor = start(lease_seconds=1.0)
    process = supervisor.launch(_claimed(), {"command": ["sleep", "600"], "stream_output": False})
    _until(supervisor, lambda: process.pid is not None)
    supervisor._stopped.set()  # as a stopped process would, it beats no more
    _until(supervisor, lambda: process in supervisor.ended)
    assert process.exit_code == -signal.SIGKILL


def test_a_launcher_that_is_lost_takes_its_runs_along_and_another_takes_over(start):
    supervisor = start()
    process = supervisor.launch(_claimed(), {"command": ["sleep", "600"], "stream_output": False})
    _until(supervisor, lambda: process.pid is not None)
    os.kill(supervisor._launcher_pid, signal.SIGKILL)
    _until(supervisor, lambda: process in supervisor.ended)
    assert _gone(process.pid)
    assert _run(supervisor, ["true"]).exit_code == 0


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """A folder of installed packages."""
    folder = tmp_path / "site-packages"
    (folder / "one-1.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr("runyard.workers.process.packages._LOOK_SECONDS", 0.0)
    return folder


def test_a_launcher_is_replaced_when_packages_change_and_its_runs_go_on(start, packages):
    supervisor = start()
    first = supervisor._launcher_pid
    waits = _python("import os, time\nwhile not os.path.exists('go'): time.sleep(0.01)")
    job = {"command": waits, "stream_output": False, "working_dir": str(packages.parent)}
    process = supervisor.launch(_claimed(), job)
    _until(supervisor, lambda: process.pid is not None)
    assert not supervisor.refresh()
    (packages / "one-1.0.dist-info").rename(packages / "one-2.0.dist-info")
    assert supervisor.refresh()
    assert not supervisor.refresh()
    assert supervisor._launcher_pid != first
    next_one = supervisor.launch(_claimed(attempt=2), {"command": ["true"], "stream_output": False})
    _until(supervisor, lambda: next_one in supervisor.ended)
    assert next_one.exit_code == 0
    assert not _gone(first)
    (packages.parent / "go").touch()
    _until(supervisor, lambda: process in supervisor.ended)
    assert process.exit_code == 0
    assert _gone(first)


def test_a_mark_that_is_written_in_place_makes_a_fresh_launcher(start, packages):
    links = packages / "edited.pth"
    links.write_text("/one\n")
    supervisor = start()
    for path in (links, packages / "one-1.0.dist-info"):
        seen, folder = path.stat(), packages.stat()
        os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns + 1_000_000_000))
        assert packages.stat().st_mtime_ns == folder.st_mtime_ns
        assert supervisor.refresh()
        assert not supervisor.refresh()


def test_a_replaced_launcher_that_is_lost_takes_only_its_own_runs_along(start, packages):
    supervisor = start()
    first = supervisor._launcher_pid
    old = supervisor.launch(_claimed(), {"command": ["sleep", "600"], "stream_output": False})
    _until(supervisor, lambda: old.pid is not None)
    (packages / "two.pth").touch()
    assert supervisor.refresh()
    new = supervisor.launch(_claimed(attempt=2), {"command": ["sleep", "600"], "stream_output": False})
    _until(supervisor, lambda: new.pid is not None)
    os.kill(first, signal.SIGKILL)
    _until(supervisor, lambda: old in supervisor.ended)
    assert not _gone(new.pid)
    supervisor.kill(new)
    _until(supervisor, lambda: new in supervisor.ended)


def test_what_is_no_package_makes_no_launcher(start, packages):
    supervisor = start()
    (packages / "module.py").touch()
    (packages / "__pycache__").mkdir()
    assert not supervisor.refresh()


def test_runs_end_when_their_worker_is_gone(start):
    supervisor = start()
    process = supervisor.launch(_claimed(), {"command": ["sleep", "600"], "stream_output": False})
    _until(supervisor, lambda: process.pid is not None)
    supervisor.close()
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not _gone(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)
