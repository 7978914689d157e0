"""What short listings show, as plain rows: a person waits for these, and models cost ten times the query."""

from __future__ import annotations

from typing import Any

from runyard import clock
from runyard.operations.base import operation
from runyard.store.database import Transaction

# A worker that was not heard of for this many of its intervals is taken as gone.
_INTERVALS = 3


@operation("GET", "/runyard/work_pools")
def list_work_pools(tx: Transaction, limit: int = 1000) -> list[dict[str, Any]]:
    """All work pools, oldest first.

    Args:
        limit: how many at most.

    Returns:
        For each: id, name, type, description, status (PAUSED, READY with a worker online, or
        NOT_READY), concurrency_limit, and active_slots, the runs being executed.
    """
    rows = tx.all(
        """SELECT id, name, type, description, is_paused, concurrency_limit,
               (SELECT count(*) FROM leases WHERE leases.work_pool_id = work_pools.id) AS active_slots,
               (SELECT count(*) FROM workers WHERE workers.work_pool_id = work_pools.id AND stopped = 0
                AND last_heartbeat_time + heartbeat_interval_seconds * :intervals > :now) AS online
           FROM work_pools ORDER BY created, id LIMIT :limit""",
        {"intervals": _INTERVALS * 1_000_000, "now": clock.now_us(), "limit": limit},
    )
    for row in rows:
        online, paused = row.pop("online"), row.pop("is_paused")
        row["status"] = "PAUSED" if paused else "READY" if online else "NOT_READY"
    return rows
