"""The line on which a run's process tells its worker of itself."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from runyard import descriptors, redaction

# In the environment of a command: the pipe, by `descriptors.name_of`.
STATUS_VARIABLE = "RUNYARD__STATUS"


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
