"""Claiming: how a worker gets the runs it starts, keeps them by renewing, and gives one back."""

from __future__ import annotations

from typing import Any, NamedTuple

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.domain import limits
from runyard.domain.states import (
    CANCELLING,
    PAUSED,
    PENDING,
    TERMINAL,
    Cancelled,
    Pending,
    Scheduled,
)
from runyard.operations import lease_clock
from runyard.operations.deployments import deployment_views
from runyard.operations.deployments.deployment_shapes import Deployment
from runyard.operations.flow_runs import (
    due_runs,
    flow_runs,
    leases,
    recovery,
    run_policies,
    transitions,
)
from runyard.operations.flow_runs.flow_run_shapes import FlowRun, flow_run_of
from runyard.operations.flow_runs.recovery import HeldLease
from runyard.operations.operation import Settled, operation
from runyard.operations.schemas import Input, LeaseSeconds, Model, Time, load
from runyard.operations.work_pools.work_pools import pool_row
from runyard.operations.work_pools.work_queues import mark_polled, queue_rows
from runyard.store.database import Row, Transaction

_OVER = frozenset((*TERMINAL, PAUSED))

# How old the note that a queue is asked for may get, so that claims do not write it each time.
_POLL_NOTE_US = 10_000_000
_MOST_AT_ONCE = 200


class ClaimRequest(Input):
    """What a worker asks for: at most `limit` due runs, held for `lease_seconds` without a renewal.

    `work_queue_names`: only of these queues; of all when null or empty. `due_before`: only those that are due
    before this moment as well as now. `place` and `proof`: where and by what its death can be proved.
    """

    worker_name: str
    work_queue_names: list[str] | None = None
    limit: int = Field(default=1, ge=0)
    lease_seconds: LeaseSeconds
    due_before: Time | None = None
    place: str | None = None
    proof: str | None = None


class ClaimedRun(Model):
    """A run that a worker got. `attempt` is what proves it in all reports about it."""

    flow_run_id: str
    attempt: int
    flow_run: FlowRun
    flow_name: str
    deployment: Deployment | None = None
    base_job_template: dict[str, Any] = Field(default_factory=dict)


class RenewLeases(Input):
    """The attempts that somebody executes, to be held for `lease_seconds` from now."""

    leases: list[HeldLease]
    lease_seconds: LeaseSeconds


class RenewedLeases(Model):
    """Of the renewed: ids of runs that are somebody else's now, of those that are over (or suspended), whose
    processes may be about to end, and of those to be stopped: cancelled, or run as long as they may."""

    lost: list[str] = Field(default_factory=list)
    over: list[str] = Field(default_factory=list)
    cancelling: list[str] = Field(default_factory=list)
    timed_out: list[str] = Field(default_factory=list)


class ScheduledRunsRequest(Input):
    """Which due runs of a pool to show; `scheduled_before` is now by default."""

    work_queue_names: list[str] | None = None
    scheduled_before: Time | None = None
    scheduled_after: Time | None = None
    limit: int | None = Field(default=None, ge=0)


class WorkerFlowRun(Model):
    """A due run and where it waits."""

    work_pool_id: str
    work_queue_id: str
    flow_run: FlowRun


class NextDue(Model):
    """When a worker should claim next (null: not before something changes), and what time it is for that:
    a worker's own clock does not count."""

    due: Time | None
    now: Time


class _Look(NamedTuple):
    """What may start in a pool, and what is to be cancelled, by run id; `queue_ids` were asked."""

    start: list[str]
    cancel: list[str]
    queue_ids: list[str]


def _nothing_to_claim(tx: Transaction, work_pool_name: str, body: ClaimRequest) -> Settled | None:
    look = _look(tx, pool_row(tx, work_pool_name), body.work_queue_names, body.limit, _until(tx, body))
    return None if look.start or look.cancel else Settled([])


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
    found = _look(tx, pool, body.work_queue_names, body.limit, _until(tx, body), lock=True)
    for flow_run_id in found.cancel:
        transitions.set_flow_run_state(tx, flow_run_id, Cancelled(message=due_runs.CANCELLED_AS_NEW))
    if not found.start:
        return []
    mark_polled(tx, found.queue_ids, lease_clock.wall(tx), _POLL_NOTE_US)
    worker_id = tx.value(
        "SELECT id FROM workers WHERE work_pool_id = :pool AND name = :name",
        {"pool": pool["id"], "name": body.worker_name},
    )
    attempts = {run_id: take(tx, run_id, pool["id"], worker_id, body) for run_id in found.start}
    got = {run_id: number for run_id, number in attempts.items() if number is not None}
    return claimed(tx, pool["base_job_template"], got)


def _locked_pool(tx: Transaction, work_pool_name: str) -> Row:
    """The row of a pool. On PostgreSQL it is locked: claims of one pool go one after another."""
    pool = pool_row(tx, work_pool_name)
    if tx.dialect == "postgresql":
        pool = tx.one("SELECT * FROM work_pools WHERE id = :id FOR UPDATE", {"id": pool["id"]}) or pool
    return pool


def _look(
    tx: Transaction, pool: Row, names: list[str] | None, limit: int, until_us: int, lock: bool = False
) -> _Look:
    """What may start now, within all limits. Only reads."""
    queues = _open_queues(tx, pool, names)
    look = _Look([], [], [queue["id"] for queue in queues])
    room = limits.least(limit, _MOST_AT_ONCE, _free_of_pool(tx, pool)) or 0
    slots = due_runs.Slots(tx, lock)
    for queue in queues:
        if room <= 0:
            break
        found = due_runs.look(
            tx, queue["id"], until_us, limits.least(room, _free_of_queue(tx, queue)) or 0, slots
        )
        look.start.extend(found.start)
        look.cancel.extend(found.cancel)
        room -= len(found.start)
    return look


def _open_queues(tx: Transaction, pool: Row, names: list[str] | None) -> list[Row]:
    """The queues that may be served, in their order; none of a paused pool."""
    if pool["is_paused"]:
        return []
    queues = queue_rows(tx, pool["id"])
    return [queue for queue in queues if not queue["is_paused"] and (not names or queue["name"] in names)]


def _free_of_pool(tx: Transaction, pool: Row) -> int | None:
    if pool["concurrency_limit"] is None:
        return None
    used = tx.value(
        """SELECT count(*) FROM leases WHERE work_queue_id IN
           (SELECT id FROM work_queues WHERE work_pool_id = :id)""",
        {"id": pool["id"]},
    )
    return limits.free(pool["concurrency_limit"], used)


def _free_of_queue(tx: Transaction, queue: Row) -> int | None:
    if queue["concurrency_limit"] is None:
        return None
    used = tx.value("SELECT count(*) FROM leases WHERE work_queue_id = :id", {"id": queue["id"]})
    return limits.free(queue["concurrency_limit"], used)


def take(
    tx: Transaction, flow_run_id: str, pool_id: str | None, worker_id: str | None, body: ClaimRequest
) -> int | None:
    """Give a run to the worker; the attempt's number, or None where another was quicker or it is too late."""
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
    outcome = transitions.set_flow_run_state(tx, flow_run_id, Pending(), attempt=attempt)
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
    look = _look(tx, pool, work_queue_names, 1, now)
    coming = [due_runs.next_future(tx, queue_id, now) for queue_id in look.queue_ids]
    due = now if look.start or look.cancel else limits.least(*coming)
    return next_due(due, now)


def next_due(due_us: int | None, now_us: int) -> NextDue:
    """The answer with these times, in microseconds."""
    return NextDue(due=None if due_us is None else clock.from_us(due_us), now=clock.from_us(now_us))


@operation("POST", "/work_pools/{work_pool_name}/get_scheduled_flow_runs")
def get_scheduled_flow_runs(
    tx: Transaction, work_pool_name: str, body: ScheduledRunsRequest
) -> list[WorkerFlowRun]:
    """Show the runs that may start, for workers that claim each by setting its state to PENDING.

    Raises:
        NotFound: there is no such pool, or none of the named queues.
    """
    pool, now = pool_row(tx, work_pool_name), lease_clock.wall(tx)
    known = {queue["name"] for queue in queue_rows(tx, pool["id"])}
    if body.work_queue_names and not known & set(body.work_queue_names):
        raise NotFound(f"work pool {work_pool_name!r} has no queue {', '.join(body.work_queue_names)}")
    until = now if body.scheduled_before is None else clock.to_us(body.scheduled_before)
    limit = _MOST_AT_ONCE if body.limit is None else body.limit
    look = _look(tx, pool, body.work_queue_names, limit, until)
    mark_polled(tx, look.queue_ids, now, _POLL_NOTE_US)
    runs = [flow_run_of(flow_runs.read_row(tx, run_id)) for run_id in look.start]
    earliest = body.scheduled_after
    return [
        WorkerFlowRun(work_pool_id=pool["id"], work_queue_id=run.work_queue_id or "", flow_run=run)
        for run in runs
        if earliest is None
        or (run.next_scheduled_start_time is not None and run.next_scheduled_start_time >= earliest)
    ]


@operation("POST", "/runyard/leases/renew")
def renew_leases(tx: Transaction, body: RenewLeases) -> RenewedLeases:
    """Keep the runs that one executes; one that was taken for lost meanwhile is taken again.

    Returns:
        Which are not the caller's any more: given away, and their processes have to go; or over, as the
        process itself may have reported a moment ago. And which somebody wants to be stopped.
    """
    renewed = RenewedLeases()
    now = lease_clock.tick(tx)
    expires = now + int(body.lease_seconds * 1e6)
    for held in body.leases:
        values = {"id": held.flow_run_id, "attempt": held.attempt, "expires": expires}
        kept = tx.execute(
            "UPDATE leases SET expires = :expires WHERE flow_run_id = :id AND attempt = :attempt", values
        )
        if not kept:
            kept = recovery.take_again(tx, held.flow_run_id, held.attempt, body.lease_seconds)
        run = tx.one(
            """SELECT r.state_type, l.run_until FROM flow_runs r
               LEFT JOIN leases l ON l.flow_run_id = r.id WHERE r.id = :id""",
            {"id": held.flow_run_id},
        )
        state = None if run is None else run["state_type"]
        if not kept:
            (renewed.over if state in _OVER else renewed.lost).append(held.flow_run_id)
        elif state == CANCELLING:
            renewed.cancelling.append(held.flow_run_id)
        elif run is not None and run_policies.is_over(run, run["state_type"], now):
            renewed.timed_out.append(held.flow_run_id)
    return renewed


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
    outcome = transitions.set_flow_run_state(tx, flow_run_id, state, attempt=attempt)
    return outcome.state.type == state.type
