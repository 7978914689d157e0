"""What a work pool starts next: waiting runs and due times of schedules. For live views: it reads little."""

from __future__ import annotations

from pydantic import Field

from runyard.base.errors import InvalidInput
from runyard.operations import lease_clock
from runyard.operations.operation import operation
from runyard.operations.schemas import Model, Time, load, moment
from runyard.operations.work_pools.work_pools import pool_row
from runyard.operations.work_pools.work_queues import queue_rows
from runyard.store.database import Row, Transaction

_MOST = 50
_RUNS = """SELECT r.next_scheduled_start_time AS due, r.id, r.name, f.name AS flow_name,
        d.name AS deployment_name, NULL AS spec
    FROM flow_runs r JOIN flows f ON f.id = r.flow_id LEFT JOIN deployments d ON d.id = r.deployment_id
    WHERE r.work_queue_id = :queue AND r.state_type = 'SCHEDULED' AND r.next_scheduled_start_time > :now
    ORDER BY r.next_scheduled_start_time, r.id LIMIT :limit"""
_SCHEDULES = """SELECT s.next_due AS due, NULL AS id, NULL AS name, f.name AS flow_name,
        d.name AS deployment_name, s.spec
    FROM deployments d JOIN deployment_schedules s ON s.deployment_id = d.id JOIN flows f ON f.id = d.flow_id
    WHERE d.work_queue_id = :queue AND s.active = 1 AND s.next_due IS NOT NULL
    ORDER BY s.next_due, s.id LIMIT :limit"""


class ComingRun(Model):
    """A run that starts later. `flow_run_id` and `name` are null if a schedule will create it when it is due.

    `timezone`: the zone of that schedule.
    """

    due: Time
    flow_name: str
    deployment_name: str | None = None
    flow_run_id: str | None = None
    name: str | None = None
    timezone: str | None = None


class ComingRuns(Model):
    """The next runs of a work pool, by time. `now`: the server's time. `paused`: no run starts meanwhile.

    `concurrency_limit`: of the pool; null if it is not limited.
    """

    now: Time
    paused: bool
    concurrency_limit: int | None = None
    runs: list[ComingRun] = Field(default_factory=list)


@operation("GET", "/runyard/work_pools/{work_pool_name}/coming_runs")
def read_coming_runs(
    tx: Transaction, work_pool_name: str, work_queue_names: list[str] | None = None, limit: int = 5
) -> ComingRuns:
    """Read which runs of a work pool are due next: waiting runs, and for each schedule its next due time.

    Args:
        work_queue_names: only these queues; empty: all queues.
        limit: the most runs to return, 1 to 50.

    Raises:
        NotFound: the work pool is not found.
        InvalidInput: `limit` is outside its range.
    """
    if not 1 <= limit <= _MOST:
        raise InvalidInput(f"limit: 1 to {_MOST}, not {limit}")
    pool, now = pool_row(tx, work_pool_name), lease_clock.wall(tx)
    values = {"now": now, "limit": limit}
    found: list[Row] = []
    for queue in queue_rows(tx, pool["id"]):
        if not queue["is_paused"] and (not work_queue_names or queue["name"] in work_queue_names):
            for sql in (_RUNS, _SCHEDULES):
                found += tx.all(sql, {**values, "queue": queue["id"]})
    found.sort(key=lambda row: (row["due"], row["flow_name"], row["deployment_name"] or ""))
    return ComingRuns.model_validate(
        {
            "now": moment(now),
            "paused": bool(pool["is_paused"]),
            "concurrency_limit": pool["concurrency_limit"],
            "runs": [_coming(row) for row in found[:limit]],
        }
    )


def _coming(row: Row) -> ComingRun:
    return ComingRun.model_validate(
        {
            **{name: row[name] for name in ("flow_name", "deployment_name", "name")},
            "due": moment(row["due"]),
            "flow_run_id": row["id"],
            "timezone": (load(row["spec"]) or {}).get("timezone") if row["spec"] else None,
        }
    )
