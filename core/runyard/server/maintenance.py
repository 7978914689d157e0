"""What a server does besides answering: due schedules become runs, lost runs are recovered."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from runyard import clock, settings
from runyard.client import LocalClient
from runyard.errors import RunyardError

if TYPE_CHECKING:
    from runyard.store.database import Database

logger = logging.getLogger("runyard.server")

_LONGEST_PAUSE_SECONDS = 1.0


class Maintenance:
    """A thread that takes turns at scheduling and recovering until it is stopped.

    Any number of servers and workers may do so at once: each turn is a transaction of its own, and
    what one has done the next finds done.

    Args:
        database: where everything is kept.
    """

    def __init__(self, database: Database) -> None:
        self._client = LocalClient(database)
        self._owner = f"server {os.getpid()} on {socket.gethostname()}"
        self._recover_every_seconds = settings.get("worker_lease_seconds") / 3
        self._recovered_at = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runyard-maintenance", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the turn that is under way."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def run_once(self) -> float:
        """One turn; returns how many seconds until the next is worth while."""
        from runyard.operations.recovery import RecoverRequest, recover
        from runyard.operations.scheduler import SchedulerTurn, run_scheduler

        report = self._client.call(run_scheduler, SchedulerTurn(owner=self._owner))
        moment = time.monotonic()
        if moment - self._recovered_at >= self._recover_every_seconds:
            self._client.call(recover, RecoverRequest())
            self._recovered_at = moment
        if report.next_due is None:
            return _LONGEST_PAUSE_SECONDS
        left = (report.next_due - clock.now()).total_seconds()
        return min(max(left, 0.0), _LONGEST_PAUSE_SECONDS)

    def _run(self) -> None:
        pause = 0.0
        while not self._stop.wait(pause):
            try:
                pause = self.run_once()
            except RunyardError as error:
                logger.warning("scheduling and recovering failed, trying again: %s", error)
                pause = _LONGEST_PAUSE_SECONDS
            except Exception:
                logger.exception("scheduling and recovering failed, trying again")
                pause = _LONGEST_PAUSE_SECONDS
        self._client.database.discard()
