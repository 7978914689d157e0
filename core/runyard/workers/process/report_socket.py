"""The worker's end of the socket on which a forked run sends reports; see `reporting`."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import Any

CHUNK = 1 << 16
# A run makes a larger call itself. With a call of this size the socket still has room for the empty line.
LARGEST = 1 << 16
# The maximum number of chunks read in one turn: more than the socket's buffer holds.
_MOST_CHUNKS = 16


class ReportSocket:
    """The worker's end of a run's report socket."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair()
        self._ours.setblocking(False)
        # For a selector, as long as the socket is open.
        self.file = self._ours.fileno()
        self.open = True
        # For the run's process.
        self.run_end = theirs.detach()
        # The call that the run waits for now; a later message replaces it.
        self.call: Any = None
        self._rest = b""

    def read(self) -> None:
        """Read what has arrived; close the socket after an invalid message."""
        try:
            for _ in range(_MOST_CHUNKS):
                data = self._ours.recv(CHUNK)
                if not data:
                    self._shut_down()
                    return
                *lines, self._rest = (self._rest + data).split(b"\n")
                if lines:
                    self.call = json.loads(lines[-1]) if lines[-1] else None
                if len(self._rest) > LARGEST:
                    raise ValueError
        except BlockingIOError:
            pass
        except OSError:
            self._shut_down()
        except (ValueError, RecursionError):
            self.call = None
            self._shut_down()

    def answer(self, answer: dict[str, Any]) -> None:
        """Send a response; close the socket if the run does not read it: the run then makes its calls."""
        data = json.dumps(answer).encode() + b"\n"
        try:
            if self.open and self._ours.send(data) < len(data):
                self._shut_down()
        except OSError:
            self._shut_down()

    def _shut_down(self) -> None:
        self.open = False
        with suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)

    def close_run_end(self) -> None:
        """Close this process's copy of the run's end."""
        if self.run_end >= 0:
            os.close(self.run_end)
            self.run_end = -1

    def close(self) -> None:
        """Close both ends."""
        self._ours.close()
        self.close_run_end()
