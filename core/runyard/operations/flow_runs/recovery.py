"""Recovery: runs whose executor is lost, or whose process ended without a word, are brought to an end.

A deployment's `crash_retries` says how often such a run starts again.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from runyard import settings
from runyard.base import clock
from runyard.base.texts import counted
from runyard.domain.exit_codes import describe_exit
from runyard.domain.states import (
    CANCELLING,
    PAUSED,
    PENDING,
    SCHEDULED,
    TERMINAL,
    AwaitingRetry,
    Cancelled,
    Crashed,
    State,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import leases, pauses, run_policies, transitions
from runyard.operations.flow_runs.flow_run_shapes import OrchestrationResult, result_of
from runyard.operations.flow_runs.run_rows import decode_state, state_of
from runyard.operations.limits import limit_slots
from runyard.operations.operation import operation
from runyard.operations.schemas import MOST_SECONDS, Input, Model, Time
from runyard.operations.task_runs import background_tasks
from runyard.store.database import Row, Transaction

_BATCH = 200
# A run that takes its worker down each time before it begins is not given to one worker after another.
MOST_UNBEGUN = 25
# Where the states that recovery writes keep what the lost attempt was, for when it is heard from again.
_LOST = "lost_lease"
_RUN = """
    SELECT r.id, r.state, r.state_type, r.attempt, r.crash_count, r.deployment_id, r.work_queue_id,
        r.empirical_policy, d.id AS deployment, d.crash_retries, d.crash_retry_delay_seconds, d.on_lost
    FROM flow_runs r LEFT JOIN deployments d ON d.id = r.deployment_id WHERE r.id = :id"""


class HeldLease(Input):
    """One attempt at a run."""

    flow_run_id: str
    attempt: int


class RecoverRequest(Input):
    """Who looks, and what it knows.

    Args:
        now: the moment at which to look; the present by default.
        places: of the holders that the caller can judge.
        proof: the caller's own.
        dead: proofs of holders that it found dead; what they held is taken over at once.
        early_seconds: how long before its lease runs out a holder at these places is shown as overdue.
        again: the caller could not look for a while, so that others may not have been able to renew.
    """

    now: Time | None = None
    places: list[str] = Field(default_factory=list)
    proof: str | None = None
    dead: list[str] = Field(default_factory=list)
    early_seconds: float = Field(default=0.0, ge=0, le=MOST_SECONDS)
    again: bool = False


class Doubt(Model):
    """A holder for the caller to judge; `overdue`: it renews no more."""

    place: str
    proof: str
    overdue: bool


class RecoverReport(Model):
    """Ids of the runs that were lost, by what became of them; `doubts` are the holders at the caller's
    places, `held` what the caller itself holds."""

    rescheduled: list[str] = Field(default_factory=list)
    crashed: list[str] = Field(default_factory=list)
    cancelled: list[str] = Field(default_factory=list)
    expired: list[str] = Field(default_factory=list)
    doubts: list[Doubt] = Field(default_factory=list)
    held: list[HeldLease] = Field(default_factory=list)


class ExitReport(Input):
    """A run's process ended: with which exit code (negative: the signal), and what is known of it.

    `lost`: not by itself, but with whoever watched over it.
    """

    flow_run_id: str
    attempt: int
    exit_code: int
    message: str | None = None
    lost: bool = False


@operation("POST", "/runyard/recover")
def recover(tx: Transaction, body: RecoverRequest) -> RecoverReport:
    """End or restart the runs that nobody executes any more: their holders are dead, or their leases ran out.

    One that was not started yet waits again; one that was being cancelled is Cancelled; any other is
    Crashed, with all that is open under it, and starts again where its deployment allows it.
    """
    ahead = 0 if body.now is None else clock.to_us(body.now) - clock.now_us()
    # Without a lease there is nothing to wait for, and an idle database is not written.
    now = (lease_clock.tick(tx, body.again) if _is_leased(tx) else lease_clock.now(tx)) + ahead
    # Another process that recovers the same runs skips what this one holds.
    lock = " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    report = RecoverReport()
    for proof in body.dead:
        sql = f"SELECT * FROM leases WHERE place IS NOT NULL AND proof = :proof{lock}"  # noqa: S608  # fixed
        for lease in tx.all(sql, {"proof": proof}):
            _recover_one(tx, lease, report)
        background_tasks.release_dead(tx, proof)
    sql = f"SELECT * FROM leases WHERE expires < :now ORDER BY expires LIMIT {_BATCH}{lock}"  # noqa: S608  # fixed
    for lease in tx.all(sql, {"now": now}):
        _recover_one(tx, lease, report)
    report.expired = pauses.expire(tx, ahead)
    background_tasks.reschedule_lost(tx)
    limit_slots.prune(tx)
    _show_holders(tx, body, now, report)
    return report


def _is_leased(tx: Transaction) -> bool:
    """Whether anything is held that could run out."""
    return any(
        tx.value(f"SELECT 1 FROM {table} WHERE expires IS NOT NULL LIMIT 1")  # noqa: S608  # fixed names
        for table in ("leases", "background_tasks", "limit_slots")
    )


def _show_holders(tx: Transaction, body: RecoverRequest, now: int, report: RecoverReport) -> None:
    before = now + int(body.early_seconds * 1e6)
    for place in body.places:
        found: dict[str, bool] = {}
        for table in ("leases", "background_tasks"):
            rows = tx.all(
                f"SELECT proof, min(expires) AS expires FROM {table} "  # noqa: S608  # fixed names
                "WHERE place = :place AND expires IS NOT NULL GROUP BY proof",
                {"place": place},
            )
            for row in rows:
                found[row["proof"]] = found.get(row["proof"], False) or row["expires"] < before
        report.doubts.extend(
            Doubt(place=place, proof=proof, overdue=overdue)
            for proof, overdue in found.items()
            if proof != body.proof
        )
    if body.proof is not None:
        sql = "SELECT flow_run_id, attempt FROM leases WHERE place IS NOT NULL AND proof = :proof"
        report.held = [HeldLease(**row) for row in tx.all(sql, {"proof": body.proof})]


def _recover_one(tx: Transaction, lease: Row, report: RecoverReport) -> None:
    run = tx.one(_RUN, {"id": lease["flow_run_id"]})
    if run is None or run["state_type"] in TERMINAL:
        leases.release(tx, lease["flow_run_id"])
        return
    run_id, owner = run["id"], lease["owner"]
    if run["state_type"] == CANCELLING:
        message = f"{owner!r}, who was to stop it, was lost."
        transitions.set_flow_run_state(tx, run_id, Cancelled(message=message), force=True)
        report.cancelled.append(run_id)
    elif run["state_type"] == PENDING and run["deployment"] is not None:
        _return(tx, run, f"{owner!r} was lost before it started the run.", _marker(lease, run), report)
    elif run_policies.is_over(lease, run["state_type"], lease_clock.now(tx)):
        run_policies.time_out(tx, run)
        report.crashed.append(run_id)
    elif _crash(tx, run, f"{owner!r}, who executed it, was lost.", _marker(lease, run), lost=True):
        report.rescheduled.append(run_id)
    else:
        report.crashed.append(run_id)
    leases.release(tx, run_id)


def _return(
    tx: Transaction, run: Row, message: str, details: dict[str, Any], report: RecoverReport | None = None
) -> None:
    """A run whose attempt never began waits again, at no cost; but not for ever."""
    policy = json.loads(run["empirical_policy"])
    policy["never_began"] = (policy.get("never_began") or 0) + 1
    lost = policy["never_began"] > MOST_UNBEGUN
    state = AwaitingRetry(_present(tx), message=message, state_details=details)
    if lost:
        text = f"{message} It was lost before it began {policy['never_began']} times in a row."
        state = Crashed(message=text, state_details=details)
    transitions.set_flow_run_state(tx, run["id"], state, force=True)
    tx.execute(
        "UPDATE flow_runs SET empirical_policy = :policy WHERE id = :id",
        {"policy": json.dumps(policy, separators=(",", ":")), "id": run["id"]},
    )
    if report is not None:
        (report.crashed if lost else report.rescheduled).append(run["id"])


def _marker(lease: Row, run: Row) -> dict[str, Any]:
    state = state_of(run)
    lost = {name: lease[name] for name in ("attempt", "owner", "worker_id", "work_pool_id", "place", "proof")}
    if state is not None:
        lost["state"] = {"type": state.type, "name": state.name, "state_details": state.state_details}
    return {_LOST: lost}


def _present(tx: Transaction) -> datetime:
    """Now, for all workers: by the clock by which they judge what is due."""
    return clock.from_us(lease_clock.wall(tx))


def _crash(tx: Transaction, run: Row, message: str, details: dict[str, Any], lost: bool = False) -> bool:
    """Make a run Crashed; whether it starts again after that.

    Args:
        lost: it did not end by itself, but with its worker.
    """
    transitions.set_flow_run_state(tx, run["id"], Crashed(message=message, state_details=dict(details)))
    tx.execute("UPDATE flow_runs SET crash_count = crash_count + 1 WHERE id = :id", {"id": run["id"]})
    if run["deployment"] is None:
        return False
    allowed = _crash_retries(run)
    if lost and run["on_lost"] is not None:
        allowed = 0 if run["on_lost"] == run_policies.CRASH else run_policies.MOST_LOST
    count = run["crash_count"] + 1
    if count > allowed:
        return False
    if lost and run["on_lost"] == run_policies.RETRY:
        run_policies.start_over(tx, run["id"])
    retry = AwaitingRetry(
        _present(tx) + timedelta(seconds=run["crash_retry_delay_seconds"] or 0),
        message=f"{message} Starts again, {count} of {counted(allowed, 'time')}.",
        state_details=dict(details),
    )
    transitions.set_flow_run_state(tx, run["id"], retry)
    return True


def may_start_again(tx: Transaction, flow_run_id: str) -> bool:
    """Whether a run that crashes now starts again."""
    run = tx.one(_RUN, {"id": flow_run_id})
    return run is not None and run["crash_count"] < _crash_retries(run)


def _crash_retries(run: Row) -> int:
    """How often a run of a deployment may start again after it crashed."""
    if run["deployment"] is None:
        return 0
    allowed = run["crash_retries"]
    return int(settings.get("flow_default_crash_retries") if allowed is None else allowed)


def take_again(tx: Transaction, flow_run_id: str, attempt: int, lease_seconds: float) -> bool:
    """Give a run back to the attempt that was taken for lost and is not.

    That is so after an outage of the database, or when a machine slept. The run is put back into the
    state that it was in, unless it was claimed again, ended in another way or was changed by somebody.

    Returns:
        Whether the attempt holds the run again.
    """
    sql = "SELECT * FROM flow_runs WHERE id = :id"
    run = tx.one(sql + (" FOR UPDATE" if tx.dialect == "postgresql" else ""), {"id": flow_run_id})
    state = state_of(run) if run is not None else None
    lost = state.state_details.get(_LOST) if state is not None else None
    if run is None or not lost or lost["attempt"] != attempt or run["attempt"] != attempt:
        return False
    before = lost.get("state")
    if before is None or leases.holder(tx, flow_run_id) is not None:
        return False
    # `take` counts the attempt up: from the one before, to the very same number.
    run["attempt"] = attempt - 1
    identity = (lost.get("place"), lost.get("proof"))
    leases.take(tx, run, lost["owner"], lease_seconds, lost["worker_id"], lost["work_pool_id"], identity)
    back = State(
        before["type"],
        before["name"],
        f"{lost['owner']!r} was taken for lost and is there again.",
        state_details=dict(before["state_details"]),
    )
    transitions.set_flow_run_state(tx, flow_run_id, back, force=True, attempt=attempt)
    # It is the same run of the same attempt: it neither crashed nor started once more.
    tx.execute(
        """UPDATE flow_runs SET run_count = :run_count, crash_count = CASE WHEN :started = 1 AND
               crash_count > 0 THEN crash_count - 1 ELSE crash_count END WHERE id = :id""",
        {"run_count": run["run_count"], "started": int(before["type"] != PENDING), "id": flow_run_id},
    )
    return True


@operation("POST", "/runyard/flow_runs/redate")
def redate_flow_runs(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Bring forward the runs that waited already, and were due, before the clock was set back.

    Returns:
        `redated`: how many.
    """
    redated = tx.execute(
        """UPDATE flow_runs SET next_scheduled_start_time = :now
           WHERE state_type = 'SCHEDULED' AND next_scheduled_start_time > :now
           AND next_scheduled_start_time <= state_timestamp""",
        {"now": lease_clock.wall(tx)},
    )
    return {"redated": redated}


@operation("POST", "/runyard/flow_runs/exit")
def report_exit(tx: Transaction, body: ExitReport) -> OrchestrationResult | None:
    """A run's process ended: settle the run, if its own last report did not do so.

    Returns:
        What became of the run; None where it was settled already, or is not that attempt's any more.
    """
    run = tx.one(_RUN, {"id": body.flow_run_id})
    lease = leases.holder(tx, body.flow_run_id)
    if run is None or lease is None or lease["attempt"] != body.attempt or run["state_type"] in TERMINAL:
        return None
    state = state_of(run)
    suspended = state is not None and bool(state.state_details.get("pause_reschedule"))
    if run["state_type"] == PAUSED and suspended:
        return None
    if run["state_type"] == SCHEDULED and not (state and state.state_details.get("in_process")):
        return None
    if run["state_type"] == CANCELLING:
        message = "The run was stopped on request."
        transitions.set_flow_run_state(tx, body.flow_run_id, Cancelled(message=message), attempt=body.attempt)
    elif run["state_type"] == PENDING and body.lost and run["deployment"] is not None:
        _return(tx, run, body.message or describe_exit(body.exit_code), {})
        leases.release(tx, body.flow_run_id)
    elif run_policies.is_over(lease, run["state_type"], lease_clock.now(tx)):
        run_policies.time_out(tx, run, body.attempt)
    else:
        _crash(tx, run, body.message or describe_exit(body.exit_code), {}, body.lost)
    now = decode_state(tx.value("SELECT state FROM flow_runs WHERE id = :id", {"id": body.flow_run_id}))
    return result_of("ACCEPT", now, None, 0)
