"""A run's start and end, reported through its worker: one connection and one transaction for many runs.

A run that the worker has forked sends these two calls to it on a socket, where both would open the same
database: to open it takes a short run longer than all else that it does, and each transaction waits for the
disk. A run whose worker does not answer, or cannot, makes the call itself.

Such a call may be made twice, but never late: by then the run may be further. So a run says that it waits
no more (an empty line) before it makes the call itself, and the worker looks for that once it holds the run
in its transaction. Where it finds nothing, the run's own call comes right after the same one.
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

from runyard.base import descriptors, errors
from runyard.base.errors import RunyardError, StoreError
from runyard.client.shared_client import shared_client
from runyard.operations.flow_runs.run_reports import report_state, start_flow_run
from runyard.operations.flow_runs.transitions import hold
from runyard.operations.lease_clock import patience_seconds

if TYPE_CHECKING:
    from runyard.client import LocalClient
    from runyard.operations.operation import Operation
    from runyard.store.database import Transaction
    from runyard.workers.process.supervised_process import RunProcess

    _Call = tuple[RunProcess, "ReportLine", dict[str, Any]]

_OPERATIONS = {operation.name: operation for operation in (start_flow_run, report_state)}
_CHUNK = 1 << 16
# A worker that has not answered for so long is not asked again: it may be stopped.
_PATIENCE_SECONDS = 5.0
# A larger call is made by the run itself: with this one the socket has room for the empty line as well.
_LARGEST = 1 << 16
# Of what a run has sent, in one turn: more than the socket holds.
_MOST_CHUNKS = 16
# At once or not at all; and who reads no more does not end the run by SIGPIPE.
_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)
# The answer by which a run makes its call itself.
_CANNOT: dict[str, Any] = {}
# As they are before the user's code replaces them, as gevent does.
_Socket, _poll = socket.socket, select.poll


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
            raise getattr(errors, answer["error"], RunyardError)(answer["message"])
        return answer["result"]

    def _ask(self, operation: str, body: dict[str, Any]) -> dict[str, Any] | None:
        """The worker's answer; None where the run is to make the call itself."""
        with self._lock:
            # The user's code may have closed it, and opened another file of that number since.
            file = descriptors.find(self._name) if self._name else None
            if file is None:
                return None
            number = next(self._numbers)
            data = json.dumps({"number": number, "operation": operation, "body": body}).encode() + b"\n"
            if len(data) > _LARGEST:
                return None
            try:
                _send(file, data)
                while True:
                    answer: dict[str, Any] = json.loads(self._read_line(file))
                    # Others are of calls that a signal has cut short.
                    if answer["number"] == number:
                        return answer if len(answer) > 1 else None
            except (OSError, ValueError):
                self._name = None  # the worker is gone, or stopped
                with suppress(OSError):
                    _send(file, b"\n")
                return None

    def _read_line(self, file: int) -> bytes:
        answers = _poll()
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


def _send(file: int, data: bytes) -> None:
    """Send all of it at once; OSError where there is no room."""
    line = _Socket(fileno=file)
    try:
        if line.send(data, _FLAGS) < len(data):
            raise BlockingIOError
    finally:
        line.detach()


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
                data = self._ours.recv(_CHUNK)
                if not data:
                    self._hang_up()
                    return
                *lines, self._rest = (self._rest + data).split(b"\n")
                if lines:
                    self.call = json.loads(lines[-1]) if lines[-1] else None
                if len(self._rest) > _LARGEST:
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


class Reports:
    """The calls of a worker's runs that are not answered yet.

    Args:
        client: where the runs are.
    """

    def __init__(self, client: LocalClient) -> None:
        self._client = client
        self._waiting: dict[str, tuple[RunProcess, ReportLine]] = {}
        # The runs that may send something, by the file of their lines.
        self._runs: dict[int, RunProcess] = {}
        self._poll = _poll()

    def watch(self, process: RunProcess) -> None:
        """Look also for what this run sends."""
        if process.reports is not None:
            self._runs[process.reports.file] = process
            self._poll.register(process.reports.file, select.POLLIN)

    def forget(self, process: RunProcess) -> None:
        """Look no more."""
        if process.reports is not None and self._runs.pop(process.reports.file, None) is not None:
            self._poll.unregister(process.reports.file)

    def take(self, process: RunProcess) -> None:
        """Take what a run has sent."""
        line = process.reports
        if line is None:
            return
        line.read()
        if not line.open:
            self.forget(process)
        if not _is_of(process, line.call):
            line.call = None
        if line.call is not None:
            self._waiting[process.key] = (process, line)

    def answer(self, outage: bool) -> None:
        """Make the calls, in one transaction where none is refused.

        Args:
            outage: the database cannot be used now: the runs find that out themselves.
        """
        while self._waiting:
            calls: list[_Call] = []
            answers = self._none(calls) if outage else self._make(calls)
            for (process, line, call), answer in zip(calls, answers, strict=True):
                if line.call is call:
                    line.call = None
                    line.answer({"number": call["number"], **answer})
                else:
                    self.take(process)

    def _gather(self, calls: list[_Call]) -> None:
        """Move the calls that wait to `calls`."""
        waiting, self._waiting = self._waiting, {}
        calls += [(*each, each[1].call) for each in waiting.values() if each[1].call is not None]

    def _none(self, calls: list[_Call]) -> list[dict[str, Any]]:
        self._gather(calls)
        return [_CANNOT] * len(calls)

    def _make(self, calls: list[_Call]) -> list[dict[str, Any]]:
        def together(tx: Transaction) -> list[dict[str, Any]]:
            # Also those that came while the lock of the database was waited for.
            for file, _ in self._poll.poll(0):
                self.take(self._runs[file])
            self._gather(calls)
            return [_perform(tx, *call) for call in calls]

        try:
            return self._client.together(together)
        except StoreError:
            return self._none(calls)  # for each of them it would take as long again
        except Exception as error:
            if not calls:
                self._gather(calls)
            if len(calls) == 1:
                return [_refusal(error)]
            # One is refused, which the others must not feel.
            return [self._make_one(call) for call in calls]

    def _make_one(self, call: _Call) -> dict[str, Any]:
        try:
            return self._client.together(lambda tx: _perform(tx, *call))
        except StoreError:
            return _CANNOT
        except Exception as error:
            return _refusal(error)


def _refusal(error: Exception) -> dict[str, Any]:
    kind = type(error).__name__ if isinstance(error, RunyardError) else "RunyardError"
    return {"error": kind, "message": str(error)}


def _perform(tx: Transaction, process: RunProcess, line: ReportLine, call: dict[str, Any]) -> dict[str, Any]:
    hold(tx, process.flow_run_id)
    line.read()
    if line.call is not call:
        return _CANNOT  # it waits no more
    return {"result": _OPERATIONS[call["operation"]](tx, call["body"])}


def _is_of(process: RunProcess, call: Any) -> bool:
    """Whether a call is one that this attempt at a run may make."""
    body = call.get("body") if isinstance(call, dict) else None
    return (
        isinstance(body, dict)
        and call.get("operation") in _OPERATIONS
        and "number" in call
        and (body.get("flow_run_id"), body.get("attempt")) == (process.flow_run_id, process.attempt)
    )
