"""Adoption: a worker takes over the running job of another worker that has ended."""

from __future__ import annotations

from pydantic import Field

from runyard.base import clock
from runyard.domain.states import TERMINAL
from runyard.operations.flow_runs import leases
from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun, claimed
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Time
from runyard.operations.work_pools.work_pools import pool_row
from runyard.store.database import Transaction


class Adoption(Input):
    """A worker's request to take over an attempt.

    Args:
        attempt: the attempt that the job executes.
        work_pool_name: the work pool of the worker.
        worker_name: the name of the worker.
        place: the place (machine) of its jobs.
        proof: what proves that the worker has ended.
        lease_seconds: after how many seconds the lease expires without renewal.
    """

    attempt: int
    work_pool_name: str
    worker_name: str
    place: str
    proof: str
    lease_seconds: float = Field(gt=0)


class Adopted(Model):
    """`run`: the run, if the worker holds it now. `kept_until`: the time of the last stored output line of
    the job, by the job's clock if known. `kept_lines`: the number of lines with this time."""

    run: ClaimedRun | None
    kept_until: Time | None = None
    kept_lines: int = 0


@operation("POST", "/runyard/flow_runs/{flow_run_id}/adopt")
def adopt_flow_run(tx: Transaction, flow_run_id: str, body: Adoption) -> Adopted:
    """Take over the lease of an attempt whose job continues, without a new attempt.

    Raises:
        NotFound: the work pool is not found.
    """
    pool = pool_row(tx, body.work_pool_name)
    lease = leases.holder(tx, flow_run_id)
    run = tx.one("SELECT state_type, attempt FROM flow_runs WHERE id = :id", {"id": flow_run_id})
    if lease is None or run is None or lease["attempt"] != body.attempt or run["state_type"] in TERMINAL:
        return Adopted(run=None)
    worker_id = tx.value(
        "SELECT id FROM workers WHERE work_pool_id = :pool AND name = :name",
        {"pool": pool["id"], "name": body.worker_name},
    )
    leases.hand_over(
        tx, flow_run_id, body.worker_name, worker_id, pool["id"], (body.place, body.proof), body.lease_seconds
    )
    found = claimed(tx, pool["base_job_template"], {flow_run_id: body.attempt})
    kept = tx.one(
        """SELECT timestamp, count(*) AS lines FROM logs WHERE flow_run_id = :id
           AND name IN ('runyard.stdout', 'runyard.stderr')
           GROUP BY timestamp ORDER BY timestamp DESC LIMIT 1""",
        {"id": flow_run_id},
    )
    run_now = found[0] if found else None
    if kept is None:
        return Adopted(run=run_now)
    return Adopted(run=run_now, kept_until=clock.from_us(kept["timestamp"]), kept_lines=kept["lines"])
