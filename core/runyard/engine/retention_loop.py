"""Removing what is old, by whoever runs: a worker, a server of tasks or of the API, or a person's command."""

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


# About how many rows are looked for at once; a transaction ends before when it has taken long enough.
_ROWS = 2_000
# Between two transactions, so that others get their turn.
_PAUSE_SECONDS = 0.05
_COUNTED_ROWS = 2_000
# How often what is old is looked for.
EVERY_SECONDS = 600.0
# So long one that would end waits for the turn that is under way.
_LAST_TURN_SECONDS = 10.0


@dataclass
class Removed:
    """What was removed: rows by table; and who else is at it, or whether the clock is in doubt."""

    rows: Counter[str] = field(default_factory=Counter)
    held_by: str | None = None
    on_hold: bool = False
    longest_seconds: float = 0.0


def holder() -> str:
    """A name for who removes, which people can make sense of."""
    return f"process {os.getpid()} on {socket.gethostname()} ({ids.new_id()[-12:]})"


def remove(
    client: Client,
    wanted: dict[str, Any] | None = None,
    stop: threading.Event | None = None,
    told: Callable[[Counter[str]], None] | None = None,
) -> Removed:
    """Remove what is older than it is to be kept, by and by; results in files of this machine with them.

    Args:
        client: where.
        wanted: fields of `RetentionTurn`; by default the settings of whoever has the database decide.
        stop: set, it ends after the transaction that is under way.
        told: called after each transaction with what was removed so far.

    Raises:
        RunyardError: it is refused, or the database cannot be used.
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
    """How many rows of each table `remove` would remove now.

    Raises:
        RunyardError: it is refused, or the database cannot be used.
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
    """Removes what is old beside the loop of whoever runs, in a thread, by the settings.

    Args:
        client: where.
        say: prints one line to the user (level, text).
    """

    def __init__(self, client: Client, say: Callable[[str, str], None]) -> None:
        self._client = client
        self._say = say
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_at = 0.0

    def run_if_due(self) -> None:
        """Begin a turn when its time has come and none is under way."""
        if time.monotonic() >= self._next_at and (self._thread is None or not self._thread.is_alive()):
            self._next_at = time.monotonic() + EVERY_SECONDS
            self._thread = threading.Thread(target=self._run, name="runyard-retention", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """End after the turn that is under way, or some seconds of it: the next one goes on."""
        self.wait(_LAST_TURN_SECONDS)
        self.stop()

    def stop(self) -> None:
        """End after the transaction that is under way."""
        self._stop.set()
        self.wait(5.0)

    def wait(self, seconds: float) -> None:
        """Wait until the turn is over, at most so long."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        began = time.monotonic()
        try:
            done = remove(self._client, stop=self._stop)
        except (StoreError, ApiUnavailable):
            return  # which the loop beside this says, and bears
        except RunyardError as error:
            if not self._stop.is_set():
                self._say("WARNING", f"Old runs and logs cannot be removed: {error}; trying again later")
            return
        finally:
            self._discard()
        if done.on_hold:
            self._say("WARNING", "The clock leapt ahead by weeks: nothing old is removed for an hour")
        if done.rows["flow_runs"] or done.rows["logs"]:
            runs, logs = done.rows["flow_runs"], done.rows["logs"]
            text = f"Removed {runs} old flow runs and {logs} log records with what belongs to them"
            self._say("INFO", f"{text} ({time.monotonic() - began:.0f} s)")

    def _discard(self) -> None:
        """Close this thread's connection."""
        database = getattr(self._client, "database", None)
        if database is not None:
            database.discard()
