"""A worker or a server upgrades the schema of an older database in the background, while it is in use."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from runyard.base.errors import RunyardError
from runyard.client import LocalClient
from runyard.operations.flow_runs.run_hours import count_run_hour
from runyard.operations.limits.locks import acquire_lock, release_lock
from runyard.store import online_steps

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.store.database import Database
    from runyard.store.online_steps import Step

# How often a worker looks for work: another process that does it may be killed.
LOOK_SECONDS = 60.0
# How many past hours one turn counts; the worker's loop waits meanwhile.
_HOURS_AT_ONCE = 10
# The pause after each step, for the other users of the database: a multiple of the step's duration, and a
# minimum in seconds.
_PAUSE, _LEAST_PAUSE_SECONDS = 5.0, 0.5
_LOCK_NAME, _LOCK_SECONDS = "online steps", 180.0


class OnlineUpgrade:
    """Runs the online steps of the schema, in one process at a time, and counts the runs of past hours.

    Args:
        client: a client of the database; through an API nothing happens, as its server does the work.
        owner: the holder of the lock.
        say: prints one line (level, text).
    """

    def __init__(self, client: Client, owner: str, say: Callable[[str, str], None]) -> None:
        self._database = client.database if isinstance(client, LocalClient) else None
        self._owner = owner
        self._say = say
        self._done = False
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Start the pending steps in a thread; if none are pending, count the runs of past hours."""
        if self._database is None or (self._thread is not None and self._thread.is_alive()):
            return
        if not self._done:
            with self._database.transaction(write=False) as tx:
                self._done = not online_steps.pending(tx)
        if self._done:
            count_hours(LocalClient(self._database), _HOURS_AT_ONCE)
            return
        self._thread = threading.Thread(
            target=self._run, args=(self._database,), name="runyard-online-steps", daemon=True
        )
        self._thread.start()

    def _run(self, database: Database) -> None:
        client = LocalClient(database)
        lock = {"name": _LOCK_NAME, "holder": self._owner, "lease_seconds": _LOCK_SECONDS}
        try:
            while client.call(acquire_lock, lock)["acquired"]:
                held = online_steps.do_next(database, self._tell)
                if held is None:
                    count_hours(client, pause_seconds=0.02)
                    client.call(release_lock, lock)
                    return
                time.sleep(max(held * _PAUSE, _LEAST_PAUSE_SECONDS))
        except RunyardError as error:
            self._say("WARNING", f"The database is not upgraded yet: {error}; trying again later")
        finally:
            database.discard()

    def _tell(self, step: Step, left: int) -> None:
        self._say("INFO", f"Upgrading the database while it is in use: {step.name} ({left} to do)")


def count_hours(client: LocalClient, most: int | None = None, pause_seconds: float = 0.0) -> int:
    """Count the runs of past hours that are not counted yet, each hour in its own transaction.

    Args:
        most: the maximum number of hours; None: all.
        pause_seconds: the pause between two hours.

    Returns:
        The number of counted hours.
    """
    counted = 0
    while most is None or counted < most:
        if client.call(count_run_hour)["hour"] is None:
            break
        counted += 1
        time.sleep(pause_seconds)
    return counted
