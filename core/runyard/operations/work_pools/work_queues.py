"""Work queues: the parts of a work pool. Each has a priority, a limit, and can be paused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.base.quoting import quoted
from runyard.domain.states import SCHEDULED
from runyard.operations import lease_clock
from runyard.operations.filters import query
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Listing, Model, Time, check_name, moment
from runyard.operations.work_pools.online import READY_SECONDS
from runyard.operations.work_pools.work_pools import pool_row
from runyard.store.database import Row, Transaction

_COLUMNS = """q.*, qp.name AS work_pool_name, qp.is_paused AS pool_paused,
    (SELECT count(*) FROM leases l WHERE l.work_queue_id = q.id) AS active_slots"""
_JOINS = "JOIN work_pools qp ON qp.id = q.work_pool_id"


class WorkQueue(Model):
    """A work queue. Priority 1 is served first. `active_slots` is the number of its runs that execute now."""

    id: str
    created: Time
    updated: Time
    name: str
    description: str | None = ""
    is_paused: bool = False
    concurrency_limit: int | None = None
    priority: int = 1
    work_pool_id: str | None = None
    work_pool_name: str | None = None
    filter: dict[str, Any] | None = None
    last_polled: Time | None = None
    status: Literal["READY", "NOT_READY", "PAUSED"] | None = None
    active_slots: int = 0


class WorkQueueCreate(Input):
    """A work queue to create. Without a priority it is served after the other queues."""

    only_null = ("filter",)

    name: str
    description: str | None = None
    is_paused: bool = False
    concurrency_limit: int | None = Field(default=None, ge=0)
    priority: int | None = Field(default=None, ge=1)


class WorkQueueUpdate(Input):
    """Changes to a work queue. Only the given fields change."""

    only_null = ("filter",)

    name: str | None = None
    description: str | None = None
    is_paused: bool | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)
    priority: int | None = Field(default=None, ge=1)
    last_polled: Time | None = None


def queue_rows(tx: Transaction, pool_id: str) -> list[Row]:
    """Read the rows of a pool's queues, in the order in which workers serve them."""
    return tx.all(
        "SELECT * FROM work_queues WHERE work_pool_id = :id ORDER BY priority, name", {"id": pool_id}
    )


def mark_polled(tx: Transaction, queue_ids: Sequence[str], now_us: int, stale_us: int) -> None:
    """Store that a worker polled queues, unless a poll was stored less than `stale_us` ago."""
    for queue_id in queue_ids:
        tx.execute(
            """UPDATE work_queues SET last_polled = :now
               WHERE id = :id AND (last_polled IS NULL OR NOT last_polled BETWEEN :before AND :now)""",
            {"now": now_us, "id": queue_id, "before": now_us - stale_us},
        )


def _to_model(row: Row, now: int) -> WorkQueue:
    polled = row["last_polled"]
    # A poll in the future was stored before the clock was set back.
    ready = polled is not None and abs(now - polled) <= READY_SECONDS * 1_000_000
    status = "PAUSED" if row["is_paused"] else "READY" if ready else "NOT_READY"
    return WorkQueue.model_validate(
        {
            **{
                name: row[name]
                for name in (
                    "id", "name", "concurrency_limit", "priority", "work_pool_id", "work_pool_name",
                    "active_slots",
                )
            },
            "description": row["description"] or "",
            "created": moment(row["created"]),
            "updated": moment(row["updated"]),
            "is_paused": bool(row["is_paused"]),
            "last_polled": moment(polled),
            "status": status,
        }
    )  # fmt: skip


def _named(tx: Transaction, work_pool_name: str, name: str) -> Row:
    pool = pool_row(tx, work_pool_name)
    row = tx.one(
        "SELECT * FROM work_queues WHERE work_pool_id = :pool AND name = :name",
        {"pool": pool["id"], "name": name},
    )
    if row is None:
        raise NotFound(
            f"work pool {work_pool_name!r} has no queue {name!r}; "
            f"see: runyard work-queue ls --pool {quoted(work_pool_name)}"
        )
    return row


def _by_id(tx: Transaction, work_queue_id: str) -> Row:
    row = tx.one("SELECT * FROM work_queues WHERE id = :id", {"id": work_queue_id})
    if row is None:
        raise NotFound(f"no work queue has the id {work_queue_id}; see: runyard work-queue ls")
    return row


def _show(tx: Transaction, work_queue_id: str) -> WorkQueue:
    sql = f"SELECT {_COLUMNS} FROM work_queues q {_JOINS} WHERE q.id = :id"  # noqa: S608  # fixed
    return _to_model(tx.all(sql, {"id": work_queue_id})[0], lease_clock.wall(tx))


@operation("POST", "/work_pools/{work_pool_name}/queues", status=201)
def create_work_queue(tx: Transaction, work_pool_name: str, body: WorkQueueCreate) -> WorkQueue:
    """Create a queue of a work pool. If another queue has the same priority, it moves back.

    Raises:
        NotFound: the work pool is not found.
        Conflict: the work pool already has a queue of that name.
    """
    check_name("work queue", body.name)
    pool, now = pool_row(tx, work_pool_name), clock.now_us()
    others = queue_rows(tx, pool["id"])
    priority = body.priority or max((row["priority"] for row in others), default=0) + 1
    queue_id = tx.value(
        """INSERT INTO work_queues (id, created, updated, work_pool_id, name, description, is_paused,
               concurrency_limit, priority)
           VALUES (:id, :now, :now, :pool, :name, :description, :is_paused, :limit, :priority)
           ON CONFLICT (work_pool_id, name) DO NOTHING RETURNING id""",
        {
            "id": ids.new_id(),
            "now": now,
            "pool": pool["id"],
            "name": body.name,
            "description": body.description,
            "is_paused": int(body.is_paused),
            "limit": body.concurrency_limit,
            "priority": priority,
        },
    )
    if queue_id is None:
        raise Conflict(f"work pool {work_pool_name!r} has a queue named {body.name!r} already")
    _make_room(tx, pool["id"], queue_id, priority)
    return _show(tx, queue_id)


def _make_room(tx: Transaction, pool_id: str, queue_id: str, priority: int) -> None:
    """Move back the queues whose priority is taken, each by no more than needed."""
    taken = priority
    for row in queue_rows(tx, pool_id):
        if row["id"] != queue_id and row["priority"] == taken:
            taken += 1
            tx.execute(
                "UPDATE work_queues SET priority = :priority WHERE id = :id",
                {"priority": taken, "id": row["id"]},
            )


@operation("GET", "/work_pools/{work_pool_name}/queues/{name}")
def read_work_queue(tx: Transaction, work_pool_name: str, name: str) -> WorkQueue:
    """Read a queue of a work pool.

    Raises:
        NotFound: the work pool or the queue is not found.
    """
    return _show(tx, _named(tx, work_pool_name, name)["id"])


@operation("GET", "/work_queues/{work_queue_id}")
def read_work_queue_by_id(tx: Transaction, work_queue_id: str) -> WorkQueue:
    """Read a queue by its id.

    Raises:
        NotFound: the queue is not found.
    """
    return _show(tx, _by_id(tx, work_queue_id)["id"])


@operation("PATCH", "/work_pools/{work_pool_name}/queues/{name}", status=204)
def update_work_queue(tx: Transaction, work_pool_name: str, name: str, body: WorkQueueUpdate) -> None:
    """Update a queue. Only the given fields change.

    Raises:
        NotFound: the work pool or the queue is not found.
        Conflict: the work pool has another queue of the new name.
    """
    _update(tx, _named(tx, work_pool_name, name), body)


@operation("PATCH", "/work_queues/{work_queue_id}", status=204)
def update_work_queue_by_id(tx: Transaction, work_queue_id: str, body: WorkQueueUpdate) -> None:
    """Update a queue by its id. Only the given fields change."""
    _update(tx, _by_id(tx, work_queue_id), body)


def _update(tx: Transaction, row: Row, body: WorkQueueUpdate) -> None:
    changes: dict[str, Any] = {}
    for field in body.model_fields_set:
        value = getattr(body, field)
        if field in ("description", "concurrency_limit"):
            changes[field] = value
        elif value is not None:
            changes[field] = clock.to_us(value) if field == "last_polled" else value
    if "is_paused" in changes:
        changes["is_paused"] = int(changes["is_paused"])
    if changes.get("name", row["name"]) != row["name"]:
        _check_rename(tx, row, changes["name"])
    if not changes:
        return
    changes["updated"] = clock.now_us()
    marks = ", ".join(f"{column} = :{column}" for column in changes)
    tx.execute(f"UPDATE work_queues SET {marks} WHERE id = :id", {**changes, "id": row["id"]})  # noqa: S608  # our names
    if "priority" in changes:
        _make_room(tx, row["work_pool_id"], row["id"], changes["priority"])


def _check_rename(tx: Transaction, row: Row, name: str) -> None:
    check_name("work queue", name)
    values = {"pool": row["work_pool_id"], "name": name}
    if tx.value("SELECT id FROM work_queues WHERE work_pool_id = :pool AND name = :name", values):
        raise Conflict(f"the pool has a queue named {name!r} already")


@operation("DELETE", "/work_pools/{work_pool_name}/queues/{name}", status=204)
def delete_work_queue(tx: Transaction, work_pool_name: str, name: str) -> None:
    """Delete a queue. Its deployments and waiting runs move to the default queue of the work pool.

    Raises:
        NotFound: the work pool or the queue is not found.
        InvalidInput: the queue is the default queue of the work pool.
    """
    _delete(tx, _named(tx, work_pool_name, name))


@operation("DELETE", "/work_queues/{work_queue_id}", status=204)
def delete_work_queue_by_id(tx: Transaction, work_queue_id: str) -> None:
    """Delete a queue by its id. Its deployments and waiting runs move to the default queue of its pool."""
    _delete(tx, _by_id(tx, work_queue_id))


def _delete(tx: Transaction, row: Row) -> None:
    default = tx.value("SELECT default_queue_id FROM work_pools WHERE id = :id", {"id": row["work_pool_id"]})
    if row["id"] == default:
        raise InvalidInput(f"{row['name']!r} is its work pool's default queue, which cannot be deleted")
    values = {"old": row["id"], "new": default}
    tx.execute("UPDATE deployments SET work_queue_id = :new WHERE work_queue_id = :old", values)
    tx.execute(
        "UPDATE flow_runs SET work_queue_id = :new "  # noqa: S608  # fixed
        f"WHERE work_queue_id = :old AND state_type = '{SCHEDULED}'",
        values,
    )
    # Runs that execute continue, and the limit of the pool still counts them.
    tx.execute("UPDATE leases SET work_queue_id = :new WHERE work_queue_id = :old", values)
    tx.execute("DELETE FROM work_queues WHERE id = :old", {"old": row["id"]})


@operation("POST", "/work_pools/{work_pool_name}/queues/filter")
def filter_work_queues(tx: Transaction, work_pool_name: str, body: Listing) -> list[WorkQueue]:
    """List the queues of a work pool, in the order in which workers serve them.

    Raises:
        NotFound: the work pool is not found.
    """
    pool = pool_row(tx, work_pool_name)
    return _list(tx, body, ["q.work_pool_id = :pool"], {"pool": pool["id"]})


@operation("POST", "/work_queues/filter")
def filter_all_work_queues(tx: Transaction, body: Listing) -> list[WorkQueue]:
    """List the queues of all work pools."""
    return _list(tx, body, [], {})


def _list(tx: Transaction, body: Listing, where: list[str], values: dict[str, Any]) -> list[WorkQueue]:
    rows = query.search(tx, "work_queues", body.model_dump(), _COLUMNS, _JOINS, where, values)
    now = lease_clock.wall(tx)
    return [_to_model(row, now) for row in rows]
