"""Short listings of workers and queues of all work pools as plain rows, one query each. Without pydantic."""

from __future__ import annotations

import json
from typing import Any

from runyard.operations import lease_clock
from runyard.operations.operation import operation
from runyard.operations.work_pools import online
from runyard.operations.work_pools.missing_pool import no_pool
from runyard.store.database import Transaction


@operation("GET", "/runyard/workers")
def list_workers(tx: Transaction, pool: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
    """List workers: the online ones first, then by their last heartbeat, the latest first.

    Args:
        pool: the name of a work pool; default: of all pools.
        limit: the most workers to return.

    Returns:
        For each worker: id, name, pool, status (ONLINE or OFFLINE), active_slots (the runs that it executes),
        concurrency_limit, work_queue_names (empty: all), and created and last_heartbeat in microseconds.

    Raises:
        NotFound: the work pool is not found.
    """
    values = {**online.present(tx), "limit": limit}
    if pool is not None:
        values["pool"] = _pool_id(tx, pool)
    rows = tx.all(
        f"""SELECT w.id, w.name, p.name AS pool, CASE WHEN {online.ONLINE} THEN 'ONLINE' ELSE 'OFFLINE' END
               AS status, (SELECT count(*) FROM leases l WHERE l.worker_id = w.id) AS active_slots,
               w.concurrency_limit, w.work_queue_names, w.created, w.last_heartbeat_time AS last_heartbeat
           FROM workers w JOIN work_pools p ON p.id = w.work_pool_id
           {"WHERE w.work_pool_id = :pool" if pool is not None else ""}
           ORDER BY status DESC, w.last_heartbeat_time DESC, w.name LIMIT :limit""",  # noqa: S608  # constants
        values,
    )
    for row in rows:
        row["work_queue_names"] = json.loads(row["work_queue_names"] or "[]")
    return rows


@operation("GET", "/runyard/work_queues")
def list_work_queues(tx: Transaction, pool: str | None = None, limit: int = 1000) -> list[dict[str, Any]]:
    """List work queues by pool, in the order in which workers serve them.

    Args:
        pool: the name of a work pool; default: of all pools.
        limit: the most queues to return.

    Returns:
        For each queue: id, name, pool, priority, status (PAUSED; READY if a worker polled it lately; or
        NOT_READY), concurrency_limit, active_slots, description, and last_polled in microseconds or null.

    Raises:
        NotFound: the work pool is not found.
    """
    ready_us = online.READY_SECONDS * 1_000_000
    now = lease_clock.wall(tx)
    values: dict[str, Any] = {"limit": limit}
    if pool is not None:
        values["pool"] = _pool_id(tx, pool)
    rows = tx.all(
        f"""SELECT q.id, q.name, p.name AS pool, q.priority, q.is_paused, q.concurrency_limit, q.description,
               q.last_polled, (SELECT count(*) FROM leases l WHERE l.work_queue_id = q.id) AS active_slots
           FROM work_queues q JOIN work_pools p ON p.id = q.work_pool_id
           {"WHERE q.work_pool_id = :pool" if pool is not None else ""}
           ORDER BY p.created, p.id, q.priority, q.name LIMIT :limit""",  # noqa: S608  # constants
        values,
    )
    for row in rows:
        paused, polled = row.pop("is_paused"), row["last_polled"]
        # A poll in the future was stored before the clock was set back.
        ready = polled is not None and abs(now - polled) <= ready_us
        row["status"] = "PAUSED" if paused else "READY" if ready else "NOT_READY"
    return rows


def _pool_id(tx: Transaction, name: str) -> str:
    pool_id: str | None = tx.value("SELECT id FROM work_pools WHERE name = :name", {"name": name})
    if pool_id is None:
        raise no_pool(tx, name)
    return pool_id
