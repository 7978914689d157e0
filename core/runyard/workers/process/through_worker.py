"""The run's side of `reporting`: a client that sends the calls of the run's start and end to the worker."""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from runyard.base import descriptors, errors
from runyard.base.errors import RunyardError
from runyard.client.engine_client import shared_client
from runyard.operations.lease_clock import patience_seconds
from runyard.workers.process.report_socket import CHUNK, LARGEST

if TYPE_CHECKING:
    from runyard.operations.operation import Operation

# The timeout of a response. After it the run asks this worker no more, as it may be stopped.
_TIMEOUT_SECONDS = 5.0
# Do not block, and do not raise SIGPIPE if the worker has closed the socket.
_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
# The originals, before the user's code replaces them, as gevent does.
_Socket, _poll = socket.socket, select.poll


class ThroughWorker:
    """A client for the start and the end of this process's run.

    Args:
        name: the name (`descriptors.name_of`) of the socket to the worker.
    """

    def __init__(self, name: str) -> None:
        self._name: str | None = name
        self._pid = os.getpid()
        self._numbers = count()
        self._lock = threading.Lock()
        self._rest = b""
        # Much shorter than the time after which the launcher kills the run because its worker is silent.
        self._timeout_seconds = min(_TIMEOUT_SECONDS, patience_seconds() / 4)

    def call(self, operation: Operation[..., Any], /, body: dict[str, Any]) -> Any:
        """Let the worker execute an operation.

        Raises:
            RunyardError: the error of the operation, of the same class.
        """
        answer = self._ask(operation.name, body) if self._pid == os.getpid() else None
        if answer is None:
            return shared_client().call(operation, body)
        if "error" in answer:
            raise getattr(errors, answer["error"], RunyardError)(answer["message"])
        return answer["result"]

    def _ask(self, operation: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """Get the worker's response; None: the run must make the call itself."""
        with self._lock:
            # The user's code may have closed it, and its number may belong to another file now.
            file = descriptors.find(self._name) if self._name else None
            if file is None:
                return None
            number = next(self._numbers)
            data = json.dumps({"number": number, "operation": operation, "body": body}).encode() + b"\n"
            if len(data) > LARGEST:
                return None
            try:
                _send(file, data)
                while True:
                    answer: dict[str, Any] = json.loads(self._read_line(file))
                    # Skip responses to earlier calls that a signal interrupted.
                    if answer["number"] == number:
                        return answer if len(answer) > 1 else None
            except (OSError, ValueError):
                self._name = None  # the worker has gone or is stopped
                with suppress(OSError):
                    _send(file, b"\n")
                return None

    def _read_line(self, file: int) -> bytes:
        answers = _poll()
        answers.register(file, select.POLLIN)
        while b"\n" not in self._rest:
            if not answers.poll(self._timeout_seconds * 1000):
                raise TimeoutError
            data = os.read(file, CHUNK)
            if not data:
                raise ConnectionResetError
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line


def _send(file: int, data: bytes) -> None:
    """Send all data at once.

    Raises:
        OSError: the socket has no room.
    """
    line = _Socket(fileno=file)
    try:
        if line.send(data, _FLAGS) < len(data):
            raise BlockingIOError
    finally:
        line.detach()
