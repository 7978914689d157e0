"""Adopts running jobs of workers that have gone, and proves that their other jobs have ended."""

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
    """Checks workers whose runs are jobs in the same engine.

    Args:
        client: the API or database of the runs.
        infrastructure: the engine of their jobs.
        supervisor: gets the adopted jobs.
        pool: the work pool of this worker.
        name: the name of this worker.
        serve_also: serves the API at the port of a worker that has gone; None: all runs report to a server.
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
        """Whether all jobs of a lease holder have ended; adopts those that still run."""
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
        """Whether the worker may be alive, as far as this machine and the engine know."""
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
            return False  # a worker of that pool handles it
        if not job.started:
            self._infrastructure.remove(job.id)  # its worker was lost after creating and before starting it
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
            with suppress(RunyardError):  # the port is in use: the exit code reports the run's end
                self._serve_also(int(port))
        kept = adopted.kept_until
        since = None if kept is None else Since(clock.to_us(kept), adopted.kept_lines)
        try:
            configuration = job_of(adopted.run)
        except RunyardError:  # for example, a variable was deleted: the job runs anyway
            configuration = {}
        self._supervisor.adopt(adopted.run, configuration, job, since)


def _attempt_of(job: FoundJob) -> tuple[str, str]:
    hooks = ":hooks" if base.HOOKS_LABEL in job.labels else ""
    return job.labels.get(base.RUN_LABEL, ""), job.labels.get(base.ATTEMPT_LABEL, "") + hooks
