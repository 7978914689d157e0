"""Work queues that are named without a work pool. They belong to `default-agent-pool`, as in Prefect."""

from __future__ import annotations

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.domain.states import SCHEDULED
from runyard.operations.operation import operation
from runyard.operations.schemas import Model, Time
from runyard.operations.work_pools.online import READY_SECONDS
from runyard.operations.work_pools.work_pools import LONE_POOL as POOL
from runyard.operations.work_pools.work_pools import make_lone_pool
from runyard.operations.work_pools.work_queues import (
    WorkQueue,
    WorkQueueCreate,
    create_work_queue,
    read_work_queue,
    read_work_queue_by_id,
)
from runyard.store.database import Transaction


class HealthPolicy(Model):
    """The conditions under which a queue is healthy."""

    maximum_late_runs: int | None = 0
    maximum_seconds_since_last_polled: int | None = READY_SECONDS


class WorkQueueStatus(Model):
    """Whether workers poll a queue and its runs start in time."""

    healthy: bool
    late_runs_count: int = 0
    last_polled: Time | None = None
    health_check_policy: HealthPolicy = Field(default_factory=HealthPolicy)


@operation("POST", "/work_queues/", status=201)
def create_lone_work_queue(tx: Transaction, body: WorkQueueCreate) -> WorkQueue:
    """Create a queue of the work pool `default-agent-pool`. A missing pool is created with type `process`.

    Raises:
        Conflict: the work pool already has a queue of that name.
    """
    return create_work_queue(tx, make_lone_pool(tx), body)


@operation("GET", "/work_queues/name/{name}")
def read_lone_work_queue(tx: Transaction, name: str) -> WorkQueue:
    """Read a queue of the work pool `default-agent-pool`, or of any pool if that pool does not exist.

    Raises:
        NotFound: the queue is not found.
    """
    if tx.value("SELECT id FROM work_pools WHERE name = :name", {"name": POOL}) is not None:
        return read_work_queue(tx, POOL, name)
    found = tx.value(
        "SELECT id FROM work_queues WHERE name = :name ORDER BY created, id LIMIT 1", {"name": name}
    )
    if found is None:
        raise NotFound(f"no work queue is named {name!r}; see: runyard work-queue ls")
    return read_work_queue_by_id(tx, found)


@operation("GET", "/work_queues/{work_queue_id}/status")
def read_work_queue_status(tx: Transaction, work_queue_id: str) -> WorkQueueStatus:
    """Read the health of a queue: its late runs, and when it was last polled.

    Raises:
        NotFound: the queue is not found.
    """
    queue = read_work_queue_by_id(tx, work_queue_id)
    late = tx.value(
        "SELECT count(*) FROM flow_runs WHERE work_queue_id = :id AND state_type = :type "
        "AND state_name = 'Late'",
        {"id": queue.id, "type": SCHEDULED},
    )
    polled = queue.last_polled
    asked = polled is not None and (clock.now() - polled).total_seconds() <= READY_SECONDS
    return WorkQueueStatus(healthy=asked and not late, late_runs_count=int(late), last_polled=polled)
