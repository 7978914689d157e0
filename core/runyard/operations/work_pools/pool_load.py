"""The load of a work pool in numbers, for monitoring and for autoscaling of workers."""

from __future__ import annotations

from pydantic import Field

from runyard.domain.states import PENDING
from runyard.operations import lease_clock
from runyard.operations.operation import operation
from runyard.operations.schemas import Model
from runyard.operations.work_pools.work_pools import pool_row
from runyard.operations.work_pools.work_queues import queue_rows
from runyard.store.database import Transaction


class QueueLoad(Model):
    """The load of one queue.

    `waiting`: runs that start later. `due`: runs that should start now. `late_seconds`: how long the oldest
    due run has waited. `pending`: runs that a worker has claimed. `running`: runs that execute, including
    those that are paused in their process or are being cancelled.
    """

    name: str
    paused: bool
    waiting: int = 0
    due: int = 0
    late_seconds: float = 0.0
    pending: int = 0
    running: int = 0


class PoolLoad(Model):
    """The load of a work pool by queue. `concurrency_limit` is null if the pool is not limited."""

    name: str
    paused: bool
    concurrency_limit: int | None
    queues: list[QueueLoad] = Field(default_factory=list)


@operation("GET", "/runyard/work_pools/{work_pool_name}/load")
def read_pool_load(tx: Transaction, work_pool_name: str) -> PoolLoad:
    """Read how many runs of a work pool wait, are due and execute, for each queue.

    Raises:
        NotFound: the work pool is not found.
    """
    pool, now = pool_row(tx, work_pool_name), lease_clock.wall(tx)
    return PoolLoad(
        name=pool["name"],
        paused=bool(pool["is_paused"]),
        concurrency_limit=pool["concurrency_limit"],
        queues=[
            _of_queue(tx, queue["id"], QueueLoad(name=queue["name"], paused=bool(queue["is_paused"])), now)
            for queue in queue_rows(tx, pool["id"])
        ],
    )


def _of_queue(tx: Transaction, queue_id: str, load: QueueLoad, now: int) -> QueueLoad:
    scheduled = tx.one(
        """SELECT count(*) AS every,
               sum(CASE WHEN next_scheduled_start_time <= :now THEN 1 ELSE 0 END) AS due,
               min(next_scheduled_start_time) AS oldest
           FROM flow_runs WHERE work_queue_id = :queue AND state_type = 'SCHEDULED'""",
        {"queue": queue_id, "now": now},
    )
    if scheduled is not None and scheduled["every"]:
        load.due = int(scheduled["due"] or 0)
        load.waiting = scheduled["every"] - load.due
        if load.due:
            load.late_seconds = (now - scheduled["oldest"]) / 1e6
    executing = tx.all(
        """SELECT r.state_type, count(*) AS number FROM leases l JOIN flow_runs r ON r.id = l.flow_run_id
           WHERE l.work_queue_id = :queue GROUP BY r.state_type""",
        {"queue": queue_id},
    )
    for row in executing:
        if row["state_type"] == PENDING:
            load.pending += row["number"]
        else:
            load.running += row["number"]
    return load
