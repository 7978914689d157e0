"""The line on which a run's process tells its worker of itself."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from runyard.base import descriptors, redaction

if TYPE_CHECKING:
    from collections.abc import Callable

# In the environment of a command: the pipe, by `descriptors.name_of`.
STATUS_VARIABLE = "RUNYARD__STATUS"
_CHUNK = 1 << 16


class StatusReader:
    """The other end of that line.

    Args:
        file: to read from; it does not block from now on.
        hear: called with each thing that the run's process says.
    """

    def __init__(self, file: int, hear: Callable[[dict[str, Any]], None]) -> None:
        os.set_blocking(file, False)
        self.file = file
        self._hear = hear
        self._rest = b""

    def read(self) -> bool:
        """Take what is there; whether more may come."""
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


class StatusLine:
    """On which a run's process tells the worker of itself: `failure`, `ending`, `reported`, `secrets`.

    Args:
        name: of the pipe, by `descriptors.name_of`; None where nobody listens.
    """

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._lock = threading.Lock()

    @classmethod
    def inherited(cls) -> StatusLine:
        """The line that the environment names: of the command that a worker started."""
        name = os.environ.pop(STATUS_VARIABLE, None)
        number = descriptors.find(name) if name else None
        if number is None:
            return cls(None)
        os.set_inheritable(number, False)
        return cls(name)

    def tell(self, **what: Any) -> None:
        """Say something; a line that is gone is not an error."""
        if self._name is None:
            return
        if "failure" in what:
            what["failure"] = redaction.redact(what["failure"])
        data = json.dumps(what).encode() + b"\n"
        with self._lock:
            # The user's code may have closed it, and opened another file of that number since.
            number = descriptors.find(self._name)
            try:
                while number is not None and data:
                    data = data[os.write(number, data) :]
            except OSError:
                pass  # the worker is gone, and with it who would read

    def listen_for_secrets(self) -> None:
        """Tell of every secret that this process loads, before it can print it."""
        if self._name is not None:
            redaction.tell(lambda secrets: self.tell(secrets=secrets))
