"""A short form of the soak of benchmarks/: nothing is stuck, lost or begun twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


def test_a_short_soak_leaves_nothing_wrong(home):
    command = [sys.executable, str(SOAK), "--store", "sqlite", "--runs", "30", "--seconds", "600"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
