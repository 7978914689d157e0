"""Retention: deletes records that are older than their retention period, a bounded part per transaction.

All deletes because of age happen here. Versions of deployments are limited by number, where they are written.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from runyard import settings
from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.domain.states import TERMINAL
from runyard.operations import lease_clock
from runyard.operations.limits import locks
from runyard.operations.operation import Settled, operation
from runyard.operations.retention import retention_families
from runyard.operations.retention.retention_cuts import (
    DAY_US,
    INNER,
    Cuts,
    count_families,
    count_flow_runs,
    cuts_of_settings,
)
from runyard.operations.runs import removal
from runyard.operations.schemas import Input, Model, StateType, Time
from runyard.store.database import Transaction

if TYPE_CHECKING:
    from runyard.operations.retention.retention_families import Found

LOCK = "retention"
# How long a killed process blocks the retention of other processes.
_HELD_SECONDS = 60.0
# After this time a transaction commits what it has done, because other writers wait for it.
_SECONDS_AT_ONCE = 0.02
_FAMILIES_AT_ONCE = 10
# Rows that need no search may be this many times as many.
_MOST_TIMES = 20
_SECOND = 1_000_000
# Workers often get a new name at each start, so rows of old workers would accumulate.
_WORKERS_KEPT = 7 * DAY_US
_LOCKS_KEPT = DAY_US
# A wall clock that leaps ahead by more than `_LEAP` is not trusted for `_HOLD`.
_LEAP = 30 * DAY_US
_HOLD = 3600 * _SECOND
_CLOCK_NOTED_EVERY = 600 * _SECOND
# A family with more than `_LARGE` times the rows of one part is deleted in several parts.
_LARGE = 4
_LARGE_ROWS = 2_000
_FIRST = (-(2**62), "")
# In this order. Records with an age of their own are deleted before the runs, results in files after them.
_STEPS = (
    "clock", "results", "background_tasks", "logs", "schedule_skips", "workers", "locks", "removed_runs",
    "flow_runs", "task_runs", "removed_runs", "results",
)  # fmt: skip
# Records that are deleted by age alone: the key of the table, and a query of the old rows. The cross join
# makes SQLite use the index by deployment and instant.
_AGED = {
    "background_tasks": ("task_run_id", "SELECT task_run_id FROM background_tasks WHERE done < :before"),
    "logs": ("id", "SELECT id FROM logs WHERE timestamp < :before"),
    "schedule_skips": (
        "(schedule_id, instant)",
        """SELECT skips.schedule_id, skips.instant FROM deployments CROSS JOIN schedule_skips AS skips
           WHERE skips.deployment_id = deployments.id
           AND skips.instant < :before AND skips.created < :before""",
    ),
    "workers": (
        "id",
        """SELECT id FROM workers WHERE last_heartbeat_time < :before
           AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.worker_id = workers.id)""",
    ),
    "locks": ("name", "SELECT name FROM locks WHERE expires < :before"),
}


class RetentionTurn(Input):
    """What to delete, and the progress of the turn. The first call omits the last four fields.

    Args:
        holder: the name of the caller. Only one holder deletes at a time.
        by_settings: use the retention settings. If false, only runs and logs of the given ages are deleted.
        runs_seconds, logs_seconds: delete runs and logs older than this; null: none.
        states: only runs that ended in these state types, with all runs that they called; null: all.
        rows: about how many rows one call deletes. A call that takes long stops earlier.
        moment, step, after: the values of the last response.
        forgotten: keys of the results of the last response whose files the caller has deleted.
    """

    holder: str = ""
    by_settings: bool = True
    runs_seconds: Annotated[float, Field(gt=0, le=1e10)] | None = None
    logs_seconds: Annotated[float, Field(gt=0, le=1e10)] | None = None
    states: list[StateType] | None = None
    rows: Annotated[int, Field(ge=1, le=20_000)] = 500
    moment: Time | None = None
    step: Annotated[int, Field(ge=0, lt=len(_STEPS))] = 0
    after: tuple[Annotated[int, Field(ge=-(2**62), le=2**62)], str] = _FIRST
    forgotten: Annotated[list[str], Field(max_length=10_000)] = Field(default_factory=list)


class RetentionReport(Model):
    """What one call did, and where the next call continues.

    `removed`: deleted rows by table. `files`: key and location of results whose files the caller must delete
    next. `seconds`: how long other writers had to wait. `held_by`: the process that holds the retention lock.
    `on_hold`: the wall clock is not trusted now.
    """

    done: bool = False
    moment: Time
    step: int = 0
    after: tuple[int, str] = _FIRST
    removed: dict[str, int] = Field(default_factory=dict)
    files: list[tuple[str, str]] = Field(default_factory=list)
    seconds: float = 0.0
    held_by: str | None = None
    on_hold: bool = False


@dataclass
class _Plan:
    """What the read-only transaction found: the step, and its families."""

    step: int
    found: Found | None = None


def _cuts(tx: Transaction, body: RetentionTurn) -> Cuts:
    wall = lease_clock.wall(tx)
    now = wall if body.moment is None else min(clock.to_us(body.moment), wall)
    if bad := sorted(set(body.states or ()) - set(TERMINAL)):
        raise InvalidInput(
            f"runs in state {', '.join(bad)} are not over and are never removed; "
            f"use {', '.join(sorted(TERMINAL))}"
        )
    if body.by_settings:
        return cuts_of_settings(now)
    return Cuts(
        now,
        None if body.runs_seconds is None else now - int(body.runs_seconds * _SECOND),
        None if body.logs_seconds is None else now - int(body.logs_seconds * _SECOND),
    )


def _look(tx: Transaction, body: RetentionTurn) -> Settled | _Plan:
    """Find the next step that has something to delete, in a read-only transaction."""
    cuts = _cuts(tx, body)
    moment = clock.from_us(cuts.now)
    holder = locks.read_lock(tx, {"name": LOCK})["holder"]
    if holder not in (None, body.holder):
        return Settled(RetentionReport(done=True, moment=moment, held_by=holder))
    if body.by_settings and body.step == 0:
        if _clock_is_due(tx):
            return _Plan(0)
        if not _is_trusted(tx):
            return Settled(RetentionReport(done=True, moment=moment, on_hold=True))
    after = body.after
    for number in range(max(body.step, 1), len(_STEPS)):
        step = _STEPS[number]
        if step in ("flow_runs", "task_runs"):
            while cuts.runs is not None:
                found = retention_families.find(tx, step, cuts.runs, body.states, after, body.rows)
                if found.families:
                    return _Plan(number, found)
                if found.after is None:
                    break
                after = found.after
        elif _has_any(tx, step, cuts) or (step == "results" and body.forgotten):
            return _Plan(number)
        after = _FIRST
    return Settled(RetentionReport(done=True, moment=moment, step=len(_STEPS)))


@operation("POST", "/runyard/retention/remove", prepare=_look, durable=False)
def remove_old(tx: Transaction, body: RetentionTurn) -> RetentionReport:
    """Delete a bounded part of the records that are older than their retention period. Repeat until `done`.

    A run is deleted with its task runs, states, logs, results, artifacts and inputs, and with the runs that
    it called, in one transaction. If these are very many, the run is deleted first, the rest in later calls.

    Raises:
        InvalidInput: `states` contains a state that is not terminal.
    """
    began = time.perf_counter()
    until = began + _SECONDS_AT_ONCE
    cuts, plan = _cuts(tx, body), tx.prepared
    report = RetentionReport(moment=clock.from_us(cuts.now), step=plan.step)
    lease = {"name": LOCK, "holder": body.holder, "lease_seconds": _HELD_SECONDS}
    if not locks.acquire_lock(tx, lease)["acquired"]:
        report.done, report.held_by = True, locks.read_lock(tx, {"name": LOCK})["holder"]
        return report
    if plan.step == 0:
        _note_clock(tx)
        report.step, report.on_hold = 1, not _is_trusted(tx)
        report.done = report.on_hold
        return report
    if plan.found is not None:
        removed, after = _remove_families(tx, plan.found, cuts, body.rows, until)
        report.step, report.after = (plan.step + 1, _FIRST) if after is None else (plan.step, after)
    elif _STEPS[plan.step] == "results":
        removed, report.files = _remove_results(tx, cuts, body)
    elif _STEPS[plan.step] == "removed_runs":
        removed = _go_on_removing(tx, cuts, body.rows, until)
    else:
        removed = _remove_aged(tx, _STEPS[plan.step], cuts, body.rows, until)
    report.removed = {table: n for table, n in removed.items() if n and table not in INNER}
    report.seconds = time.perf_counter() - began
    return report


@operation("POST", "/runyard/retention/count")
def count_old(tx: Transaction, body: RetentionTurn) -> RetentionReport:
    """Count a part of the records that `remove_old` would delete. Repeat until `done`.

    Raises:
        InvalidInput: `states` contains a state that is not terminal.
    """
    cuts = _cuts(tx, body)
    number = max(body.step, 1)
    report = RetentionReport(moment=clock.from_us(cuts.now), step=number + 1)
    step = _STEPS[number]
    counted: Counter[str] = Counter()
    if step in ("flow_runs", "task_runs"):
        if cuts.runs is not None:
            found = retention_families.find(tx, step, cuts.runs, body.states, body.after, body.rows)
            counted = count_families(tx, found.families, cuts)
            if found.after is not None:
                report.step, report.after = number, found.after
    elif number < _STEPS.index("flow_runs"):
        counted = _count_other(tx, step, cuts)
    report.removed = {table: n for table, n in counted.items() if n and table not in INNER}
    report.done = report.step >= len(_STEPS)
    return report


# The clock


def _clock_is_due(tx: Transaction) -> bool:
    row = tx.one("SELECT wall FROM retention_clock WHERE id = 1")
    return row is None or abs(lease_clock.wall(tx) - row["wall"]) >= _CLOCK_NOTED_EVERY


def _is_trusted(tx: Transaction) -> bool:
    hold_until = tx.value("SELECT hold_until FROM retention_clock WHERE id = 1")
    return hold_until is None or lease_clock.now(tx) >= hold_until


def _note_clock(tx: Transaction) -> None:
    """Store the clocks. If the wall clock leapt ahead of the lease clock, do not trust it for `_HOLD`."""
    row = tx.one("SELECT wall, lease, hold_until FROM retention_clock WHERE id = 1")
    wall, lease = lease_clock.wall(tx), lease_clock.tick(tx)
    hold_until = 0
    if row is not None:
        ahead = (wall - row["wall"]) - (lease - row["lease"])
        hold_until = lease + _HOLD if ahead > _LEAP else 0 if ahead < -_LEAP else row["hold_until"]
    tx.execute(
        """INSERT INTO retention_clock (id, wall, lease, hold_until) VALUES (1, :wall, :lease, :hold_until)
           ON CONFLICT (id) DO UPDATE SET wall = excluded.wall, lease = excluded.lease,
               hold_until = excluded.hold_until""",
        {"wall": wall, "lease": lease, "hold_until": hold_until},
    )


# Families


def _remove_families(
    tx: Transaction, found: Found, cuts: Cuts, rows: int, until: float
) -> tuple[Counter[str], tuple[int, str] | None]:
    """Delete families until the time is up. Returns the deleted rows, and the top to continue after."""
    assert cuts.runs is not None
    removed: Counter[str] = Counter()
    families = retention_families.still_over(tx, found.families, cuts.runs)
    while families:
        some, families = families[:_FAMILIES_AT_ONCE], families[_FAMILIES_AT_ONCE:]
        flow_run_ids: list[str] = []
        for family in some:
            if family.rows > min(_LARGE * rows, _LARGE_ROWS):
                tops = family.flow_run_ids if family.task_run_ids else [family.id]
                removed += removal.begin_removal(tx, tops)
            else:
                flow_run_ids += family.flow_run_ids
        task_run_ids = [one for family in some for one in family.task_run_ids]
        removed += removal.remove_runs(tx, flow_run_ids, task_run_ids, cuts.now)
        if families and time.perf_counter() > until:
            return removed, (some[-1].at, some[-1].id)
    return removed, found.after


def _go_on_removing(tx: Transaction, cuts: Cuts, rows: int, until: float) -> Counter[str]:
    """Delete the remaining records of deleted runs until the time is up."""
    removed: Counter[str] = Counter()
    while removed.total() < _MOST_TIMES * rows:
        part = removal.continue_removal(tx, min(rows, removal.AT_ONCE), cuts.now)
        if part is None:
            break
        removed += part
        if time.perf_counter() > until:
            break
    return removed


# Results


def _remove_results(
    tx: Transaction, cuts: Cuts, body: RetentionTurn
) -> tuple[Counter[str], list[tuple[str, str]]]:
    """Delete expired results. For results in files, the caller must delete the files first."""
    rows = tx.all(
        "SELECT key, place FROM results WHERE expires <= :now ORDER BY expires LIMIT :limit",
        {"now": cuts.now, "limit": body.rows},
    )
    known = set(body.forgotten)
    files = [
        (row["key"], row["place"]) for row in rows if row["place"] is not None and row["key"] not in known
    ]
    gone = [*known, *(row["key"] for row in rows if row["place"] is None)]
    removed: Counter[str] = Counter()
    for part in removal.chunks(gone):
        keys, values = removal.named(part, "k")
        removed["results"] += tx.execute(
            f"DELETE FROM results WHERE key IN ({keys}) AND expires <= :now",  # noqa: S608  # names
            {**values, "now": cuts.now},
        )
    return removed, files


# Everything else


def _before(tx: Transaction, step: str, cuts: Cuts) -> int | None:
    """The time before which the rows of a step are deleted; None: they are kept."""
    if step == "logs":
        return cuts.logs
    if step == "background_tasks":
        return cuts.outcomes
    if not cuts.others:
        return None
    if step == "workers":
        return cuts.now - _WORKERS_KEPT
    if step == "locks":
        return lease_clock.now(tx) - _LOCKS_KEPT
    days = settings.get("scheduler_keep_skips_days")
    return cuts.now - int(days * DAY_US) if days else None


def _has_any(tx: Transaction, step: str, cuts: Cuts) -> bool:
    if step == "results":
        sql, values = "SELECT 1 FROM results WHERE expires <= :now LIMIT 1", {"now": cuts.now}
        return tx.one(sql, values) is not None
    if step == "removed_runs":
        return tx.one("SELECT 1 FROM removed_runs LIMIT 1") is not None
    before = _before(tx, step, cuts)
    return before is not None and tx.one(f"{_AGED[step][1]} LIMIT 1", {"before": before}) is not None


def _remove_aged(tx: Transaction, step: str, cuts: Cuts, rows: int, until: float) -> Counter[str]:
    removed: Counter[str] = Counter()
    before = _before(tx, step, cuts)
    if before is None:
        return removed
    key, select = _AGED[step]
    sql = f"DELETE FROM {step} WHERE {key} IN ({select} LIMIT :limit)"  # noqa: S608  # constants
    values = {"before": before, "limit": min(rows, removal.AT_ONCE)}
    while removed[step] < _MOST_TIMES * rows and (n := tx.execute(sql, values)):
        removed[step] += n
        if time.perf_counter() > until:
            break
    return removed


def _count_other(tx: Transaction, step: str, cuts: Cuts) -> Counter[str]:
    if step == "results":
        sql = "SELECT count(*) FROM results WHERE expires <= :now"
        return Counter({step: tx.value(sql, {"now": cuts.now})})
    if step == "removed_runs":
        return count_flow_runs(tx, "SELECT flow_run_id FROM removed_runs", {}, cuts)
    before = _before(tx, step, cuts)
    if before is None:
        return Counter()
    sql = f"SELECT count(*) FROM ({_AGED[step][1]}) AS aged"  # noqa: S608  # constants
    return Counter({step: tx.value(sql, {"before": before})})
