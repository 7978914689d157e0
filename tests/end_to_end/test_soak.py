"""A short form of the soak of benchmarks/: nothing is stuck, lost, begun twice or left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.parametrize("workers", ["3", "8"])
def test_a_short_soak_leaves_nothing_wrong(home, workers):
    command = [sys.executable, str(SOAK), "--store", "sqlite", "--runs", "30", "--seconds", "600"]
    done = subprocess.run([*command, "--workers", workers], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
