"""The journal: buffers a run's records in memory; one thread writes them in batches.

Producers append to a deque, which is atomic, and continue. The thread wakes at the first record, collects
more for `journal_flush_seconds`, creates their rows and writes them in one transaction. A run that produces
records faster than the disk writes them (`journal_max_records`) waits.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import clock, texts, user_forks
from runyard.base.errors import (
    StaleAttempt,
)
from runyard.base.exceptions import Abort
from runyard.base.thread_calls import release_thread
from runyard.client.engine_client import shared_client
from runyard.domain.states import TERMINAL
from runyard.engine import salvage
from runyard.engine.log_limit import LogLimit
from runyard.engine.outages import persist
from runyard.engine.salvage import FLOW_STATE, LOG, TASK_STATE
from runyard.operations.flow_runs.write_journal import keep_results, write_journal, write_journal_soon

if TYPE_CHECKING:
    from runyard.client import Client
    from runyard.domain.states import State
    from runyard.engine.flow_definition import FlowDefinition
    from runyard.engine.run_objects import FlowRun, TaskRun
    from runyard.operations.runs.run_records import LogRow, ResultRow

_STOP = object()
# The most records in one transaction, so that other writers can write in between.
_GROUP = 4000
# A thread that commits a result also writes the records, if at least this many wait.
_GATHERED = 128
# The most records that are sent with the report of the run's end.
_FEW = 100
_live: weakref.WeakSet[Journal] = weakref.WeakSet()


class _LoopSignal:
    """An event, as `threading.Event`, that sets a future of an event loop."""

    def __init__(self, loop: Any, done: Any) -> None:
        self._loop = loop
        self._done = done

    def set(self) -> None:
        """Set the future: all records appended before are on disk."""
        try:
            self._loop.call_soon_threadsafe(lambda: self._done.done() or self._done.set_result(None))
        except RuntimeError:
            pass  # the loop was closed: no task waits any more


class Journal:
    """The journal of one root run.

    Args:
        client: the client that writes.
        flow_run_id: the root run; None for tasks outside of any flow.
        attempt: its attempt number, the fencing token.
    """

    def __init__(self, client: Client, flow_run_id: str | None = None, attempt: int | None = None) -> None:
        self.flow_run_id = flow_run_id
        self.attempt = attempt
        self.refused: StaleAttempt | None = None
        # The keys of the results that the run has stored, if this is its first attempt and only this process
        # executes it: then no other results can exist. Else None.
        self.known_keys: set[str] | None = None
        self._client = client
        self._pid = os.getpid()
        # Whether `_append` writes each record before it returns.
        self.through = False
        self._delay: float = settings.get("journal_flush_seconds")
        self._limit: int = settings.get("journal_max_records")
        self._logs = LogLimit()
        self._fresh()
        _live.add(self)

    @property
    def run_id(self) -> str | None:
        """The run that this process executes."""
        return self.flow_run_id

    @property
    def holder(self) -> tuple[str | None, int | None]:
        """The run, and its attempt if it is a flow run."""
        run_id = self.run_id
        return run_id, self.attempt if run_id == self.flow_run_id else None

    def write_through(self) -> None:
        """From now on write final states and logs immediately: see `engine.child_processes`."""
        self._append = self._append_and_write  # type: ignore[method-assign]  # of this object only
        self.through = True
        # Other processes store results of the run too.
        self.known_keys = None

    def client(self) -> Client:
        """The client that writes."""
        if self._pid != os.getpid() and not hasattr(self._client, "database"):
            # After a fork, the connections of an HTTP client belong to the parent.
            self._client, self._pid = shared_client(), os.getpid()
        return self._client

    def _fresh(self) -> None:
        """Reset the buffers, also in a forked child: the parent writes the records that waited."""
        self._records: deque[Any] = deque()
        self._results: deque[ResultRow] = deque()
        self._has_records = threading.Event()
        self._flush_now = threading.Event()
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._logs.begin_process()
        # Counts the commits of results by other threads. While it grows, the journal's own thread pauses,
        # because it would only block them.
        self._commits = 0
        # The executing subflow runs with their flows. The code that pops one ends it and calls its hooks.
        self.subflows: dict[str, tuple[FlowDefinition, FlowRun]] = {}
        self._thread: threading.Thread | None = None

    def task_state(self, run: TaskRun, state: State) -> None:
        """Record a new state of a task run."""
        self._append((TASK_STATE, run, state))

    def flow_state(self, run: FlowRun, state: State) -> None:
        """Record a new state of a subflow run."""
        self._append((FLOW_STATE, run, state))

    def log(self, row: LogRow) -> None:
        """Record a log line; lines over the limit are held back."""
        for admitted in self._logs.admit(row):
            self._append((LOG, admitted))

    def result(self, row: ResultRow) -> None:
        """Record a result.

        It is written with the records appended after it or before them; `commit` writes it immediately.
        """
        self._results.append(row)
        if self.known_keys is not None:
            self.known_keys.add(row.key)

    def check(self) -> None:
        """Raise Abort if a later attempt has taken over the run."""
        if self.refused is not None:
            raise Abort(str(self.refused))

    def flush(self) -> None:
        """Wait until everything appended before is on disk, or was refused."""
        # Only the records that wait now: other threads may append more.
        for _ in range(len(self._records) // _GROUP + 1):
            # A thread that writes records it has removed from the deque holds this lock.
            with self._writing:
                self._write_here(_GROUP)

    def take_logs(self) -> list[LogRow] | None:
        """Remove and return the waiting log records, for a call that stores them; None if too many wait."""
        with self._writing:
            waiting = list(self._records)
            if (
                self._results
                or len(waiting) > _FEW
                or any(type(r) is not tuple or r[0] != LOG for r in waiting)
            ):
                return None
            return [self._records.popleft()[1] for _ in waiting]

    def put_back(self, logs: list[LogRow] | None) -> None:
        """Undo `take_logs` if the call may not have stored the records."""
        self._records.extendleft((LOG, row) for row in reversed(logs or ()))

    def commit(self) -> None:
        """Write the results appended before to disk.

        The calling thread writes them, which is faster than waking the journal's thread. It writes only the
        results, because the cost of a commit depends on the pages it touches; if many records wait, it writes
        them too. A thread that waits here for the lock may find its results already written.
        """
        with self._writing:
            if self._results:
                self._commits += 1
                self._write_here(_GROUP if len(self._records) >= _GATHERED else 0)

    async def commit_async(self) -> None:
        """As `commit`, without blocking the event loop: many waiting tasks share one transaction."""
        import asyncio

        if self.through:
            self.commit()
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._start()
        self._records.append(_LoopSignal(loop, done))
        self._flush_now.set()
        self._has_records.set()
        await done

    def close(self) -> None:
        """Flush and stop the thread; a later record starts another thread."""
        for row in self._logs.take_end():
            self._append((LOG, row))
        if self.through:
            self._drain()
            return
        # In this thread: after a short run the journal's thread has no connection yet.
        self.flush()
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._records.append(_STOP)
            self._flush_now.set()
            self._has_records.set()
            thread.join()

    def _append(self, record: Any) -> None:
        records = self._records
        records.append(record)
        if self._thread is None:
            self._start()
        if not self._has_records.is_set():
            self._has_records.set()
        if len(records) >= self._limit and threading.current_thread() is not self._thread:
            # Back-pressure. On an event loop this blocks the loop, because the disk is the bottleneck.
            self.flush()

    def _append_and_write(self, record: Any) -> None:
        """As `_append`, in a child process of the run."""
        self._records.append(record)
        if record[0] == LOG or record[2].type in TERMINAL:
            self._drain()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="runyard-journal", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        try:
            stopped = False
            while not stopped:
                self._has_records.wait()
                self._collect()
                # Cleared before the records are removed: a later record sets it again.
                self._has_records.clear()
                self._flush_now.clear()
                stopped = self._drain()
        finally:
            release_thread()

    def _collect(self) -> None:
        commits = -1
        while commits != self._commits:
            commits = self._commits
            if self._flush_now.wait(self._delay):
                return

    def _drain(self) -> bool:
        """Write all waiting records; True if the thread must stop."""
        while self._records:
            with self._writing:
                if self._write_group(_GROUP):
                    return True
        return False

    def _write_here(self, most: int) -> None:
        """As `_write_group`, in another thread; it leaves the stop marker for the journal's own thread."""
        if self._write_group(most):
            self._records.appendleft(_STOP)

    def _write_group(self, most: int) -> bool:
        """Write at most `most` waiting records; True at the stop marker. The caller holds `_writing`."""
        records = self._records
        group: list[Any] = []
        signals: list[Any] = []
        stopped = False
        while records and len(group) < most:
            record = records.popleft()
            if type(record) is tuple:
                group.append(record)
            elif record is _STOP:
                stopped = True
                break
            else:
                signals.append(record)
        try:
            if (group or self._results) and self.refused is None:
                self._write(group)
        finally:
            for signal in signals:
                signal.set()
        return stopped

    def _write(self, group: list[Any]) -> None:
        kept = {}
        while self._results:
            row = self._results.popleft()
            kept[row.key] = row  # one statement must not write a key twice; the last row wins
        try:
            salvage.write(self._send, group, list(kept.values()), self.flow_run_id)
        except StaleAttempt as error:
            self.refused = error
        except Exception as error:
            # A damaged database must not end the thread: the flow continues and reports the error.
            lost = f"{texts.counted(len(group), 'record')} {'was' if len(group) == 1 else 'were'} not kept"
            print(f"runyard: {lost}: {texts.told(error)}", file=sys.stderr)

    def _send(self, group: list[Any], results: list[ResultRow]) -> None:
        """Write records and results in one transaction; waits while the database is unavailable."""
        body: dict[str, Any] = {"flow_run_id": self.flow_run_id, "attempt": self.attempt, "results": results}
        operation = keep_results
        if group:
            operation = write_journal_soon if self.through else write_journal
            body |= self._body(group)
        client = self.client()
        persist(lambda: client.call(operation, body), "the records of this run")

    def _body(self, group: list[Any]) -> dict[str, Any]:
        now = clock.now_us()
        tasks: dict[str, TaskRun] = {}
        flows: dict[str, FlowRun] = {}
        task_states, flow_states, logs = [], [], []
        for record in group:
            kind, item = record[0], record[1]
            if kind == TASK_STATE:
                tasks[item.id] = item
                task_states.append(item.state_row(record[2]))
            elif kind == FLOW_STATE:
                flows[item.id] = item
                flow_states.append(item.state_row(record[2]))
            else:
                logs.append(item)
        return {
            "flows": sorted({run.flow_name for run in flows.values()}),
            "flow_runs": [run.row(now) for run in flows.values()],
            "flow_run_states": flow_states,
            "task_runs": [run.row(now) for run in tasks.values()],
            "task_run_states": task_states,
            "logs": logs,
        }


def close_all() -> None:
    """Flush and close all journals of this process."""
    for journal in list(_live):
        journal.close()


user_forks.before_leaving(close_all)


def _after_fork() -> None:
    for journal in list(_live):
        journal._fresh()
        journal.write_through()


def _after_fork_in_parent() -> None:
    for journal in list(_live):
        journal.known_keys = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork, after_in_parent=_after_fork_in_parent)
