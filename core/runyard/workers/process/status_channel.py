"""The channel on which a run's process sends status messages to its worker."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from runyard.base import descriptors, redaction

if TYPE_CHECKING:
    from collections.abc import Callable

# The variable that names (`descriptors.name_of`) the pipe, for a command.
STATUS_VARIABLE = "RUNYARD__STATUS"
_CHUNK = 1 << 16


class StatusReader:
    """The reading end of the channel.

    Args:
        file: the descriptor; set to non-blocking.
        hear: called with each message.
    """

    def __init__(self, file: int, hear: Callable[[dict[str, Any]], None]) -> None:
        os.set_blocking(file, False)
        self.file = file
        self._hear = hear
        self._rest = b""

    def read(self) -> bool:
        """Read the available messages; return whether more may come."""
        while True:
            try:
                data = os.read(self.file, _CHUNK)
            except BlockingIOError:
                return True
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                try:
                    said = json.loads(line)
                except ValueError:
                    continue
                self._hear(said)
            if not data:
                return False


class StatusChannel:
    """The writing end, in a run's process: sends `failure`, `ending`, `reported` with the recorded
    state, `secrets`.

    Args:
        name: the name (`descriptors.name_of`) of the pipe; None: send nothing.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._lock = threading.Lock()

    @classmethod
    def inherited(cls) -> StatusChannel:
        """Open the channel that the environment names, in a command that a worker started."""
        name = os.environ.pop(STATUS_VARIABLE, None)
        number = descriptors.find(name) if name else None
        if number is None:
            return cls(None)
        os.set_inheritable(number, False)
        return cls(name)

    @property
    def is_open(self) -> bool:
        """Whether a worker may read the messages."""
        return self._name is not None and descriptors.find(self._name) is not None

    def tell(self, **what: Any) -> None:
        """Send a message; a closed channel is not an error."""
        if self._name is None:
            return
        if "failure" in what:
            what["failure"] = redaction.redact(what["failure"])
        data = json.dumps(what).encode() + b"\n"
        with self._lock:
            # The user's code may have closed it, and its number may belong to another file now.
            number = descriptors.find(self._name)
            try:
                while number is not None and data:
                    data = data[os.write(number, data) :]
            except OSError:
                pass  # the worker has gone

    def listen_for_secrets(self) -> None:
        """Report every secret that this process loads, before the process can print it."""
        if self._name is not None:
            redaction.tell(lambda secrets: self.tell(secrets=secrets))
