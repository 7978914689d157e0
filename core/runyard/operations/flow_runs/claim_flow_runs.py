"""Claiming: how a worker, or a process that serves deployments, gets the runs that it starts."""

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
from runyard.operations.flow_runs import due_runs, flow_runs, leases, run_policies
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.flow_run_shapes import FlowRun, flow_run_of
from runyard.operations.operation import Settled, operation
from runyard.operations.schemas import Input, LeaseSeconds, Model, Time, load
from runyard.operations.work_pools.work_pools import pool_row
from runyard.operations.work_pools.work_queues import mark_polled
from runyard.store.database import Row, Transaction

# How old the note that a queue is asked for may get, so that claims do not write it each time.
POLL_NOTE_US = 10_000_000


class Claim(Input):
    """What whoever starts runs asks for: at most `limit`, held for `lease_seconds` without a renewal.

    `place` and `proof`: where and by what its death can be proved.
    """

    worker_name: str
    limit: int = Field(default=1, ge=0)
    lease_seconds: LeaseSeconds
    place: str | None = None
    proof: str | None = None


class ClaimRequest(Claim):
    """What a worker of a pool asks for.

    `work_queue_names`: only of these queues; of all when null or empty. `due_before`: only those that are due
    before this moment as well as now.
    """

    work_queue_names: list[str] | None = None
    due_before: Time | None = None


class ClaimedRun(Model):
    """A run that a worker got. `attempt` is what proves it in all reports about it."""

    flow_run_id: str
    attempt: int
    flow_run: FlowRun
    flow_name: str
    deployment: Deployment | None = None
    base_job_template: dict[str, Any] = Field(default_factory=dict)


class NextDue(Model):
    """When a worker should claim next (null: not before something changes), and what time it is for that:
    a worker's own clock does not count."""

    due: Time | None
    now: Time


def _nothing_to_claim(tx: Transaction, work_pool_name: str, body: ClaimRequest) -> Settled | None:
    pool = pool_row(tx, work_pool_name)
    found = due_runs.due_of_pool(tx, pool, body.work_queue_names, body.limit, _until(tx, body))
    return None if found.start or found.cancel else Settled([])


def _until(tx: Transaction, body: ClaimRequest) -> int:
    """Until when a run must be due for a claim."""
    now = lease_clock.wall(tx)
    return now if body.due_before is None else min(now, clock.to_us(body.due_before))


@operation("POST", "/runyard/work_pools/{work_pool_name}/claim", prepare=_nothing_to_claim)
def claim_flow_runs(tx: Transaction, work_pool_name: str, body: ClaimRequest) -> list[ClaimedRun]:
    """Take due runs of a pool: by their queue's priority, then by their time.

    Nobody gets a run twice, and no limit of the pool, its queues or the deployments is exceeded. Runs
    that a limit holds back do not hold up those behind them. Where nothing may start, nothing is written.

    Raises:
        NotFound: no pool is named so.
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
    """The row of a pool. On PostgreSQL it is locked: claims of one pool go one after another."""
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
    """Take the runs that were found due, and cancel those that find their deployment full.

    Args:
        body: who takes them.
        base_job_template: the JSON of the template by which they start.
        pool_id, worker_id: of a worker of a pool.
    """
    for flow_run_id in found.cancel:
        change_flow_run_state(tx, flow_run_id, Cancelled(message=due_runs.CANCELLED_AS_NEW))
    attempts = {run_id: _claim(tx, run_id, pool_id, worker_id, body) for run_id in found.start}
    got = {run_id: number for run_id, number in attempts.items() if number is not None}
    return claimed(tx, base_job_template, got)


def _claim(
    tx: Transaction, flow_run_id: str, pool_id: str | None, worker_id: str | None, body: Claim
) -> int | None:
    """Lease a run and make it Pending: its attempt; None where another was quicker or it is too late."""
    lock = " FOR UPDATE OF r SKIP LOCKED" if tx.dialect == "postgresql" else ""
    run = tx.one(
        f"""SELECT r.id, r.attempt, r.work_queue_id, r.deployment_id, r.expected_start_time, r.start_time,
                d.max_lateness_seconds
            FROM flow_runs r LEFT JOIN deployments d ON d.id = r.deployment_id
            WHERE r.id = :id AND r.state_type = 'SCHEDULED'{lock}""",  # noqa: S608  # fixed
        {"id": flow_run_id},
    )
    if run is None or run_policies.skip_late(tx, run):
        return None
    identity = (body.place, body.proof)
    attempt = leases.take(tx, run, body.worker_name, body.lease_seconds, worker_id, pool_id, identity)
    outcome = change_flow_run_state(tx, flow_run_id, Pending(), attempt=attempt)
    if outcome.state.type != PENDING:
        leases.release(tx, flow_run_id)
        return None
    return attempt


def claimed(tx: Transaction, base_job_template: str, attempts: dict[str, int]) -> list[ClaimedRun]:
    """What a worker gets to know of the runs it took, by id with their attempts."""
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
    """When a worker should claim next, as long as nothing changes meanwhile.

    Args:
        work_queue_names: only these queues count; all when empty.

    Returns:
        Now, where something may start; else when the next run will be due.

    Raises:
        NotFound: no pool is named so.
    """
    pool, now = pool_row(tx, work_pool_name), lease_clock.wall(tx)
    look = due_runs.due_of_pool(tx, pool, work_queue_names, 1, now)
    coming = [due_runs.next_future(tx, queue_id, now) for queue_id in look.queue_ids]
    due = now if look.start or look.cancel else limits.least(*coming)
    return next_due(due, now)


def next_due(due_us: int | None, now_us: int) -> NextDue:
    """The answer with these times, in microseconds."""
    return NextDue(due=None if due_us is None else clock.from_us(due_us), now=clock.from_us(now_us))


@operation("POST", "/runyard/flow_runs/{flow_run_id}/return")
def return_claim(tx: Transaction, flow_run_id: str, attempt: int = 0) -> bool:
    """Give back a run that was claimed and not started: it waits again, with its place in the queue.

    Args:
        attempt: the one the claim gave.

    Returns:
        Whether it was given back; a run that started or ended meanwhile is left alone.

    Raises:
        StaleAttempt: the run is not that attempt's any more.
        NotFound: there is no such run.
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
