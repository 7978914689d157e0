"""Deletes old runs, logs and results: a loop in workers and servers, and the functions of the command."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runyard.base import ids
from runyard.base.errors import ApiUnavailable, RunyardError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client

# Imported inside functions: retention (0.1 s with pydantic), whose turns come long after the start.


# The approximate number of rows per transaction; a transaction that takes too long ends earlier.
_ROWS = 2_000
# The pause between two transactions, so that others can write.
_PAUSE_SECONDS = 0.05
_COUNTED_ROWS = 2_000
# The interval between two turns.
EVERY_SECONDS = 600.0
# How long an ending process waits for the current turn.
_LAST_TURN_SECONDS = 10.0


@dataclass
class Removed:
    """The deleted rows by table, the other process that holds the lock, and whether the clock is in doubt."""

    rows: Counter[str] = field(default_factory=Counter)
    held_by: str | None = None
    on_hold: bool = False
    longest_seconds: float = 0.0


def holder() -> str:
    """A readable name for the process that deletes."""
    return f"process {os.getpid()} on {socket.gethostname()} ({ids.new_id()[-12:]})"


def remove(
    client: Client,
    wanted: dict[str, Any] | None = None,
    stop: threading.Event | None = None,
    told: Callable[[Counter[str]], None] | None = None,
) -> Removed:
    """Delete everything past its retention time step by step, with result files on this machine.

    Args:
        client: sends the requests.
        wanted: fields of `RetentionTurn`; the default is the settings of the process with the database.
        stop: if set, deleting stops after the current transaction.
        told: called after each transaction with the rows deleted so far.

    Raises:
        RunyardError: the request is refused, or the database is unavailable.
    """
    from runyard.engine.results import large_results
    from runyard.operations.limits.locks import release_lock
    from runyard.operations.retention.retention import LOCK, RetentionTurn, remove_old

    stop = stop or threading.Event()
    me, done = holder(), Removed()
    further: dict[str, Any] = {}
    try:
        while not stop.is_set():
            body = RetentionTurn(holder=me, rows=_ROWS, **(wanted or {}), **further)
            report = client.call(remove_old, body)
            done.rows.update(report.removed)
            done.held_by, done.on_hold = report.held_by, report.on_hold
            if report.done:
                break
            done.longest_seconds = max(done.longest_seconds, report.seconds)
            for key, place in report.files:
                large_results.remove(key, place)
            if told is not None:
                told(done.rows)
            further = {
                "moment": report.moment,
                "step": report.step,
                "after": report.after,
                "forgotten": [key for key, _ in report.files],
            }
            if report.removed:
                stop.wait(max(_PAUSE_SECONDS, 2 * report.seconds))
    finally:
        if done.held_by is None:
            client.call(release_lock, {"name": LOCK, "holder": me})
    return done


def preview(
    client: Client,
    wanted: dict[str, Any] | None = None,
    told: Callable[[Counter[str]], None] | None = None,
) -> Counter[str]:
    """The number of rows of each table that `remove` would delete now.

    Raises:
        RunyardError: the request is refused, or the database is unavailable.
    """
    from runyard.operations.retention.retention import RetentionTurn, count_old

    counted: Counter[str] = Counter()
    further: dict[str, Any] = {}
    while True:
        body = RetentionTurn(holder=holder(), rows=_COUNTED_ROWS, **(wanted or {}), **further)
        report = client.call(count_old, body)
        counted.update(report.removed)
        if told is not None:
            told(counted)
        if report.done:
            return counted
        further = {"moment": report.moment, "step": report.step, "after": report.after}


class Retention:
    """A thread of a worker or server that deletes old rows as the settings say.

    Args:
        client: sends the requests.
        say: prints one line to the user (level, text).
    """

    def __init__(self, client: Client, say: Callable[[str, str], None]) -> None:
        self._client = client
        self._say = say
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_at = 0.0

    def run_if_due(self) -> None:
        """Start a turn if it is due and no turn is running."""
        if time.monotonic() >= self._next_at and (self._thread is None or not self._thread.is_alive()):
            self._next_at = time.monotonic() + EVERY_SECONDS
            self._thread = threading.Thread(target=self._run, name="runyard-retention", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Stop after the current turn, or after some seconds of it; the next turn continues."""
        self.wait(_LAST_TURN_SECONDS)
        self.stop()

    def stop(self) -> None:
        """Stop after the current transaction."""
        self._stop.set()
        self.wait(5.0)

    def wait(self, seconds: float) -> None:
        """Wait until the turn ends, at most `seconds`."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        began = time.monotonic()
        try:
            done = remove(self._client, stop=self._stop)
        except (StoreError, ApiUnavailable):
            return  # the main loop reports and handles the outage
        except RunyardError as error:
            if not self._stop.is_set():
                self._say("WARNING", f"Old runs and logs cannot be deleted: {error}; retrying later")
            return
        finally:
            self._discard()
        if done.on_hold:
            self._say("WARNING", "The clock jumped ahead by weeks: no old data is deleted for an hour")
        if done.rows["flow_runs"] or done.rows["logs"]:
            runs, logs = done.rows["flow_runs"], done.rows["logs"]
            text = f"Deleted {runs} old flow runs and {logs} log records, with their related records"
            self._say("INFO", f"{text} ({time.monotonic() - began:.0f} s)")

    def _discard(self) -> None:
        """Close this thread's connection."""
        database = getattr(self._client, "database", None)
        if database is not None:
            database.discard()
