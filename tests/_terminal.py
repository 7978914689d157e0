"""A command on a terminal of its own, for tests that type."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time

DEADLINE_SECONDS = 60.0


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.execv(sys.executable, [sys.executable, "-m", "runyard_cli.main", *arguments])
        self.seen = ""

    def until(self, text):
        """Read until `text` was printed; what was printed before it."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while text not in self.seen:
            ready, _, _ = select.select([self.file], [], [], deadline - time.monotonic())
            assert ready, self.seen
            try:
                data = os.read(self.file, 4096)
            except OSError:
                data = b""
            assert data, self.seen
            self.seen += data.decode()
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, text):
        os.write(self.file, text.encode() + b"\n")

    def interrupt(self):
        """Type Ctrl-C; the exit code."""
        os.write(self.file, b"\x03")
        # Again where nothing follows: Python misses a signal between printing a prompt and waiting for input.
        return self.end(in_silence=b"\x03")

    def end(self, in_silence=b""):
        """The exit code; whenever nothing was printed for some time, `in_silence` is typed."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            try:
                ready, _, _ = select.select([self.file], [], [], 3.0)
                if not ready:
                    os.write(self.file, in_silence)
                elif not os.read(self.file, 4096):
                    break
            except OSError:
                break
        else:
            os.kill(self.pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
