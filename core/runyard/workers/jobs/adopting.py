"""Jobs of lost workers: adopts those that still run, and proves the loss of the others."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from runyard.base import clock, machine
from runyard.base.errors import RunyardError
from runyard.engine import death_proofs
from runyard.operations.flow_runs.adoption import Adoption, adopt_flow_run
from runyard.operations.lease_clock import takeover_seconds
from runyard.operations.recovery.recover_flow_runs import RecoverRequest, recover
from runyard.workers.infrastructure import base
from runyard.workers.job_configuration import job_of
from runyard.workers.jobs.job_supervisor import Since

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.operations.flow_runs.renew_leases import HeldLease
    from runyard.workers.infrastructure.base import FoundJob, Infrastructure
    from runyard.workers.jobs.job_supervisor import JobSupervisor

KIND = "job"


class Adopting:
    """Decides whether workers whose runs are jobs on the same engine are gone.

    Args:
        client: reaches the database or API.
        infrastructure: of the jobs.
        supervisor: receives adopted jobs.
        pool: of this worker.
        name: of this worker.
        serve_also: also serves the API on the port of a lost worker; None if all runs report to a server.
    """

    def __init__(
        self,
        client: Client,
        infrastructure: Infrastructure,
        supervisor: JobSupervisor,
        pool: str,
        name: str,
        serve_also: Callable[[int], None] | None,
    ) -> None:
        self._client = client
        self._infrastructure = infrastructure
        self._supervisor = supervisor
        self._pool = pool
        self._name = name
        self._serve_also = serve_also
        death_proofs.add(KIND, infrastructure.place(), self.judge)

    def judge(self, facts: dict[str, Any], overdue: bool) -> bool:
        """Whether nothing of a holder's runs executes any more; adopts its running jobs."""
        if not overdue and self._may_live(facts):
            return False
        proof = json.dumps(facts)
        held = self._client.call(recover, RecoverRequest(proof=proof)).held
        try:
            jobs = {_attempt_of(job): job for job in self._infrastructure.find({})}
        except base.Unreachable:
            return False
        over = [self._is_over(lease, jobs) for lease in held]
        return all(over)

    def _may_live(self, facts: dict[str, Any]) -> bool:
        """Whether the worker may be alive, as far as this machine and the engine can tell."""
        if facts["machine"] == machine.place():
            if facts["boot"] != machine.boot_id():
                return False
            if facts["pids"] == machine.pid_namespace():
                return machine.is_alive(*facts["worker"])
        here, is_gone = facts.get("here"), getattr(self._infrastructure, "is_gone", None)
        return here is None or is_gone is None or not is_gone(here)

    def _is_over(self, lease: HeldLease, jobs: dict[tuple[str, str], FoundJob]) -> bool:
        job = jobs.get((lease.flow_run_id, str(lease.attempt)))
        if job is None:
            return True
        if job.labels.get(base.POOL_LABEL) != self._pool:
            return False  # a worker of that pool will do it
        if not job.started:
            self._infrastructure.remove(job.id)  # its worker was lost between creating and starting it
            return True
        with suppress(RunyardError):
            self._adopt(lease, job)
        return False

    def _adopt(self, lease: HeldLease, job: FoundJob) -> None:
        place, proof = self._supervisor.identity()
        body = Adoption(
            attempt=lease.attempt,
            work_pool_name=self._pool,
            worker_name=self._name,
            place=place or "",
            proof=proof or "",
            lease_seconds=takeover_seconds(),
        )
        adopted = self._client.call(adopt_flow_run, lease.flow_run_id, body)
        if adopted.run is None:
            self._infrastructure.stop(job.id, 0.0)
            return
        port = job.labels.get(base.API_PORT_LABEL)
        if port and self._serve_also is not None:
            with suppress(RunyardError):  # another program has the port: the run's exit code decides its end
                self._serve_also(int(port))
        kept = adopted.kept_until
        since = None if kept is None else Since(clock.to_us(kept), adopted.kept_lines)
        try:
            configuration = job_of(adopted.run)
        except RunyardError:  # one of its variables does not exist any more; the run continues anyway
            configuration = {}
        self._supervisor.adopt(adopted.run, configuration, job, since)


def _attempt_of(job: FoundJob) -> tuple[str, str]:
    hooks = ":hooks" if base.HOOKS_LABEL in job.labels else ""
    return job.labels.get(base.RUN_LABEL, ""), job.labels.get(base.ATTEMPT_LABEL, "") + hooks
