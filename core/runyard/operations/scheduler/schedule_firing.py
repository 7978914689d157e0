"""Handles the due instants of a schedule: creates runs, or records why an instant has no run."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from runyard.base import clock
from runyard.base.errors import RunyardError, ScheduleError
from runyard.domain import states
from runyard.domain.schedules import firing_policies as policies
from runyard.domain.schedules import instants as rules
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.insert_deployment_runs import check_parameters, insert_deployment_run
from runyard.operations.schedules.next_due import OPEN_STATES, due_after
from runyard.operations.schemas import load
from runyard.store.database import Row, Transaction

# How many schedules one turn handles. The next turn handles the others.
MOST_SCHEDULES = 100
# Neither the run of the instant itself nor those that were created ahead of their time.
_OPEN_RUNS = f"""SELECT id, state_type FROM flow_runs
    WHERE schedule_id = :id AND schedule_id IS NOT NULL AND state_type IN {OPEN_STATES}
    AND expected_start_time <> :instant AND (state_type <> 'SCHEDULED' OR expected_start_time <= :now)
    ORDER BY expected_start_time, id"""  # noqa: S608  # a constant of ours


class Plan(NamedTuple):
    """What to do with the instants of a schedule up to `now`, and when it is due after that.

    `basis` is the part of the row that the plan was computed from. The plan is valid while the row has the
    same values.
    """

    basis: tuple
    now: int
    catchup: policies.CatchUp
    exact: bool
    following: int | None
    fault: ScheduleError | None = None


def prepare_turn(tx: Transaction, *_args: Any, **_given: Any) -> dict[str, Plan]:
    """Compute the plans for due schedules and stored debts, before the transaction that executes them.

    A cron expression or a rule may take long to compute. Other writers must not wait for that.
    """
    now = clock.now_us()
    plans = {row["id"]: _plan(row, now) for row in due_rows(tx, now)}
    for debt in debts(tx):
        plans[debt["id"]] = _plan(load(debt["schedule"], {}), debt["created"])
    return plans


def due_rows(tx: Transaction, now: int) -> list[Row]:
    """Read the rows of the due schedules, the earliest first."""
    return tx.all(
        "SELECT * FROM deployment_schedules WHERE active = 1 AND next_due <= :now "
        "ORDER BY next_due, id LIMIT :limit",
        {"now": now, "limit": MOST_SCHEDULES},
    )


def fire(tx: Transaction, row: Row, deployment: Row, now: int) -> tuple[int, int]:
    """Create the runs of one due schedule. Concurrent calls create them once.

    Args:
        row: the row of the schedule.
        deployment: the row of its deployment.
        now: the present time, in microseconds.

    Returns:
        How many instants created a run, and how many did not.
    """
    plan = _planned(tx, row["id"], row, now)
    taken = tx.execute(
        "UPDATE deployment_schedules SET next_due = :following, last_fired = :now "
        "WHERE id = :id AND next_due = :due",
        {"following": plan.following, "now": plan.now, "id": row["id"], "due": row["next_due"]},
    )
    if not taken:
        return 0, 0
    return _carry_out(tx, row, deployment, plan)


def debts(tx: Transaction) -> list[Row]:
    """Read the schedule debts: instants that were due before their schedule changed. Oldest first."""
    return tx.all("SELECT * FROM schedule_debts ORDER BY created, id LIMIT :limit", {"limit": MOST_SCHEDULES})


def pay(tx: Transaction, debt: Row, deployment: Row) -> tuple[int, int]:
    """Create the runs, or the records, of a schedule debt.

    Returns:
        How many instants created a run, and how many did not.
    """
    if not tx.execute("DELETE FROM schedule_debts WHERE id = :id", {"id": debt["id"]}):
        return 0, 0
    row = load(debt["schedule"], {})
    return _carry_out(tx, row, deployment, _planned(tx, debt["id"], row, debt["created"]))


def run_key(deployment_id: str, schedule_id: str, instant: datetime) -> str:
    """The idempotency key of the run of an instant. The scheduler and backfills use the same key."""
    return f"scheduled {deployment_id} {schedule_id} {clock.format_time(instant)}"


def _basis(row: Row) -> tuple:
    return (row["next_due"], row["spec"], row["active"], row["catchup"], row["catchup_limit"])


def _plan(row: Row, now: int) -> Plan:
    limit = row["catchup_limit"] if row["catchup"] == "all" else 1
    try:
        schedule = rules.parse(load(row["spec"], {}))
        seen = policies.backlog(schedule, clock.from_us(row["next_due"]), clock.from_us(now), limit)
        catchup = policies.decide_catchup(row["catchup"], limit, seen)
        return Plan(_basis(row), now, catchup, seen.exact, due_after(row, False, now))
    except ScheduleError as error:
        return Plan(_basis(row), now, policies.CatchUp([], 0, None, None), True, None, error)


def _planned(tx: Transaction, key: str, row: Row, now: int) -> Plan:
    """The prepared plan if it is still valid, else a plan that is computed now."""
    plan = (tx.prepared or {}).get(key)
    return plan if plan is not None and plan.basis == _basis(row) else _plan(row, now)


def _carry_out(tx: Transaction, row: Row, deployment: Row, plan: Plan) -> tuple[int, int]:
    if plan.fault is not None:
        # For example, the time zone of the schedule no longer exists.
        _record(tx, row, row["next_due"], f"the schedule is stopped: {plan.fault.message}")
        return 0, 1
    catchup = plan.catchup
    if catchup.skipped and catchup.first and catchup.last:
        least = "" if plan.exact else "at least so many "
        reason = f"{least}missed while no scheduler ran; catchup is {row['catchup']}"
        _record(tx, row, clock.to_us(catchup.first), reason, catchup.skipped, clock.to_us(catchup.last))
    created, skipped = 0, catchup.skipped
    instants = [clock.to_us(instant) for instant in catchup.fire]
    if row["overlap"] == "replace" and len(instants) > 1:
        # Each run would cancel the run before it. So only the newest is created.
        *older, newest = instants
        _record(tx, row, older[0], "replaced by a newer instant", len(older), older[-1])
        instants, skipped = [newest], skipped + len(older)
    for instant in instants:
        if _fire_instant(tx, row, deployment, instant):
            created += 1
        else:
            skipped += 1
    return created, skipped


def _fire_instant(tx: Transaction, row: Row, deployment: Row, instant: int) -> bool:
    """Create the run of one instant, or record why it has no run."""
    if row["overlap"] != "allow":
        found = tx.all(_OPEN_RUNS, {"id": row["id"], "instant": instant, "now": clock.now_us()})
        action = policies.decide_overlap(row["overlap"], len(found))
        if action == "skip":
            first = found[0]["id"]
            _record(tx, row, instant, f"run {first} of the schedule is not over; overlap is {row['overlap']}")
            return False
        if action == "replace":
            _cancel(tx, found)
    try:
        return create_run(tx, row, deployment, instant)
    except RunyardError as error:
        # A deployment with invalid stored parameters must not stop the others.
        _record(tx, row, instant, f"no run was made: {error.message}")
        return False


def create_run(tx: Transaction, row: Row, deployment: Row, instant: int) -> bool:
    """Create the run of an instant of a schedule, and tell whether it is new.

    Raises:
        ParameterError: the parameters do not match the flow.
    """
    when = clock.from_us(instant)
    parameters = {**load(deployment["parameters"], {}), **load(row["parameters"], {})}
    check_parameters(deployment, parameters, None)
    key = run_key(row["deployment_id"], row["id"], when)
    _, created = insert_deployment_run(
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


def _cancel(tx: Transaction, open_runs: list[Row]) -> None:
    """Cancel the runs of a schedule that have not ended. A run that no process executes ends at once."""
    for run in open_runs:
        state = states.Cancelling(message="replaced by a newer run of its schedule")
        change_flow_run_state(tx, run["id"], state)


def _record(
    tx: Transaction, row: Row, instant: int, reason: str, count: int = 1, until: int | None = None
) -> None:
    tx.execute(
        """INSERT INTO schedule_skips
           (schedule_id, deployment_id, slug, instant, until, count, reason, created)
           VALUES (:schedule_id, :deployment_id, :slug, :instant, :until, :count, :reason, :now)
           ON CONFLICT (schedule_id, instant) DO NOTHING""",
        {
            "schedule_id": row["id"],
            "deployment_id": row["deployment_id"],
            "slug": row["slug"],
            "instant": instant,
            "until": until if count > 1 else None,
            "count": count,
            "reason": reason,
            "now": clock.now_us(),
        },
    )
