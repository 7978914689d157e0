"""Supervises a run that was started by hand: renews its lease, and stops it when the lease is lost or the
run is cancelled."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import machine
from runyard.base.errors import RunyardError, StaleAttempt
from runyard.base.thread_calls import release_thread

if TYPE_CHECKING:
    from runyard.client import Client
    from runyard.engine.journal import Journal

# Set if a run that a worker claimed also renews its own lease, because it may outlive the worker.
KEEPS_LEASE_VARIABLE = "RUNYARD__KEEPS_LEASE"
# The longest time until a run notices that it is being cancelled.
_LONGEST_SECONDS = 5.0


def owner() -> str:
    """The lease owner of a run that was started by hand."""
    return f"process {os.getpid()} on {os.uname().nodename if hasattr(os, 'uname') else 'this machine'}"


def held_by_hand() -> dict[str, Any]:
    """The lease fields of a run that was started by hand, for the body of its start request."""
    place, proof = machine.identity()
    seconds: float = settings.get("flow_lease_seconds")
    return {"owner": owner(), "lease_seconds": seconds, "place": place, "proof": proof}


class LeaseKeeper:
    """A thread that renews the lease of a run started by hand, until it is closed.

    Args:
        client: sends the requests.
        flow_run_id: the run.
        attempt: its attempt number, the fencing token.
        journal: refuses further records when the lease is lost.
    """

    def __init__(
        self,
        client: Client,
        flow_run_id: str,
        attempt: int,
        journal: Journal,
    ) -> None:
        self._client = client
        self._flow_run_id = flow_run_id
        self._attempt = attempt
        self._journal = journal
        self._lease_seconds: float = settings.get("flow_lease_seconds")
        self._closed = threading.Event()
        self._watching = threading.Lock()
        self._only_renews = False
        self._main = threading.current_thread() is threading.main_thread()
        self._thread = threading.Thread(target=self._work, name="runyard-lease", daemon=True)
        self._thread.start()

    def only_renew(self) -> None:
        """Only renew from now on, do not stop this process: it is about to report the end of the run."""
        with self._watching:
            self._only_renews = True

    def close(self) -> None:
        """Stop renewing."""
        self._closed.set()
        self._thread.join()

    def _work(self) -> None:
        try:
            pause = min(self._lease_seconds / 3, _LONGEST_SECONDS)
            while not self._closed.wait(pause):
                if not self._renew():
                    return
        finally:
            release_thread()

    def _renew(self) -> bool:
        """Renew once; False if the lease is lost or the run is being cancelled."""
        # 0.1 s with pydantic; runs that are over soon renew no lease.
        from runyard.operations.flow_runs.renew_leases import HeldLease, RenewLeases, renew_leases

        held = HeldLease(flow_run_id=self._flow_run_id, attempt=self._attempt)
        body = RenewLeases(leases=[held], lease_seconds=self._lease_seconds)
        try:
            answer = self._client.call(renew_leases, body)
        except RunyardError:
            return True  # the database or the API is unavailable: the run continues, the next turn renews
        gone = bool(answer.lost or answer.over)
        with self._watching:
            if self._only_renews:
                return not gone
            if gone:
                self._journal.refused = StaleAttempt(
                    f"attempt {self._attempt} of flow run {self._flow_run_id} lost its lease"
                )
            if (gone or answer.cancelling) and self._main:
                os.kill(os.getpid(), signal.SIGTERM)
            return not (gone or answer.cancelling)
