"""Short listings as plain rows: a person waits for these, and models cost ten times the query."""

from __future__ import annotations

from typing import Any

from runyard.operations.operation import operation
from runyard.operations.work_pools import online
from runyard.store.database import Transaction


@operation("GET", "/runyard/work_pools")
def list_work_pools(tx: Transaction, limit: int = 1000) -> list[dict[str, Any]]:
    """List all work pools, oldest first.

    Args:
        limit: the most work pools to return.

    Returns:
        For each work pool: id, name, type, description, status (PAUSED; READY if a worker is online; or
        NOT_READY), concurrency_limit, active_slots (the number of runs that execute), and workers_online.
    """
    rows = tx.all(
        f"""SELECT id, name, type, description, is_paused, concurrency_limit,
               (SELECT count(*) FROM leases WHERE leases.work_pool_id = work_pools.id) AS active_slots,
               (SELECT count(*) FROM workers w WHERE w.work_pool_id = work_pools.id
                   AND {online.ONLINE}) AS workers_online
           FROM work_pools ORDER BY created, id LIMIT :limit""",  # noqa: S608  # a constant
        {**online.present(tx), "limit": limit},
    )
    for row in rows:
        paused = row.pop("is_paused")
        row["status"] = "PAUSED" if paused else "READY" if row["workers_online"] else "NOT_READY"
    return rows
