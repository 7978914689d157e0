"""What a command says where the package of an extra is missing: one line with what to install."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# Runs a command as if a package were not installed.
WITHOUT = """
import sys
sys.modules[sys.argv[1]] = None
from runyard_cli.main import main
main(sys.argv[2:])
"""


def without(package, *command, **environment):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, package, *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("package", "extra", "command", "environment"),
    [
        ("fastapi", "server", ("server", "start", "--port", "0"), {}),
        ("uvicorn", "server", ("server", "start", "--port", "0"), {}),
        ("docker", "docker", ("worker", "start", "--pool", "d", "--type", "docker"), {}),
        ("psycopg", "postgres", ("work-pool", "ls"), {"RUNYARD_DATABASE_URL": "postgresql://me@127.0.0.1/x"}),
    ],
)
def test_a_missing_extra_is_one_line(home, package, extra, command, environment):
    done = without(package, *command, **environment)
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1]
        == f"Error: {package} is not installed; run: pip install 'runyard[{extra}]'"
    )
    assert "Traceback" not in done.stderr
