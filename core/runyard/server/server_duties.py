"""The server's background work: it creates the runs of due schedules and recovers lost runs."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from typing import TYPE_CHECKING

from runyard.base.errors import RunyardError
from runyard.client import LocalClient
from runyard.engine.lost_executors import Recovery
from runyard.engine.retention_loop import Retention
from runyard.operations.lease_clock import look_seconds
from runyard.workers.online_upgrade import LOOK_SECONDS, OnlineUpgrade
from runyard.workers.worker_duties import Scheduler, Timer

if TYPE_CHECKING:
    from runyard.store.database import Database

logger = logging.getLogger("runyard.server")

_LONGEST_PAUSE_SECONDS = 1.0


def _say(level: str, text: str) -> None:
    logger.log(logging.getLevelName(level), text)


class Maintenance:
    """A thread that schedules and recovers in turns until it is stopped.

    Several servers and workers may do this at once: each turn is one transaction, and finds done what another
    has
    done.

    Args:
        database: the database.
    """

    def __init__(self, database: Database) -> None:
        self._client = LocalClient(database)
        name = f"server {os.getpid()} on {socket.gethostname()}"
        self._scheduler = Scheduler(self._client, name)
        # Runs that report through this server may have been unable to report until now.
        recovery = Recovery(self._client, again=True)
        self._recovery = Timer(look_seconds(), recovery.run)
        self.retention = Retention(self._client, _say)
        self._upgrading = Timer(LOOK_SECONDS, OnlineUpgrade(self._client, name, _say).run)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="runyard-maintenance", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current turn."""
        self._stop.set()
        self.retention.stop()
        if self._thread.is_alive():
            self._thread.join(timeout=5.0)

    def run_once(self) -> float:
        """Do what is due; return the number of seconds until the next turn."""
        # A schedule may be created in between, so the next turn is soon.
        self._scheduler.changed()
        self._scheduler.run_if_due()
        self._recovery.run_if_due()
        self.retention.run_if_due()
        self._upgrading.run_if_due()
        left = min(self._scheduler.next_at, self._recovery.next_at) - time.monotonic()
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
