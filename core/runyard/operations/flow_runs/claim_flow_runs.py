"""Claiming: a worker, or a process that serves deployments, claims the runs that it starts."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock
from runyard.domain import limits
from runyard.domain.states import (
    PENDING,
    Cancelled,
    Pending,
    Scheduled,
)
from runyard.operations import lease_clock
from runyard.operations.deployments import deployment_views
from runyard.operations.deployments.deployment_shapes import Deployment
from runyard.operations.flow_runs import due_runs, enforce_run_policies, flow_runs, leases
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.flow_run_shapes import FlowRun, flow_run_of
from runyard.operations.operation import Settled, operation
from runyard.operations.schemas import Input, LeaseSeconds, Model, Time, load
from runyard.operations.work_pools.work_pools import pool_row
from runyard.operations.work_pools.work_queues import mark_polled
from runyard.store.database import Row, Transaction

# While workers claim, the stored time of a queue's last poll is at most this old. Not each claim writes it.
POLL_NOTE_US = 10_000_000


class Claim(Input):
    """A request to claim at most `limit` runs. Their leases expire after `lease_seconds` without renewal.

    `place` and `proof`: the machine, and the lock file by which others can prove that the caller is dead.
    """

    worker_name: str
    limit: int = Field(default=1, ge=0)
    lease_seconds: LeaseSeconds
    place: str | None = None
    proof: str | None = None


class ClaimRequest(Claim):
    """A worker's request to claim runs.

    `work_queue_names`: only runs of these queues; null or empty: of all queues. `due_before`: only runs that
    are due before this time and now.
    """

    work_queue_names: list[str] | None = None
    due_before: Time | None = None


class ClaimedRun(Model):
    """A run that a worker claimed. All reports about the run must contain its `attempt`."""

    flow_run_id: str
    attempt: int
    flow_run: FlowRun
    flow_name: str
    deployment: Deployment | None = None
    base_job_template: dict[str, Any] = Field(default_factory=dict)


class NextDue(Model):
    """`due`: when a worker should claim next (null: not before something changes). `now`: the present time by
    the server's clock, because a worker's own clock may differ."""

    due: Time | None
    now: Time


def _nothing_to_claim(tx: Transaction, work_pool_name: str, body: ClaimRequest) -> Settled | None:
    pool = pool_row(tx, work_pool_name)
    found = due_runs.due_of_pool(tx, pool, body.work_queue_names, body.limit, _until(tx, body))
    return None if found.start or found.cancel else Settled([])


def _until(tx: Transaction, body: ClaimRequest) -> int:
    """The time until which a run must be due for a claim."""
    now = lease_clock.wall(tx)
    return now if body.due_before is None else min(now, clock.to_us(body.due_before))


@operation("POST", "/runyard/work_pools/{work_pool_name}/claim", prepare=_nothing_to_claim)
def claim_flow_runs(tx: Transaction, work_pool_name: str, body: ClaimRequest) -> list[ClaimedRun]:
    """Claim due runs of a work pool, sorted by the priority of their queue, then by their due time.

    A run is claimed only once, and no limit of the pool, its queues or the deployments is exceeded. Runs
    that must wait for a limit do not block later runs. If no run can start, nothing is written.

    Raises:
        NotFound: the work pool is not found.
    """
    pool = _locked_pool(tx, work_pool_name)
    found = due_runs.due_of_pool(tx, pool, body.work_queue_names, body.limit, _until(tx, body), lock=True)
    if not found.start:
        return claim_due(tx, found, body, pool["base_job_template"])
    mark_polled(tx, found.queue_ids, lease_clock.wall(tx), POLL_NOTE_US)
    worker_id = tx.value(
        "SELECT id FROM workers WHERE work_pool_id = :pool AND name = :name",
        {"pool": pool["id"], "name": body.worker_name},
    )
    return claim_due(tx, found, body, pool["base_job_template"], pool["id"], worker_id)


def _locked_pool(tx: Transaction, work_pool_name: str) -> Row:
    """Read the row of a pool. On PostgreSQL lock it, so that claims of one pool run one after another."""
    pool = pool_row(tx, work_pool_name)
    if tx.dialect == "postgresql":
        pool = tx.one("SELECT * FROM work_pools WHERE id = :id FOR UPDATE", {"id": pool["id"]}) or pool
    return pool


def claim_due(
    tx: Transaction,
    found: due_runs.DueRuns,
    body: Claim,
    base_job_template: str,
    pool_id: str | None = None,
    worker_id: str | None = None,
) -> list[ClaimedRun]:
    """Claim the due runs, and cancel the runs whose deployment is full and says so.

    Args:
        body: the request of the claiming process.
        base_job_template: the job template, as JSON.
        pool_id, worker_id: the ids of the pool and the worker, if a worker claims.
    """
    for flow_run_id in found.cancel:
        change_flow_run_state(tx, flow_run_id, Cancelled(message=due_runs.CANCELLED_AS_NEW))
    attempts = {run_id: _claim(tx, run_id, pool_id, worker_id, body) for run_id in found.start}
    got = {run_id: number for run_id, number in attempts.items() if number is not None}
    return claimed(tx, base_job_template, got)


def _claim(
    tx: Transaction, flow_run_id: str, pool_id: str | None, worker_id: str | None, body: Claim
) -> int | None:
    """Lease a run and set it to Pending. Returns its attempt, or None if another process was faster or the
    run is too late."""
    lock = " FOR UPDATE OF r SKIP LOCKED" if tx.dialect == "postgresql" else ""
    run = tx.one(
        f"""SELECT r.id, r.attempt, r.work_queue_id, r.deployment_id, r.expected_start_time, r.start_time,
                d.max_lateness_seconds
            FROM flow_runs r LEFT JOIN deployments d ON d.id = r.deployment_id
            WHERE r.id = :id AND r.state_type = 'SCHEDULED'{lock}""",  # noqa: S608  # fixed
        {"id": flow_run_id},
    )
    if run is None or enforce_run_policies.skip_late(tx, run):
        return None
    identity = (body.place, body.proof)
    attempt = leases.take(tx, run, body.worker_name, body.lease_seconds, worker_id, pool_id, identity)
    outcome = change_flow_run_state(tx, flow_run_id, Pending(), attempt=attempt)
    if outcome.state.type != PENDING:
        leases.release(tx, flow_run_id)
        return None
    return attempt


def claimed(tx: Transaction, base_job_template: str, attempts: dict[str, int]) -> list[ClaimedRun]:
    """The details of claimed runs for a worker. `attempts`: the attempts by run id."""
    template = load(base_job_template, {})
    deployments: dict[str, Deployment | None] = {}
    flow_names: dict[str, str] = {}
    found = []
    for run_id, attempt in attempts.items():
        row = flow_runs.read_row(tx, run_id)
        deployment_id, flow_id = row["deployment_id"], row["flow_id"]
        if deployment_id is not None and deployment_id not in deployments:
            views = deployment_views.select(tx, "d.id = :id", {"id": deployment_id})
            deployments[deployment_id] = views[0] if views else None
        if flow_id not in flow_names:
            flow_names[flow_id] = tx.value("SELECT name FROM flows WHERE id = :id", {"id": flow_id}) or ""
        found.append(
            ClaimedRun.model_construct(
                flow_run_id=run_id,
                attempt=attempt,
                flow_run=flow_run_of(row),
                flow_name=flow_names[flow_id],
                deployment=deployments.get(deployment_id) if deployment_id else None,
                base_job_template=template,
            )
        )
    return found


@operation("GET", "/runyard/work_pools/{work_pool_name}/next_due")
def read_next_due(tx: Transaction, work_pool_name: str, work_queue_names: list[str] | None = None) -> NextDue:
    """Read when a worker should claim next, if nothing else changes.

    Args:
        work_queue_names: only these queues; empty: all queues.

    Returns:
        The present time if a run can start now, else the time when the next run is due.

    Raises:
        NotFound: the work pool is not found.
    """
    pool, now = pool_row(tx, work_pool_name), lease_clock.wall(tx)
    look = due_runs.due_of_pool(tx, pool, work_queue_names, 1, now)
    coming = [due_runs.next_future(tx, queue_id, now) for queue_id in look.queue_ids]
    due = now if look.start or look.cancel else limits.least(*coming)
    return next_due(due, now)


def next_due(due_us: int | None, now_us: int) -> NextDue:
    """The response with these times, in microseconds."""
    return NextDue(due=None if due_us is None else clock.from_us(due_us), now=clock.from_us(now_us))


@operation("POST", "/runyard/flow_runs/{flow_run_id}/return")
def return_claim(tx: Transaction, flow_run_id: str, attempt: int = 0) -> bool:
    """Return a claimed run that was not started. It waits again, with the same due time.

    Args:
        attempt: the attempt that the claim returned.

    Returns:
        Whether the run was returned. A run that has started or ended does not change.

    Raises:
        StaleAttempt: the attempt no longer holds the run.
        NotFound: the flow run is not found.
    """
    row = flow_runs.read_row(tx, flow_run_id)
    if row["state_type"] != PENDING:
        return False
    leases.check(tx, flow_run_id, attempt)
    due = (load(row["state"]) or {}).get("state_details", {}).get("scheduled_time")
    state = Scheduled(
        clock.parse_time(due) if due else None, message="The worker stopped before it started the run."
    )
    outcome = change_flow_run_state(tx, flow_run_id, state, attempt=attempt)
    return outcome.state.type == state.type
