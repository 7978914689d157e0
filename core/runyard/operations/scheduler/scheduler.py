"""The scheduler: one turn creates the runs of all due schedules, and marks late runs."""

from __future__ import annotations

from runyard import settings
from runyard.base import clock
from runyard.domain import states
from runyard.operations.deployments.deployment_rows import deployment_row
from runyard.operations.flow_runs import due_runs
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.operation import Settled, operation
from runyard.operations.scheduler import schedule_firing
from runyard.operations.schemas import Input, Model, Time
from runyard.store.database import Transaction

# The most runs that one turn marks, so that its transaction stays short. The next turn marks the others.
_LATE_A_TURN = 200


class SchedulerTurn(Input):
    """The caller of the scheduler: the name of a worker or server, for people."""

    owner: str


class SchedulerReport(Model):
    """What a turn did. `next_due` tells when the next turn is needed (null: no turn is needed yet)."""

    created: int = 0
    skipped: int = 0
    late: int = 0
    next_due: Time | None = None


def _prepare(tx: Transaction, body: SchedulerTurn) -> Settled | dict[str, schedule_firing.Plan]:
    moment = _next_moment(tx, _late_after_us())
    if moment is None or moment > clock.now_us():
        return Settled(SchedulerReport(next_due=None if moment is None else clock.from_us(moment)))
    return schedule_firing.prepare_turn(tx)


@operation("POST", "/runyard/scheduler/run", prepare=_prepare)
def run_scheduler(tx: Transaction, body: SchedulerTurn) -> SchedulerReport:
    """Create a run for each due instant, and mark waiting runs that no worker claimed as Late.

    Any number of processes may call this at the same time. If nothing is due, it only reads.
    """
    report = SchedulerReport()
    now = clock.now_us()
    late_after_us = _late_after_us()
    moment = _next_moment(tx, late_after_us)
    if moment is not None and moment <= now:
        _take_turn(tx, body.owner, now)
        # Debts are older than due instants.
        done = [
            schedule_firing.pay(tx, debt, deployment_row(tx, debt["deployment_id"]))
            for debt in schedule_firing.debts(tx)
        ]
        done += [
            schedule_firing.fire(tx, row, deployment_row(tx, row["deployment_id"]), now)
            for row in schedule_firing.due_rows(tx, now)
        ]
        report.created = sum(created for created, _ in done)
        report.skipped = sum(skipped for _, skipped in done)
        report.late = _mark_late(tx, now - late_after_us)
        moment = _next_moment(tx, late_after_us)
    report.next_due = None if moment is None else clock.from_us(moment)
    return report


def _late_after_us() -> int:
    return int(settings.get("scheduler_late_seconds") * 1e6)


def _next_moment(tx: Transaction, late_after_us: int) -> int | None:
    """The earliest time at which a schedule is due, a debt exists, or a waiting run becomes late."""
    due = tx.value(
        "SELECT next_due FROM deployment_schedules WHERE active = 1 AND next_due IS NOT NULL "
        "ORDER BY next_due LIMIT 1"
    )
    waiting = tx.value(
        "SELECT next_scheduled_start_time FROM flow_runs WHERE state_type = 'SCHEDULED' "
        "AND state_name = 'Scheduled' AND next_scheduled_start_time IS NOT NULL "
        "ORDER BY next_scheduled_start_time LIMIT 1"
    )
    owed = tx.value("SELECT created FROM schedule_debts LIMIT 1")
    moments = [due, owed, None if waiting is None else waiting + late_after_us]
    return min((moment for moment in moments if moment is not None), default=None)


def _take_turn(tx: Transaction, owner: str, now: int) -> None:
    """Lock the scheduler's row until the transaction ends. Another caller waits, then finds the turn done.

    SQLite has one writer anyway. Even if the lock failed, no run would be created twice: a compare-and-set
    claims each instant, and its idempotency key is unique.
    """
    tx.execute(
        """INSERT INTO locks (name, owner, expires) VALUES ('scheduler', :owner, :now)
           ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires = excluded.expires""",
        {"owner": owner, "now": now},
    )


def _mark_late(tx: Transaction, before: int) -> int:
    """Mark the runs that no worker claimed as Late, or cancel them if their deployment's limit says so."""
    waiting = tx.all(
        "SELECT id, deployment_id, next_scheduled_start_time FROM flow_runs WHERE state_type = 'SCHEDULED' "
        "AND state_name = 'Scheduled' AND next_scheduled_start_time <= :before "
        "ORDER BY next_scheduled_start_time LIMIT :limit",
        {"before": before, "limit": _LATE_A_TURN},
    )
    slots, late = due_runs.Slots(tx, lock=False), 0
    for run in waiting:
        state = states.Late(clock.from_us(run["next_scheduled_start_time"]))
        if slots.left(run["deployment_id"]) == 0 and slots.cancels(run["deployment_id"]):
            state = states.Cancelled(message=due_runs.CANCELLED_AS_NEW)
        else:
            late += 1
        change_flow_run_state(tx, run["id"], state)
    return late
