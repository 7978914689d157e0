"""The first process of a container as a plain process, and the lines by which it tells its worker."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from _yard import is_gone, until
from hypothesis import given
from hypothesis import strategies as st
from runyard.workers.jobs import marked_lines

# Stands in the place of `runyard.workers.process.child`, as what the first process starts.
RUN = """
import json, os, signal, subprocess, sys, time
from runyard.workers.process.status_channel import StatusChannel
tell = StatusChannel.inherited().tell
"""
FACTS = st.dictionaries(st.text(), st.none() | st.booleans() | st.text())


@given(FACTS)
def test_facts_are_read_as_they_were_told(what):
    line = marked_lines.facts(what)
    assert "\n" not in line
    assert marked_lines.read(line) == (None, what, False)


@given(st.text(st.characters(exclude_characters="\n")))
def test_what_is_only_shown_is_not_kept(text):
    assert marked_lines.read(marked_lines.shown(text)) == (text, None, False)


@given(st.text(st.characters(exclude_characters="\x1f\n")))
def test_other_lines_are_kept_as_they_are(text):
    assert marked_lines.read(text) == (text, None, True)


@pytest.mark.parametrize(
    "text", ["\x1f", "\x1ffacts ", "\x1ffacts [1]", "\x1ffacts {", "\x1fother", "\x1ffacts 1"]
)
def test_a_mark_without_sense_is_a_line_like_others(text):
    assert marked_lines.read(text) == (text, None, True)


@pytest.fixture
def begin(tmp_path):
    """Start the first process with a run of this code."""
    started = []

    def begin(code):
        package = tmp_path / "instead"
        package.mkdir()
        # As `python -m runyard.workers.process.child` would be found: by a finder that is asked first.
        (package / "sitecustomize.py").write_text(
            "import ctypes, sys\n"
            "if 'runyard.workers.jobs.container_main' in sys.orig_argv:\n"
            "    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"  # orphans become its children, as in a container
            "if 'runyard.workers.process.child' in sys.orig_argv:\n"
            f"    code = open({str(tmp_path / 'run.py')!r}).read()\n"
            "    sys.argv = ['run']\n"
            "    try:\n"
            "        exec(compile(code, 'run.py', 'exec'), {'__name__': 'run'})\n"
            "    except SystemExit as stop:\n"
            "        import os\n"
            "        sys.stdout.flush()\n"
            "        os._exit(stop.code or 0)\n"
            "    import os\n"
            "    os._exit(0)\n"
        )
        (tmp_path / "run.py").write_text(RUN + code)
        path = os.pathsep.join([str(package), *sys.path])
        process = subprocess.Popen(
            [sys.executable, "-m", "runyard.workers.jobs.container_main"],
            env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("sys.exit(0)", 0),
        ("sys.exit(7)", 7),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 139),
    ],
)
def test_its_exit_code_is_that_of_the_run_as_a_shell_tells_it(begin, code, expected):
    process = begin(code)
    process.communicate(timeout=60)
    assert process.returncode == expected


def test_all_that_is_printed_is_passed_on_to_the_same_stream(begin):
    code = "print('out'); print('err', file=sys.stderr); os.write(1, b'x' * 300_000 + b' no end')"
    out, err = begin(code).communicate(timeout=60)
    assert out.startswith("out\n")
    assert out.count("x") == 300_000
    assert "no end" in out
    assert err == "err\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_are_passed_on_to_the_run(begin, number):
    process = begin(
        "def end(number, frame):\n    print('got', number)\n    sys.exit(3)\n"
        f"signal.signal({int(number)}, end)\nprint('ready', flush=True)\n"
        # In slices: Python does not notice a signal that comes just before a call that waits.
        "while True:\n    time.sleep(0.1)\n"
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert out == f"got {int(number)}\n"
    assert process.returncode == 3


def test_secrets_of_the_run_are_hidden_and_the_worker_is_told_of_the_rest(begin):
    process = begin(
        "tell(secrets=['quite-a-secret'], failure='it is quite-a-secret', reported=True)\n"
        "os.system('echo quite-a-secret')\n"
    )
    out, err = process.communicate(timeout=60)
    assert "quite-a-secret" not in out
    assert "********" in out
    told = [facts for line in err.splitlines() if (facts := marked_lines.read(line)[1])]
    assert any(facts.get("reported") for facts in told)
    assert "secrets" not in json.dumps(told)


def test_what_the_run_leaves_behind_is_reaped(begin):
    # The run ends only when its orphan is gone, which it is when the first process has reaped it.
    process = begin(
        "read, write = os.pipe()\n"
        "first = os.fork()\n"
        "if first == 0:\n"
        "    orphan = os.fork()\n"
        "    if orphan:\n"
        "        os.write(write, str(orphan).encode())\n"
        "    os._exit(0)\n"
        "os.waitpid(first, 0)\n"
        "orphan = os.read(read, 100).decode()\n"
        "while os.path.exists('/proc/' + orphan):\n"
        "    time.sleep(0.01)\n"
        "print('gone')\n"
    )
    out, _ = process.communicate(timeout=60)
    assert out == "gone\n"
    assert process.returncode == 0


def test_the_run_is_killed_with_it(begin):
    process = begin("print(os.getpid(), flush=True)\ntime.sleep(60)\n")
    run = int(process.stdout.readline())
    process.kill()
    until(lambda: is_gone(run), "the end of the run")
