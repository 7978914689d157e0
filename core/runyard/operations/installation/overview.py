"""The data of `runyard status`: pools, workers, what runs, failed, waits and is due, and what to do next."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.operations import lease_clock
from runyard.operations.installation.overview_steps import next_steps
from runyard.operations.operation import operation
from runyard.operations.work_pools import online
from runyard.store.database import Transaction
from runyard.store.index_conditions import ENDED, NAMED, none_of, of_types, one_of

if TYPE_CHECKING:
    from runyard.store.database import Row

# Counts stop here, so that the overview of a large database is as fast as that of a small one.
MOST_COUNTED = 10_000
_MOST_LISTED = 100
_DAY_US = 86_400_000_000
_FAILURES = ("FAILED", "CRASHED")

_RUN = """r.id, r.name, r.state_type, r.state_name, r.expected_start_time, r.start_time, r.end_time,
    r.next_scheduled_start_time AS due, flows.name AS flow_name, d.name AS deployment_name"""
_NAMES = "LEFT JOIN flows ON flows.id = r.flow_id LEFT JOIN deployments d ON d.id = r.deployment_id"
_RUNS = "SELECT 1 FROM flow_runs r"
_END = "coalesce(r.end_time, 0)"
_LATE = f"r.state_name = 'Late' AND {none_of('r.state_name', NAMED)}"
_DUE = "r.state_type = 'SCHEDULED' AND r.next_scheduled_start_time <= :now"
_COMING = "r.state_type = 'SCHEDULED' AND r.next_scheduled_start_time > :now"
# SQLite would read all scheduled runs by their state, and then sort them.
_BY_TIME, _BY_QUEUE = " INDEXED BY flow_runs_scheduled", " INDEXED BY flow_runs_due"


@operation("GET", "/runyard/overview")
def read_overview(tx: Transaction, since: str = "", limit: int = 5) -> dict[str, Any]:
    """Read where things stand.

    No count exceeds 10,000: that number means 10,000 or more.

    Args:
        since: a time. Runs that ended before it are not counted. By default 24 hours ago.
        limit: the most entries of each list, 0 to 100.

    Returns:
        now, since: times.
        flows, deployments, pool_count: how many exist.
        latest_deployment: `flow/name` of the deployment that was created last, or null.
        has_runs: whether a flow run exists.
        pools: name, type, status (PAUSED; READY if a worker is online; or NOT_READY), concurrency_limit,
            active_slots (runs that execute), due (runs that should have started), workers_online,
            schedules (active schedules whose runs start there), next_due.
        workers_online: how many.
        running, pending, late, due, waiting: how many flow runs execute; are starting; are late; should have
            started; are paused and wait for a person or for a time.
        running_runs, waiting_runs: some of them. `reference` is the name, or the id if others have the name.
        ended, failed: how many flow runs ended since that time, and how many of those failed or crashed.
        failed_runs: the latest of these, with the message of their state.
        next: what is due next, soonest first: due, flow_name, deployment_name, pool, and either slug and
            timezone of a schedule, or id and name of a run.
        paused: names of paused pools, queues, deployments and schedules; each list has a count:
            pool_count, queue_count, deployment_count, schedule_count.
        steps: what to do next, the most urgent first: code, text, command.

    Raises:
        InvalidInput: the time or the limit is invalid.
    """
    if not 0 <= limit <= _MOST_LISTED:
        raise InvalidInput(f"invalid limit {limit}; valid are 0 to {_MOST_LISTED}")
    now = lease_clock.wall(tx)
    begin = _time_of(since, now - _DAY_US)
    pools = _pools(tx, now)
    found: dict[str, Any] = {
        "now": _shown(now),
        "since": _shown(begin),
        "flows": _count(tx, "SELECT 1 FROM flows"),
        "deployments": _count(tx, "SELECT 1 FROM deployments"),
        "latest_deployment": tx.value(
            """SELECT flows.name || '/' || d.name FROM deployments d JOIN flows ON flows.id = d.flow_id
                ORDER BY d.created DESC, d.id DESC LIMIT 1"""
        ),
        "has_runs": tx.one("SELECT 1 AS one FROM flow_runs LIMIT 1") is not None,
        "pool_count": _count(tx, "SELECT 1 FROM work_pools"),
        "pools": pools,
        "workers_online": int(
            tx.value(f"SELECT count(*) FROM workers w WHERE {online.ONLINE}", online.present(tx))  # noqa: S608  # a constant
        ),
        **_counts(tx, now),
        "running_runs": _runs(tx, _open("RUNNING"), "r.id DESC", limit),
        "waiting_runs": _runs(tx, _open("PAUSED"), "r.id DESC", limit),
        "ended": _count(tx, f"{_RUNS} WHERE {_END} >= :begin AND {_END} > 0", begin=begin),
        **_failed(tx, begin, limit),
        "next": _next(tx, now, limit),
        "paused": _paused(tx, limit),
    }
    return {**found, "steps": next_steps(found)}


def _time_of(text: str, default_us: int) -> int:
    if not text:
        return default_us
    try:
        return clock.to_us(clock.parse_time(text))
    except ValueError as error:
        raise InvalidInput(f"invalid time {text!r}; write it as 2026-01-31T08:00:00Z") from error


def _shown(moment_us: int | None) -> str | None:
    return None if moment_us is None else clock.format_time(clock.from_us(moment_us))


def _count(tx: Transaction, rows: str, **values: Any) -> int:
    """The number of rows of a query, at most `MOST_COUNTED`."""
    sql = f"SELECT count(*) FROM ({rows} LIMIT {MOST_COUNTED}) AS counted"  # noqa: S608  # constants
    return int(tx.value(sql, values))


def _open(kind: str) -> str:
    """The condition of an open state, with that of its index."""
    return " AND ".join([f"r.state_type = '{kind}'", *of_types("r.state_type", [kind])])


def _by(tx: Transaction, index: str) -> str:
    return index if tx.dialect == "sqlite" else ""


def _counts(tx: Transaction, now: int) -> dict[str, int]:
    return {
        "running": _count(tx, f"{_RUNS} WHERE {_open('RUNNING')}"),
        "pending": _count(tx, f"{_RUNS} WHERE {_open('PENDING')}"),
        "late": _count(tx, f"{_RUNS} WHERE {_LATE}"),
        "due": _count(tx, f"{_RUNS}{_by(tx, _BY_TIME)} WHERE {_DUE}", now=now),
        "waiting": _count(tx, f"{_RUNS} WHERE {_open('PAUSED')}"),
    }


def _pools(tx: Transaction, now: int) -> list[dict[str, Any]]:
    queues = "SELECT id FROM work_queues q WHERE q.work_pool_id = p.id"
    schedules = f"""FROM deployment_schedules s JOIN deployments d ON d.id = s.deployment_id
        WHERE s.active = 1 AND s.next_due IS NOT NULL AND d.work_queue_id IN ({queues})"""
    rows = tx.all(
        f"""SELECT p.name, p.type, p.is_paused, p.concurrency_limit,
                (SELECT count(*) FROM leases l WHERE l.work_pool_id = p.id) AS active_slots,
                (SELECT count(*) FROM (SELECT 1 FROM flow_runs r{_by(tx, _BY_QUEUE)}
                    WHERE r.work_queue_id IN ({queues}) AND {_DUE} LIMIT {MOST_COUNTED}) AS counted) AS due,
                (SELECT count(*) FROM workers w WHERE w.work_pool_id = p.id AND {online.ONLINE})
                    AS workers_online,
                (SELECT count(*) {schedules}) AS schedules,
                (SELECT min(s.next_due) {schedules}) AS next_due
            FROM work_pools p ORDER BY p.created, p.id LIMIT {_MOST_LISTED}""",  # noqa: S608  # constants
        {**online.present(tx), "now": now},
    )
    for row in rows:
        paused = row.pop("is_paused")
        row["status"] = "PAUSED" if paused else "READY" if row["workers_online"] else "NOT_READY"
        row["next_due"] = _shown(row["next_due"])
    return rows


def _runs(tx: Transaction, condition: str, order: str, limit: int, **values: Any) -> list[dict[str, Any]]:
    rows = tx.all(
        f"SELECT {_RUN}, r.state FROM flow_runs r {_NAMES} WHERE {condition} ORDER BY {order} LIMIT :limit",  # noqa: S608  # constants
        {**values, "limit": limit},
    )
    return [_run(tx, row) for row in rows]


def _run(tx: Transaction, row: Row) -> dict[str, Any]:
    named = tx.all("SELECT id FROM flow_runs WHERE name = :name LIMIT 2", {"name": row["name"]})
    message = _field(row.pop("state"), "message")
    times = ("expected_start_time", "start_time", "end_time", "due")
    shown = {name: _shown(row[name]) for name in times}
    return {**row, **shown, "message": message, "reference": row["name"] if len(named) == 1 else row["id"]}


def _field(text: str | None, name: str) -> Any:
    """A field of an object in a JSON column. Without pydantic, so that a person does not wait for it."""
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
    return value.get(name) if isinstance(value, dict) else None


def _failed(tx: Transaction, begin: int, limit: int) -> dict[str, Any]:
    """The runs that failed or crashed since `begin`. One query per state: the index begins with it."""
    count, runs = 0, []
    for kind in _FAILURES:
        condition = f"r.state_type = '{kind}' AND {one_of('r.state_type', ENDED)} AND {_END} >= :begin"
        count += _count(tx, f"{_RUNS} WHERE {condition}", begin=begin)
        runs += _runs(tx, condition, f"{_END} DESC, r.id DESC", limit, begin=begin)
    runs.sort(key=lambda run: (run["end_time"] or "", run["id"]), reverse=True)
    return {"failed": min(count, MOST_COUNTED), "failed_runs": runs[:limit]}


def _next(tx: Transaction, now: int, limit: int) -> list[dict[str, Any]]:
    schedules = tx.all(
        """SELECT s.next_due AS due, s.slug, s.spec, flows.name AS flow_name, d.name AS deployment_name,
                p.name AS pool
            FROM deployment_schedules s JOIN deployments d ON d.id = s.deployment_id
            JOIN flows ON flows.id = d.flow_id LEFT JOIN work_queues q ON q.id = d.work_queue_id
            LEFT JOIN work_pools p ON p.id = q.work_pool_id
            WHERE s.active = 1 AND s.next_due IS NOT NULL ORDER BY s.next_due, s.id LIMIT :limit""",
        {"limit": limit},
    )
    runs = tx.all(
        f"""SELECT r.next_scheduled_start_time AS due, r.id, r.name, flows.name AS flow_name,
                d.name AS deployment_name, p.name AS pool
            FROM flow_runs r{_by(tx, _BY_TIME)} {_NAMES} LEFT JOIN work_queues q ON q.id = r.work_queue_id
            LEFT JOIN work_pools p ON p.id = q.work_pool_id
            WHERE {_COMING} ORDER BY r.next_scheduled_start_time LIMIT :limit""",  # noqa: S608  # constants
        {"now": now, "limit": limit},
    )
    for row in schedules:
        row["timezone"] = _field(row.pop("spec"), "timezone")
    coming = sorted([*schedules, *runs], key=lambda row: row["due"])[:limit]
    return [{**row, "due": _shown(row["due"])} for row in coming]


def _paused(tx: Transaction, limit: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    of_deployment = "JOIN flows ON flows.id = d.flow_id"
    kinds = {
        "pool": ("p.name", "work_pools p", "p.is_paused = 1", "p.name"),
        "queue": (
            "q.name AS queue, p.name AS pool",
            "work_queues q JOIN work_pools p ON p.id = q.work_pool_id",
            "q.is_paused = 1",
            "p.name, q.name",
        ),
        "deployment": (
            "flows.name || '/' || d.name AS name",
            f"deployments d {of_deployment}",
            "d.paused = 1",
            "flows.name, d.name",
        ),
        "schedule": (
            "flows.name || '/' || d.name AS deployment, s.id, s.slug",
            f"deployment_schedules s JOIN deployments d ON d.id = s.deployment_id {of_deployment}",
            "s.active = 0 AND d.paused = 0",
            "flows.name, d.name, s.id",
        ),
    }
    for kind, (columns, tables, condition, order) in kinds.items():
        found[f"{kind}_count"] = _count(tx, f"SELECT 1 FROM {tables} WHERE {condition}")  # noqa: S608  # constants
        rows = tx.all(
            f"SELECT {columns} FROM {tables} WHERE {condition} ORDER BY {order} LIMIT :limit",  # noqa: S608  # constants
            {"limit": limit},
        )
        found[f"{kind}s"] = [row["name"] for row in rows] if kind in ("pool", "deployment") else rows
    return found
