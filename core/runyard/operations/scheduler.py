"""The scheduler: one turn makes runs of all schedules that are due, and marks runs that are late."""

from __future__ import annotations

from datetime import datetime

from runyard import clock, settings, states
from runyard.errors import RunyardError, ScheduleError
from runyard.operations import deployment_runs, schedules, transitions
from runyard.operations.base import operation
from runyard.operations.deployment_rows import deployment_row
from runyard.operations.schemas import Input, Model, Time, load
from runyard.orchestration import schedules_policies as policies
from runyard.orchestration.schedules import parse
from runyard.store.database import Row, Transaction

# How much one turn does at most, so that its transaction stays short; the next one goes on.
_SCHEDULES_A_TURN = 100
_LATE_A_TURN = 200

_OPEN_RUNS = f"""SELECT id, state_type FROM flow_runs
    WHERE schedule_id = :id AND schedule_id IS NOT NULL AND state_type IN {schedules.OPEN_STATES}
    ORDER BY expected_start_time, id"""  # noqa: S608  # a constant of ours


class SchedulerTurn(Input):
    """Who takes the turn, for people: a worker's or server's name."""

    owner: str


class SchedulerReport(Model):
    """What a turn did, and when the next one has something to do (null: not as things are)."""

    created: int = 0
    skipped: int = 0
    late: int = 0
    next_due: Time | None = None


@operation("POST", "/runyard/scheduler/run")
def run_scheduler(tx: Transaction, body: SchedulerTurn) -> SchedulerReport:
    """Turn due instants into runs, once each, and mark waiting runs that nobody took as Late.

    Any number of processes may call this at once. Where nothing is due it only reads.
    """
    report = SchedulerReport()
    now = clock.now_us()
    late_after_us = int(settings.get("scheduler_late_seconds") * 1e6)
    moment = _next_moment(tx, late_after_us)
    if moment is not None and moment <= now:
        _take_turn(tx, body.owner, now)
        for row in _due(tx, now):
            try:
                created, skipped = _fire(tx, row, now)
            except ScheduleError as error:
                created, skipped = 0, _set_aside(tx, row, error)
            report.created += created
            report.skipped += skipped
        report.late = _mark_late(tx, now - late_after_us)
        moment = _next_moment(tx, late_after_us)
    report.next_due = None if moment is None else clock.from_us(moment)
    return report


def _next_moment(tx: Transaction, late_after_us: int) -> int | None:
    """When a schedule is due, or a waiting run becomes late: whichever is first."""
    due = tx.value(
        "SELECT next_due FROM deployment_schedules WHERE active = 1 AND next_due IS NOT NULL "
        "ORDER BY next_due LIMIT 1"
    )
    waiting = tx.value(
        "SELECT next_scheduled_start_time FROM flow_runs WHERE state_type = 'SCHEDULED' "
        "AND state_name = 'Scheduled' AND next_scheduled_start_time IS NOT NULL "
        "ORDER BY next_scheduled_start_time LIMIT 1"
    )
    moments = [due, None if waiting is None else waiting + late_after_us]
    return min((moment for moment in moments if moment is not None), default=None)


def _take_turn(tx: Transaction, owner: str, now: int) -> None:
    """Hold the lock's row until the transaction ends: whoever else has a turn waits, then finds it done.

    SQLite has one writer anyway. Should the lock fail, no run is made twice: each instant is taken
    by a compare-and-set, and its key is unique.
    """
    tx.execute(
        """INSERT INTO locks (name, owner, expires) VALUES ('scheduler', :owner, :now)
           ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, expires = excluded.expires""",
        {"owner": owner, "now": now},
    )


def _due(tx: Transaction, now: int) -> list[Row]:
    return tx.all(
        "SELECT * FROM deployment_schedules WHERE active = 1 AND next_due <= :now "
        "ORDER BY next_due, id LIMIT :limit",
        {"now": now, "limit": _SCHEDULES_A_TURN},
    )


def _fire(tx: Transaction, row: Row, now: int) -> tuple[int, int]:
    """Make the runs of one due schedule; returns how many instants made a run and how many did not."""
    deployment = deployment_row(tx, row["deployment_id"])
    following = schedules.due_after(row, deployment["paused"], now)
    taken = tx.execute(
        "UPDATE deployment_schedules SET next_due = :following, last_fired = :now "
        "WHERE id = :id AND next_due = :due",
        {"following": following, "now": now, "id": row["id"], "due": row["next_due"]},
    )
    if not taken or deployment["paused"]:
        return 0, 0
    limit = row["catchup_limit"] if row["catchup"] == "all" else 1
    schedule = parse(load(row["spec"], {}))
    seen = policies.backlog(schedule, clock.from_us(row["next_due"]), clock.from_us(now), limit)
    plan = policies.decide_catchup(row["catchup"], limit, seen)
    if plan.skipped and plan.first and plan.last:
        least = "" if seen.exact else "at least so many "
        reason = f"{least}missed while no scheduler ran; catchup is {row['catchup']}"
        _record(tx, row, clock.to_us(plan.first), reason, plan.skipped, clock.to_us(plan.last))
    created, skipped = 0, plan.skipped
    instants = [clock.to_us(instant) for instant in plan.fire]
    if row["overlap"] == "replace" and len(instants) > 1:
        # Each would cancel the one before it, so only the newest is made.
        *older, newest = instants
        _record(tx, row, older[0], "replaced by a newer instant", len(older), older[-1])
        instants, skipped = [newest], skipped + len(older)
    for instant in instants:
        if _fire_instant(tx, row, deployment, instant):
            created += 1
        else:
            skipped += 1
    return created, skipped


def _set_aside(tx: Transaction, row: Row, error: ScheduleError) -> int:
    """Stop a stored schedule that cannot be read any more, such as one of a zone that was abolished."""
    tx.execute("UPDATE deployment_schedules SET next_due = NULL WHERE id = :id", {"id": row["id"]})
    _record(tx, row, row["next_due"], f"the schedule is stopped: {error.message}")
    return 1


def _fire_instant(tx: Transaction, row: Row, deployment: Row, instant: int) -> bool:
    """Make the run of one instant, or record why there is none."""
    if row["overlap"] != "allow":
        found = tx.all(_OPEN_RUNS, {"id": row["id"]})
        action = policies.decide_overlap(row["overlap"], len(found))
        if action == "skip":
            first = found[0]["id"]
            _record(tx, row, instant, f"run {first} of the schedule is not over; overlap is {row['overlap']}")
            return False
        if action == "replace":
            _cancel(tx, found)
    try:
        return _create(tx, row, deployment, instant)
    except RunyardError as error:
        # One deployment whose stored parameters do not fit must not stop the others.
        _record(tx, row, instant, f"no run was made: {error.message}")
        return False


def _create(tx: Transaction, row: Row, deployment: Row, instant: int) -> bool:
    when = clock.from_us(instant)
    parameters = {**load(deployment["parameters"], {}), **load(row["parameters"], {})}
    deployment_runs.check_parameters(deployment, parameters, None)
    key = run_key(row["deployment_id"], row["id"], when)
    _, created = deployment_runs.insert_run(
        tx,
        deployment,
        states.Scheduled(when),
        parameters=parameters,
        tags=["auto-scheduled"],
        idempotency_key=key,
        auto_scheduled=1,
        schedule_id=row["id"],
        created_by={"id": row["id"], "type": "SCHEDULE", "display_value": row["slug"]},
    )
    return created


def run_key(deployment_id: str, schedule_id: str, instant: datetime) -> str:
    """The idempotency key of the run of a schedule's instant: there is one, whoever makes it."""
    return f"scheduled {deployment_id} {schedule_id} {clock.format_time(instant)}"


def _cancel(tx: Transaction, open_runs: list[Row]) -> None:
    """Stop the open runs of a schedule; the rules end those at once that nobody executes."""
    for run in open_runs:
        state = states.Cancelling(message="replaced by a newer run of its schedule")
        transitions.set_flow_run_state(tx, run["id"], state)


def _record(
    tx: Transaction, row: Row, instant: int, reason: str, count: int = 1, until: int | None = None
) -> None:
    tx.execute(
        """INSERT INTO schedule_skips (schedule_id, instant, until, count, reason, created)
           VALUES (:schedule_id, :instant, :until, :count, :reason, :now)
           ON CONFLICT (schedule_id, instant) DO NOTHING""",
        {
            "schedule_id": row["id"],
            "instant": instant,
            "until": until if count > 1 else None,
            "count": count,
            "reason": reason,
            "now": clock.now_us(),
        },
    )


def _mark_late(tx: Transaction, before: int) -> int:
    waiting = tx.all(
        "SELECT id, next_scheduled_start_time FROM flow_runs WHERE state_type = 'SCHEDULED' "
        "AND state_name = 'Scheduled' AND next_scheduled_start_time <= :before "
        "ORDER BY next_scheduled_start_time LIMIT :limit",
        {"before": before, "limit": _LATE_A_TURN},
    )
    for run in waiting:
        late = states.Late(clock.from_us(run["next_scheduled_start_time"]))
        transitions.set_flow_run_state(tx, run["id"], late)
    return len(waiting)
