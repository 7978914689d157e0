"""Recovery: ends or restarts the runs whose executor was lost."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock
from runyard.domain.states import (
    CANCELLING,
    PENDING,
    TERMINAL,
    Cancelled,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import enforce_run_policies, leases, pauses
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.crash_flow_run import RUN_TO_CRASH, crash_flow_run, return_unbegun
from runyard.operations.flow_runs.renew_leases import HeldLease
from runyard.operations.flow_runs.retake_leases import lost_lease_details
from runyard.operations.limits import limit_slots
from runyard.operations.operation import operation
from runyard.operations.schemas import MOST_SECONDS, Input, Model, Time
from runyard.operations.task_runs import background_tasks
from runyard.store.database import Row, Transaction

_BATCH = 200


class RecoverRequest(Input):
    """What the caller knows about the executors of runs.

    Args:
        now: the time to recover for; by default the present.
        places: the places (machines) where the caller can check whether a lease holder lives.
        proof: the caller's own proof.
        dead: the proofs of dead lease holders. Their runs are recovered at once.
        early_seconds: how long before its lease expires a holder at these places is reported as overdue.
        again: the caller could not call this for a while, so others may not have been able to renew.
    """

    now: Time | None = None
    places: list[str] = Field(default_factory=list)
    proof: str | None = None
    dead: list[str] = Field(default_factory=list)
    early_seconds: float = Field(default=0.0, ge=0, le=MOST_SECONDS)
    again: bool = False


class Doubt(Model):
    """A lease holder for the caller to check. `overdue`: it has stopped renewing its lease."""

    place: str
    proof: str
    overdue: bool


class RecoverReport(Model):
    """The ids of the recovered runs, by result. `doubts`: the lease holders at the caller's places.
    `held`: the leases that the caller itself holds."""

    rescheduled: list[str] = Field(default_factory=list)
    crashed: list[str] = Field(default_factory=list)
    cancelled: list[str] = Field(default_factory=list)
    expired: list[str] = Field(default_factory=list)
    doubts: list[Doubt] = Field(default_factory=list)
    held: list[HeldLease] = Field(default_factory=list)


@operation("POST", "/runyard/recover")
def recover(tx: Transaction, body: RecoverRequest) -> RecoverReport:
    """End or restart the runs whose lease holder is dead or whose lease has expired.

    A run that had not started waits again. A run that was being cancelled becomes Cancelled. Any other run
    becomes Crashed, with its open task runs and subflow runs, and starts again if its deployment allows it.
    """
    ahead = 0 if body.now is None else clock.to_us(body.now) - clock.now_us()
    # If no lease exists, do not tick the clock, so that an idle database is not written.
    now = (lease_clock.tick(tx, body.again) if _is_leased(tx) else lease_clock.now(tx)) + ahead
    # Another process that recovers at the same time skips the rows that this transaction locks.
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
    """Whether a lease exists that can expire."""
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
    run = tx.one(RUN_TO_CRASH, {"id": lease["flow_run_id"]})
    if run is None or run["state_type"] in TERMINAL:
        leases.release(tx, lease["flow_run_id"])
        return
    run_id, owner = run["id"], lease["owner"]
    if run["state_type"] == CANCELLING:
        message = f"{owner!r}, which was to stop it, was lost."
        change_flow_run_state(tx, run_id, Cancelled(message=message), force=True)
        report.cancelled.append(run_id)
    elif run["state_type"] == PENDING and run["deployment"] is not None:
        message = f"{owner!r} was lost before it started the run."
        waits = return_unbegun(tx, run, message, lost_lease_details(lease, run))
        (report.rescheduled if waits else report.crashed).append(run_id)
    elif enforce_run_policies.is_over(lease, run["state_type"], lease_clock.now(tx)):
        enforce_run_policies.time_out(tx, run)
        report.crashed.append(run_id)
    elif crash_flow_run(
        tx, run, f"{owner!r}, which executed it, was lost.", lost_lease_details(lease, run), lost=True
    ):
        report.rescheduled.append(run_id)
    else:
        report.crashed.append(run_id)
    leases.release(tx, run_id)


@operation("POST", "/runyard/flow_runs/redate")
def redate_flow_runs(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Correct the due times of waiting runs that were due before the clock was set back.

    Returns:
        `redated`: the number of corrected runs.
    """
    redated = tx.execute(
        """UPDATE flow_runs SET next_scheduled_start_time = :now
           WHERE state_type = 'SCHEDULED' AND next_scheduled_start_time > :now
           AND next_scheduled_start_time <= state_timestamp""",
        {"now": lease_clock.wall(tx)},
    )
    return {"redated": redated}
