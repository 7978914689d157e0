"""Which runs hold the slots of a work pool or a work queue, in pages, for monitoring."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.operations import lease_clock
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Time, moment
from runyard.operations.work_pools.work_pools import pool_row
from runyard.operations.work_pools.work_queues import queue_rows, read_work_queue_by_id
from runyard.store.database import Row, Transaction

_PAGE = 200
_RUNS = """SELECT r.id, r.name, r.state_type, r.state_name, r.start_time, r.state_timestamp
    FROM leases l JOIN flow_runs r ON r.id = l.flow_run_id WHERE l.work_queue_id = :id
    ORDER BY l.acquired, r.id LIMIT :limit OFFSET :offset"""


class SlotHolder(Model):
    """A run that holds a slot. `time_in_current_state` is in seconds."""

    id: str
    name: str
    state_type: str | None = None
    state_name: str | None = None
    start_time: Time | None = None
    state_timestamp: Time | None = None
    time_in_current_state: float | None = None


class QueueSlots(Model):
    """The slots of one queue of a work pool. `flow_runs` lists the first of `flow_run_count` runs."""

    queue_id: str
    queue_name: str
    active_slots: int
    concurrency_limit: int | None = None
    flow_runs: list[SlotHolder] = Field(default_factory=list)
    flow_run_count: int = 0


class _Page(Model):
    active_slots: int
    concurrency_limit: int | None = None
    count: int
    limit: int
    pages: int
    page: int


class PoolConcurrencyStatus(_Page):
    """The slots of a work pool. `count` and `pages` count its queues."""

    queues: list[QueueSlots] = Field(default_factory=list)


class QueueConcurrencyStatus(_Page):
    """The slots of a work queue. `count` and `pages` count the runs that hold a slot."""

    flow_runs: list[SlotHolder] = Field(default_factory=list)


class StatusPage(Input):
    """Which page to return. Pages start at 1 and have `limit` entries (default and maximum 200)."""

    page: int = Field(default=1, ge=1)
    limit: int | None = Field(default=None, ge=0, le=_PAGE)


class PoolStatusPage(StatusPage):
    """Which page of queues to return, and the most runs of each queue."""

    flow_run_limit: int = Field(default=10, ge=0, le=_PAGE)


@operation("POST", "/work_pools/{name}/concurrency_status")
def read_work_pool_concurrency(tx: Transaction, name: str, body: PoolStatusPage) -> PoolConcurrencyStatus:
    """Read which runs hold the slots of a work pool, by queue, in the order in which workers serve them.

    Raises:
        NotFound: the work pool is not found.
    """
    pool = pool_row(tx, name)
    queues = queue_rows(tx, pool["id"])
    size, offset = _window(body)
    return PoolConcurrencyStatus(
        active_slots=sum(_held(tx, queue["id"]) for queue in queues),
        concurrency_limit=pool["concurrency_limit"],
        queues=[_of_queue(tx, queue, body.flow_run_limit) for queue in queues[offset : offset + size]],
        **_page(body, size, len(queues)),
    )


@operation("POST", "/work_queues/{work_queue_id}/concurrency_status")
def read_work_queue_concurrency(
    tx: Transaction, work_queue_id: str, body: StatusPage
) -> QueueConcurrencyStatus:
    """Read which runs hold the slots of a work queue. The run that holds its slot longest comes first.

    Raises:
        NotFound: the work queue is not found.
    """
    queue = read_work_queue_by_id(tx, work_queue_id)
    size, offset = _window(body)
    held = _held(tx, queue.id)
    return QueueConcurrencyStatus(
        active_slots=held,
        concurrency_limit=queue.concurrency_limit,
        flow_runs=_holders(tx, queue.id, size, offset),
        **_page(body, size, held),
    )


def _of_queue(tx: Transaction, queue: Row, most: int) -> QueueSlots:
    held = _held(tx, queue["id"])
    return QueueSlots(
        queue_id=queue["id"],
        queue_name=queue["name"],
        active_slots=held,
        concurrency_limit=queue["concurrency_limit"],
        flow_runs=_holders(tx, queue["id"], most, 0),
        flow_run_count=held,
    )


def _held(tx: Transaction, queue_id: str) -> int:
    return int(tx.value("SELECT count(*) FROM leases WHERE work_queue_id = :id", {"id": queue_id}))


def _holders(tx: Transaction, queue_id: str, limit: int, offset: int) -> list[SlotHolder]:
    now = lease_clock.wall(tx)
    rows = tx.all(_RUNS, {"id": queue_id, "limit": limit, "offset": offset})
    return [
        SlotHolder(
            **{name: row[name] for name in ("id", "name", "state_type", "state_name")},
            start_time=moment(row["start_time"]),
            state_timestamp=moment(row["state_timestamp"]),
            time_in_current_state=max(0, now - row["state_timestamp"]) / 1e6
            if row["state_timestamp"]
            else None,
        )
        for row in rows
    ]


def _window(body: StatusPage) -> tuple[int, int]:
    size = _PAGE if body.limit is None else body.limit
    return size, (body.page - 1) * size


def _page(body: StatusPage, size: int, count: int) -> dict[str, Any]:
    return {"count": count, "limit": size, "pages": -(-count // size) if size else 0, "page": body.page}
