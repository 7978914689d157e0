"""The leases of a worker's runs: held from the claim on, renewed, lost; recovery of lost workers' runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.base.errors import NotFound, StaleAttempt
from runyard.client import LocalClient
from runyard.engine.lost_executors import Recovery
from runyard.operations.flow_runs.claim_flow_runs import return_claim
from runyard.operations.flow_runs.renew_leases import RenewLeases, renew_leases
from runyard.operations.lease_clock import takeover_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.workers.process.supervised_process import RunProcess
    from runyard.workers.process.supervisor import Supervisor


class Leases:
    """Renews the leases of a worker.

    Args:
        client: the API or database of the runs.
        supervisor: the processes of the runs.
        say: prints one line to the user (level, text).
    """

    def __init__(self, client: Client, supervisor: Supervisor, say: Callable[[str, str], None]) -> None:
        self._client = client
        self._supervisor = supervisor
        self._say = say
        self.seconds = takeover_seconds()
        self._recovery = Recovery(client, lambda: supervisor.identity()[1])
        self._in_one_file = isinstance(client, LocalClient) and client.database.dialect == "sqlite"

    def held_by(self) -> dict[str, Any]:
        """The lease options of a claim: its duration, and the proof by which others detect a dead holder."""
        place, proof = self._supervisor.identity()
        return {"lease_seconds": self.seconds, "place": place, "proof": proof}

    def renew(self) -> tuple[list[RunProcess], list[RunProcess]]:
        """Renew all leases; return the processes of cancelled runs, and of runs that exceeded their time."""
        running = self._supervisor.running.values()
        processes = {p.flow_run_id: p for p in running if not (p.lost or p.hooks)}
        if not processes:
            if running:
                # Only hooks or processes being killed: they have no lease.
                self._supervisor.beat(clock.boot_seconds())
            return [], []
        leases = [{"flow_run_id": p.flow_run_id, "attempt": p.attempt} for p in processes.values()]
        body = RenewLeases.model_validate({"leases": leases, "lease_seconds": self.seconds})
        asked_at = clock.boot_seconds()
        answer = self._client.call(renew_leases, body)
        self._supervisor.beat(asked_at)
        for flow_run_id in answer.lost:
            self._lose(processes[flow_run_id])
        for flow_run_id in answer.over:
            self._handle_ended(processes[flow_run_id])
        return [processes[each] for each in answer.cancelling], [processes[each] for each in answer.timed_out]

    def recover(self) -> bool:
        """Recover the runs of lost workers; return whether any were found."""
        found = self._recovery.run()
        running, ended = self._supervisor.running.values(), self._supervisor.ended
        known = {process.key for process in (*running, *ended)}
        for held in self._recovery.held:
            if f"{held.flow_run_id}:{held.attempt}" not in known:
                # The response to its claim was lost, or an outage came between the claim and the launch.
                self._give_back(held.flow_run_id, held.attempt)
                found = True
        return found

    def bear_outage(self) -> None:
        """Handle an outage of the database or the API."""
        if self._in_one_file:
            # Other workers cannot use an unavailable database file either, so they take over nothing.
            self._supervisor.beat(clock.boot_seconds())

    def _give_back(self, flow_run_id: str, attempt: int) -> None:
        try:
            self._client.call(return_claim, flow_run_id, attempt=attempt)
        except (StaleAttempt, NotFound):
            pass  # another worker owns the run, or the run was deleted

    def _lose(self, process: RunProcess) -> None:
        if process.reported:
            return
        process.lost = True
        self._say(
            "WARNING", f"Flow run {process.name!r} is not this worker's any more; its process is killed"
        )
        self._supervisor.kill(process)

    def _handle_ended(self, process: RunProcess) -> None:
        """Handle a run that is over: wait if its process reports its own end, else kill the process (the run
        was ended from outside). Only the second call kills, for processes that cannot report."""
        process.read_status()
        if process.over and not process.ending:
            self._lose(process)
        process.over = True
