"""Scripts that run as programs and print `ready` when the test may act on them."""

from __future__ import annotations

import subprocess
import sys


def started(folder, text, *arguments):
    """The process of a script that has printed `ready`.

    Unbuffered: `readline` would also read what follows `ready`, and `communicate` would not see it.
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
