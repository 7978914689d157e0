"""Reports of runs' starts and ends through their worker: one connection and one transaction for many runs.

A forked run sends these two calls to its worker on a socket, if both would open the same database. Opening
it takes longer than all else that a short run does, and each transaction waits for the disk. If the worker
does not respond, the run makes the call itself.

A call may thus be made twice, but must never be made late: the run may have continued. So the run sends an
empty line before it makes the call itself, and the worker checks for it after locking the run in its
transaction. If the line has not arrived, the run's own call repeats the same one, which is harmless.
"""

from __future__ import annotations

import select
from typing import TYPE_CHECKING, Any

from runyard.base.errors import RunyardError, StoreError
from runyard.operations.flow_runs.end_flow_run import report_state
from runyard.operations.flow_runs.flow_run_rows import lock_flow_run
from runyard.operations.flow_runs.start_flow_run import start_flow_run

if TYPE_CHECKING:
    from runyard.client import LocalClient
    from runyard.store.database import Transaction
    from runyard.workers.process.report_socket import ReportSocket
    from runyard.workers.process.supervised_process import RunProcess

    _Call = tuple[RunProcess, ReportSocket, dict[str, Any]]

_OPERATIONS = {operation.name: operation for operation in (start_flow_run, report_state)}
# The response that tells a run to make its call itself.
_CANNOT: dict[str, Any] = {}


class Reports:
    """Collects and executes the calls of a worker's runs.

    Args:
        client: the database of the runs.
    """

    def __init__(self, client: LocalClient) -> None:
        self._client = client
        self._waiting: dict[str, tuple[RunProcess, ReportSocket]] = {}
        # The runs that may send calls, by the descriptor of their socket.
        self._runs: dict[int, RunProcess] = {}
        self._poll = select.poll()

    def watch(self, process: RunProcess) -> None:
        """Start polling the socket of a run."""
        if process.reports is not None:
            self._runs[process.reports.file] = process
            self._poll.register(process.reports.file, select.POLLIN)

    def forget(self, process: RunProcess) -> None:
        """Stop polling the socket of a run."""
        if process.reports is not None and self._runs.pop(process.reports.file, None) is not None:
            self._poll.unregister(process.reports.file)

    def take(self, process: RunProcess) -> None:
        """Read the calls of a run."""
        socket = process.reports
        if socket is None:
            return
        socket.read()
        if not socket.open:
            self.forget(process)
        if not _is_of(process, socket.call):
            socket.call = None
        if socket.call is not None:
            self._waiting[process.key] = (process, socket)

    def answer(self, outage: bool) -> None:
        """Execute the waiting calls, in one transaction if none is refused.

        Args:
            outage: the database is unavailable: tell the runs to make their calls themselves.
        """
        while self._waiting:
            calls: list[_Call] = []
            answers = self._none(calls) if outage else self._make(calls)
            for (process, socket, call), answer in zip(calls, answers, strict=True):
                if socket.call is call:
                    socket.call = None
                    socket.answer({"number": call["number"], **answer})
                else:
                    self.take(process)

    def _gather(self, calls: list[_Call]) -> None:
        """Move the waiting calls to `calls`."""
        waiting, self._waiting = self._waiting, {}
        calls += [(*each, each[1].call) for each in waiting.values() if each[1].call is not None]

    def _none(self, calls: list[_Call]) -> list[dict[str, Any]]:
        self._gather(calls)
        return [_CANNOT] * len(calls)

    def _make(self, calls: list[_Call]) -> list[dict[str, Any]]:
        def together(tx: Transaction) -> list[dict[str, Any]]:
            # Include calls that arrived while this thread waited for the lock of the database.
            for file, _ in self._poll.poll(0):
                self.take(self._runs[file])
            self._gather(calls)
            return [_perform(tx, *call) for call in calls]

        try:
            return self._client.together(together)
        except StoreError:
            return self._none(calls)  # one attempt per call would take as long again
        except Exception as error:
            if not calls:
                self._gather(calls)
            if len(calls) == 1:
                return [_refusal(error)]
            # One call was refused; execute the others separately.
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


def _perform(
    tx: Transaction, process: RunProcess, socket: ReportSocket, call: dict[str, Any]
) -> dict[str, Any]:
    lock_flow_run(tx, process.flow_run_id)
    socket.read()
    if socket.call is not call:
        return _CANNOT  # the run no longer waits
    return {"result": _OPERATIONS[call["operation"]](tx, call["body"])}


def _is_of(process: RunProcess, call: Any) -> bool:
    """Whether a call is valid and belongs to this attempt of the run."""
    body = call.get("body") if isinstance(call, dict) else None
    return (
        isinstance(body, dict)
        and call.get("operation") in _OPERATIONS
        and "number" in call
        and (body.get("flow_run_id"), body.get("attempt")) == (process.flow_run_id, process.attempt)
    )
