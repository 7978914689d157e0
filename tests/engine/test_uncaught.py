"""What a script says that cannot keep records, or whose settings are wrong: one line, as commands do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

FLOW = "from runyard import flow\n@flow\ndef hi():\n    return 1\nhi()\n"
ASYNC = "import asyncio\nfrom runyard import flow\n@flow\nasync def hi():\n    return 1\nasyncio.run(hi())\n"
TASK = "from runyard import task\n@task\ndef hi():\n    print('ran')\nhi()\n"
SUBMITTED = TASK.removesuffix("()\n") + ".submit()\n"
VARIABLE = "from runyard.sdk.variables import Variable\nVariable.get('x')\n"


def ran(folder, code, *before, **environment):
    (folder / "script.py").write_text(code)
    return subprocess.run(
        [sys.executable, *before, "script.py"],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("before", [(), ("-m", "runyard")])
@pytest.mark.parametrize(
    "environment",
    [
        {"RUNYARD_LOGGING_LEVEL": "NOPE"},
        {"RUNYARD_DATABASE_URL": "mysql://x"},
        {"RUNYARD_API_URL": "nowhere"},
        {"RUNYARD_HOME": "/proc/nope"},
    ],
    ids=lambda environment: next(iter(environment)),
)
def test_a_wrong_setting_or_a_home_that_cannot_be_written_is_one_line(home, tmp_path, before, environment):
    done = ran(tmp_path, FLOW, *before, **environment)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize(
    "code", [ASYNC, VARIABLE, TASK, SUBMITTED], ids=["async", "variable", "task", "submitted"]
)
def test_whatever_comes_to_need_the_database_first(home, tmp_path, code):
    done = ran(tmp_path, code, RUNYARD_HOME="/proc/nope")
    assert (done.returncode, len(done.stderr.splitlines()), done.stdout) == (1, 1, "")
    assert done.stderr.startswith("Error: cannot create the folder /proc/nope")


def test_debug_shows_the_frames(home, tmp_path):
    done = ran(tmp_path, FLOW, RUNYARD_HOME="/proc/nope", RUNYARD_DEBUG="true")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert 'script.py", line 5' in done.stderr


def test_other_errors_and_hooks_of_the_program_stay(home, tmp_path):
    failing = FLOW.replace("return 1", "raise ValueError('mine')")
    assert "Traceback" in ran(tmp_path, failing).stderr
    hook = "import sys\nsys.excepthook = lambda kind, error, traceback: print('mine:', kind.__name__)\n"
    done = ran(tmp_path, hook + FLOW, RUNYARD_HOME="/proc/nope")
    assert done.stdout == "mine: DatabaseReadOnly\n"
