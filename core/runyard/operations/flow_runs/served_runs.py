"""Runs of deployments without a work pool, which the process that serves those deployments claims."""

from __future__ import annotations

from pydantic import Field

from runyard.domain import job_templates, limits
from runyard.domain.states import Cancelled
from runyard.operations import lease_clock
from runyard.operations.flow_runs import claim_flow_runs, due_runs
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun, ClaimRequest
from runyard.operations.operation import Settled, operation
from runyard.operations.schedules.schedules import busy_condition
from runyard.operations.schemas import Input, LeaseSeconds, dump
from runyard.store.database import Row, Transaction

# A condition written as in the partial indexes, which are used only for queries that repeat it.
_OF_DEPLOYMENT = """FROM flow_runs run WHERE run.work_queue_id IS NULL
    AND run.deployment_id = :deployment AND run.state_type = 'SCHEDULED'"""
_DUE = (
    f"SELECT run.id, run.next_scheduled_start_time AS due {_OF_DEPLOYMENT} "
    f"AND run.next_scheduled_start_time <= :until AND NOT {busy_condition('run')} "
    "ORDER BY run.next_scheduled_start_time, run.id LIMIT :room"
)
_NEXT = f"SELECT min(run.next_scheduled_start_time) {_OF_DEPLOYMENT} AND run.next_scheduled_start_time > :now"
_MOST_AT_ONCE = 200


class ServedDeployments(Input):
    """The deployments that a process serves."""

    deployment_ids: list[str]


class ServedClaim(ServedDeployments):
    """What it asks for: at most `limit` due runs, held for `lease_seconds` without a renewal."""

    worker_name: str
    limit: int = Field(default=1, ge=0)
    lease_seconds: LeaseSeconds
    place: str | None = None
    proof: str | None = None


def _nothing_to_claim(tx: Transaction, body: ServedClaim) -> Settled | None:
    rows, cancel = _look(tx, body.deployment_ids, min(body.limit, _MOST_AT_ONCE), lock=False)
    return None if rows or cancel else Settled([])


@operation("POST", "/runyard/served/claim", prepare=_nothing_to_claim)
def claim_served_flow_runs(tx: Transaction, body: ServedClaim) -> list[ClaimedRun]:
    """Take due runs of deployments that have no work pool, by their time.

    Nobody gets a run twice, and no deployment's limit is exceeded; a full deployment does not hold up
    the others.
    """
    room = min(body.limit, _MOST_AT_ONCE)
    rows, cancel = _look(tx, body.deployment_ids, room, lock=True)
    for flow_run_id in cancel:
        change_flow_run_state(tx, flow_run_id, Cancelled(message=due_runs.CANCELLED_AS_NEW))
    request = ClaimRequest(
        worker_name=body.worker_name, lease_seconds=body.lease_seconds, place=body.place, proof=body.proof
    )
    attempts: dict[str, int] = {}
    for row in rows[:room]:
        attempt = claim_flow_runs.take(tx, row["id"], None, None, request)
        if attempt is not None:
            attempts[row["id"]] = attempt
    return claim_flow_runs.claimed(tx, dump(job_templates.default("process")), attempts)


@operation("POST", "/runyard/served/next_due", write=False)
def read_next_served(tx: Transaction, body: ServedDeployments) -> claim_flow_runs.NextDue:
    """When the process should claim next, as long as nothing changes meanwhile.

    Returns:
        Now, where something may start; else when the next run will be due.
    """
    now = lease_clock.wall(tx)
    rows, cancel = _look(tx, body.deployment_ids, 1, lock=False)
    coming = [tx.value(_NEXT, {"deployment": each, "now": now}) for each in body.deployment_ids]
    due = now if rows or cancel else limits.least(*coming) if coming else None
    return claim_flow_runs.next_due(due, now)


def _look(tx: Transaction, deployment_ids: list[str], room: int, lock: bool) -> tuple[list[Row], list[str]]:
    """The due runs that may start within their deployments' limits, the oldest first; and those to cancel."""
    slots, until = due_runs.Slots(tx, lock), lease_clock.wall(tx)
    found: list[Row] = []
    cancel: list[str] = []
    for deployment_id in dict.fromkeys(deployment_ids):
        free = limits.least(room, slots.left(deployment_id)) or 0
        cancels = slots.cancels(deployment_id)
        wanted = _MOST_AT_ONCE if cancels else free
        if wanted <= 0:
            continue
        rows = tx.all(_DUE, {"deployment": deployment_id, "until": until, "room": wanted})
        found.extend(rows[:free])
        if cancels and free < room:
            cancel.extend(row["id"] for row in rows[free:])
    return sorted(found, key=lambda row: (row["due"], row["id"])), cancel
