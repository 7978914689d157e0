"""The worker's end of the socket on which a forked run reports; see `reporting`."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import Any

CHUNK = 1 << 16
# A run makes a larger call itself: with one of this size the socket has room for the empty line as well.
LARGEST = 1 << 16
# Of what a run has sent, in one turn: more than the socket holds.
_MOST_CHUNKS = 16


class ReportLine:
    """The worker's end of a run's socket."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        # For a selector, as long as it is open.
        self.file = self._ours.fileno()
        self.open = True
        # For the run's process.
        self.far_end = theirs.detach()
        # What the run waits for now: whatever it sends later takes its place.
        self.call: Any = None
        self._rest = b""

    def read(self) -> None:
        """Take what has arrived; a run that sends what is no call is not heard any more."""
        try:
            for _ in range(_MOST_CHUNKS):
                data = self._ours.recv(CHUNK)
                if not data:
                    self._hang_up()
                    return
                *lines, self._rest = (self._rest + data).split(b"\n")
                if lines:
                    self.call = json.loads(lines[-1]) if lines[-1] else None
                if len(self._rest) > LARGEST:
                    raise ValueError
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up()
        except (ValueError, RecursionError):
            self.call = None
            self._hang_up()

    def answer(self, answer: dict[str, Any]) -> None:
        """Send an answer; a run that takes none makes its calls itself."""
        data = json.dumps(answer).encode() + b"\n"
        try:
            if self.open and self._ours.send(data) < len(data):
                self._hang_up()
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        self.open = False
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)

    def close_far_end(self) -> None:
        """Close the run's end here."""
        if self.far_end >= 0:
            os.close(self.far_end)
            self.far_end = -1

    def close(self) -> None:
        """Close both ends."""
        self._ours.close()
        self.close_far_end()
