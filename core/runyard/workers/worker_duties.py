"""The periodic duties of a worker: create scheduled runs, remove old files."""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING

from runyard.base import clock, scratch
from runyard.operations.scheduler.scheduler import SchedulerTurn, run_scheduler
from runyard.workers.environments import environment_store
from runyard.workers.terminal import say_to_terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runyard.client import Client

# A change may be a new schedule. Look soon, but not at every commit of a busy database.
_AFTER_CHANGE_SECONDS = 1.0
_AT_LEAST_EVERY_SECONDS = 5.0


class Timer:
    """Calls an action every `seconds`, first at once."""

    def __init__(self, seconds: float, action: Callable[[], object]) -> None:
        self.seconds = seconds
        self.action = action
        self.next_at = time.monotonic()

    def run_if_due(self) -> None:
        """Call the action if it is due; after an error it stays due."""
        now = time.monotonic()
        if now >= self.next_at:
            self.action()
            self.next_at = now + self.seconds


class Scheduler:
    """Creates runs of due schedules. Several workers may do so; each run is created once.

    Args:
        client: the API or database.
        owner: the name of this worker, as the holder of the scheduler's lock.
        enabled: False: leave it to others.
    """

    def __init__(self, client: Client, owner: str, enabled: bool = True) -> None:
        self._client = client
        self._owner = owner
        self._last = 0.0 if enabled else math.inf
        self._next_due: datetime | None = None
        self.next_at = self._last

    def changed(self) -> None:
        """Notify the scheduler of a change in the database."""
        self.next_at = min(self.next_at, self._last + _AFTER_CHANGE_SECONDS)

    def run_if_due(self) -> bool:
        """Run the scheduler if it is due; return whether it created runs."""
        now = time.monotonic()
        if now < self.next_at:
            return False
        report = self._client.call(run_scheduler, SchedulerTurn(owner=self._owner))
        wait = _AT_LEAST_EVERY_SECONDS
        if report.next_due is not None:
            wait = min(wait, max((report.next_due - clock.now()).total_seconds(), 0.02))
        self._last = now
        self.next_at = time.monotonic() + wait
        return bool(report.created)


def tidy_up() -> None:
    """Remove unused files: virtual environments that no run has used for long, and scratch folders of
    killed workers. Runs in threads, as it may take long."""
    for action in (environment_store.evict_old, scratch.sweep):
        threading.Thread(target=_tidy_up, args=(action,), name="runyard-tidy", daemon=True).start()


def _tidy_up(action: Callable[[], object]) -> None:
    try:
        action()
    except OSError as error:
        say_to_terminal("WARNING", f"Old folders cannot be removed: {error}; trying again later")
