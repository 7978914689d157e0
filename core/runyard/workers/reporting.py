"""A run's start and end, reported through its worker: one connection and one transaction for many runs.

A run that the worker has forked sends these two calls to it on a socket, where both would open the same
database: to open it takes a short run longer than all else that it does, and each transaction waits for the
disk. A run whose worker does not answer makes the calls itself; both may be sent twice.
"""

from __future__ import annotations

import json
import os
import select
import socket
import threading
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any

from runyard import descriptors, errors
from runyard.engine.connection import shared_client
from runyard.errors import RunyardError, StoreError
from runyard.operations.journal import report_state, start_flow_run
from runyard.operations.lease_clock import patience_seconds

if TYPE_CHECKING:
    from runyard.client import LocalClient
    from runyard.operations.base import Operation
    from runyard.workers.process import RunProcess

_OPERATIONS = {operation.name: operation for operation in (start_flow_run, report_state)}
_CHUNK = 1 << 16
# A worker that has not answered for so long is not asked again: it may be stopped.
_PATIENCE_SECONDS = 5.0
# Of one call; a start holds the parameters of its run, which are recorded up to half a megabyte.
_LARGEST = 1 << 22


class ThroughWorker:
    """A client for the start and the end of this process's run.

    Args:
        name: of the socket to the worker, by `descriptors.name_of`.
    """

    def __init__(self, name: str) -> None:
        self._name: str | None = name
        self._pid = os.getpid()
        self._numbers = count()
        self._lock = threading.Lock()
        self._rest = b""
        # Long before the run would be ended for the sake of the worker.
        self._patience_seconds = min(_PATIENCE_SECONDS, patience_seconds() / 4)

    def call(self, operation: Operation[..., Any], /, body: dict[str, Any]) -> Any:
        """Have the worker run an operation.

        Raises:
            RunyardError: of the class that the operation itself raised.
        """
        answer = self._ask(operation.name, body) if self._pid == os.getpid() else None
        if answer is None:
            return shared_client().call(operation, body)
        if "error" in answer:
            raise getattr(errors, answer["error"])(answer["message"])
        return answer["result"]

    def _ask(self, operation: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The worker's answer; None where it gives none."""
        with self._lock:
            # The user's code may have closed it, and opened another file of that number since.
            file = descriptors.find(self._name) if self._name else None
            if file is None:
                return None
            number = next(self._numbers)
            data = json.dumps({"number": number, "operation": operation, "body": body}).encode() + b"\n"
            try:
                while data:
                    data = data[os.write(file, data) :]
                while True:
                    answer: dict[str, Any] = json.loads(self._read_line(file))
                    # Others are of calls that a signal has cut short.
                    if answer["number"] == number:
                        return answer
            except OSError:
                self._name = None  # the worker is gone, or stopped
                return None

    def _read_line(self, file: int) -> bytes:
        answers = select.poll()
        answers.register(file, select.POLLIN)
        while b"\n" not in self._rest:
            if not answers.poll(self._patience_seconds * 1000):
                raise TimeoutError
            data = os.read(file, _CHUNK)
            if not data:
                raise ConnectionResetError
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line


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
        self._rest = b""

    def read(self) -> list[Any]:
        """The calls that have arrived; a run that sends anything else is not heard any more."""
        try:
            while data := self._ours.recv(_CHUNK):
                self._rest += data
                if len(self._rest) > _LARGEST:
                    break
            self._hang_up()
        except BlockingIOError:
            pass
        except OSError:
            self._hang_up()
        *lines, self._rest = self._rest.split(b"\n")
        try:
            return [json.loads(line) for line in lines]
        except ValueError:
            self._hang_up()
            return []

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


class Reports:
    """The calls of a worker's runs that are not answered yet.

    Args:
        client: where the runs are.
    """

    def __init__(self, client: LocalClient) -> None:
        self._client = client
        self._waiting: list[tuple[RunProcess, dict[str, Any]]] = []

    def take(self, process: RunProcess) -> None:
        """Take what a run has sent."""
        line = process.reports
        for call in line.read() if line is not None else ():
            if _is_of(process, call):
                self._waiting.append((process, call))

    def answer(self, outage: str | None) -> None:
        """Make the calls, in one transaction where none is refused.

        Args:
            outage: why the database cannot be used now; the runs wait, and ask again.
        """
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        calls = [(_OPERATIONS[call["operation"]], (call["body"],)) for _, call in waiting]
        answers = [_error(StoreError(outage))] * len(calls) if outage else self._perform(calls)
        for (process, call), answer in zip(waiting, answers, strict=True):
            if process.reports is not None:
                process.reports.answer({"number": call["number"], **answer})

    def _perform(self, calls: list[tuple[Any, tuple[Any, ...]]]) -> list[dict[str, Any]]:
        if len(calls) > 1:
            try:
                return [{"result": result} for result in self._client.call_together(calls)]
            except Exception:  # noqa: S110  # one is refused, which the others must not feel
                pass
        return [self._perform_one(operation, args) for operation, args in calls]

    def _perform_one(self, operation: Any, args: tuple[Any, ...]) -> dict[str, Any]:
        try:
            return {"result": self._client.call(operation, *args)}
        except Exception as error:
            return _error(error)


def _error(error: Exception) -> dict[str, Any]:
    kind = type(error).__name__ if isinstance(error, RunyardError) else "RunyardError"
    return {"error": kind, "message": str(error)}


def _is_of(process: RunProcess, call: Any) -> bool:
    """Whether a call is one that this attempt at a run may make."""
    body = call.get("body") if isinstance(call, dict) else None
    return (
        isinstance(body, dict)
        and call.get("operation") in _OPERATIONS
        and "number" in call
        and (body.get("flow_run_id"), body.get("attempt")) == (process.flow_run_id, process.attempt)
    )
