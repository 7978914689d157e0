"""Scripts that run as programs and say when they are ready for what a test does to them."""

from __future__ import annotations

import subprocess
import sys


def started(folder, text, *arguments):
    """The process of a script that has printed `ready`.

    Without a buffer: `readline` would take along what follows `ready`, which `communicate` would not see.
    """
    script = folder / "script.py"
    script.write_text(text)
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line == b"ready\n", process.communicate()
    return process
