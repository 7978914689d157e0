"""Workers: the processes that serve a work pool. Each heartbeat updates the worker's row."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from runyard.base import ids
from runyard.base.errors import InvalidInput, NotFound
from runyard.operations.filters import query
from runyard.operations.operation import operation
from runyard.operations.schemas import (
    Filter,
    Input,
    LeaseSeconds,
    Model,
    Time,
    check_name,
    dump,
    load,
    moment,
)
from runyard.operations.work_pools import online
from runyard.operations.work_pools.work_pools import pool_row
from runyard.operations.work_pools.work_queues import mark_polled, queue_rows
from runyard.store.database import Row, Transaction

_STATUS = f"CASE WHEN {online.ONLINE} THEN 'ONLINE' ELSE 'OFFLINE' END"
# While a worker is alive, the stored time of its last poll is at most this old.
_POLL_NOTE_SECONDS = 10


class Worker(Model):
    """A worker. It is ONLINE until it stops or misses three heartbeats.

    `work_queue_names` lists the queues that it serves. Empty: all queues.
    """

    id: str
    created: Time
    updated: Time
    name: str
    work_pool_id: str
    last_heartbeat_time: Time | None = None
    heartbeat_interval_seconds: float | None = None
    status: Literal["ONLINE", "OFFLINE"] = "OFFLINE"
    work_queue_names: list[str] = Field(default_factory=list)
    concurrency_limit: int | None = None


class HeldRun(Model):
    """A run that a worker executes, and since when it executes this attempt."""

    flow_run_id: str
    attempt: int
    name: str
    state_name: str | None = None
    since: Time


class WorkerDetail(Worker):
    """A worker with the runs that it executes."""

    work_pool_name: str
    runs: list[HeldRun] = Field(default_factory=list)


class WorkerHeartbeat(Input):
    """A worker's heartbeat. `stopped` marks the last heartbeat of a worker that stops."""

    name: str
    heartbeat_interval_seconds: LeaseSeconds | None = None
    work_queue_names: list[str] | None = None
    concurrency_limit: int | None = Field(default=None, ge=0)
    stopped: bool = False


class WorkerListing(Filter):
    """Which workers to list. `workers` filters by `status` and `last_heartbeat_time`."""

    workers: dict[str, Any] | None = None
    limit: int | None = None
    offset: int | None = None


def check_worker_name(name: str) -> None:
    """Check the name of a worker.

    Raises:
        InvalidInput: the name is invalid.
    """
    check_name("worker", name, forbidden="/%")


def _to_model(row: Row) -> Worker:
    return Worker.model_validate(
        {
            **{
                name: row[name]
                for name in (
                    "id", "name", "work_pool_id", "heartbeat_interval_seconds", "status",
                    "concurrency_limit",
                )
            },
            "created": moment(row["created"]),
            "updated": moment(row["updated"]),
            "last_heartbeat_time": moment(row["last_heartbeat_time"]),
            "work_queue_names": load(row["work_queue_names"], []),
        }
    )  # fmt: skip


@operation("POST", "/work_pools/{work_pool_name}/workers/heartbeat", status=204)
def heartbeat_worker(tx: Transaction, work_pool_name: str, body: WorkerHeartbeat) -> None:
    """Store a worker's heartbeat, or that the worker stopped.

    Raises:
        NotFound: the work pool is not found.
        InvalidInput: the name of the worker is invalid.
    """
    check_worker_name(body.name)
    pool, present = pool_row(tx, work_pool_name), online.present(tx)
    now = present["now"]
    values = {
        "id": ids.new_id(),
        **present,
        "pool": pool["id"],
        "name": body.name,
        "queues": dump(body.work_queue_names or []),
        "interval": body.heartbeat_interval_seconds,
        "limit": body.concurrency_limit,
        "stopped": int(body.stopped),
    }
    tx.execute(
        """INSERT INTO workers (id, created, updated, work_pool_id, name, work_queue_names,
               last_heartbeat_time, heartbeat_interval_seconds, concurrency_limit, stopped, beat, beat_boot)
           VALUES (:id, :now, :now, :pool, :name, :queues, :now, :interval, :limit, :stopped, :beat,
               :boot)
           ON CONFLICT (work_pool_id, name) DO UPDATE SET updated = excluded.updated,
               work_queue_names = excluded.work_queue_names, stopped = excluded.stopped,
               last_heartbeat_time = excluded.last_heartbeat_time,
               heartbeat_interval_seconds = excluded.heartbeat_interval_seconds,
               concurrency_limit = excluded.concurrency_limit, beat = excluded.beat,
               beat_boot = excluded.beat_boot""",
        values,
    )
    if not body.stopped:
        names = body.work_queue_names
        served = [row["id"] for row in queue_rows(tx, pool["id"]) if not names or row["name"] in names]
        mark_polled(tx, served, now, _POLL_NOTE_SECONDS * 1_000_000)


@operation("POST", "/work_pools/{work_pool_name}/workers/filter")
def filter_workers(tx: Transaction, work_pool_name: str, body: WorkerListing) -> list[Worker]:
    """List the workers of a work pool. The worker with the latest heartbeat comes first.

    Raises:
        NotFound: the work pool is not found.
        InvalidInput: a filter is invalid.
    """
    pool = pool_row(tx, work_pool_name)
    asked = body.model_dump()
    chosen = dict(asked["workers"] or {})
    where = ["w.work_pool_id = :pool", *_status_condition(chosen.pop("status", None))]
    asked["workers"] = chosen or None
    values = {"pool": pool["id"], **online.present(tx)}
    columns = f"w.*, {_STATUS} AS status"
    return [_to_model(row) for row in query.search(tx, "workers", asked, columns, "", where, values)]


def _status_condition(wanted: dict[str, Any] | None) -> list[str]:
    conditions = []
    for operator, word in (("any_", "IN"), ("not_any_", "NOT IN")):
        statuses = (wanted or {}).get(operator)
        if statuses is None:
            continue
        for status in statuses:
            if status not in ("ONLINE", "OFFLINE"):
                raise InvalidInput(f"invalid status {status!r}; a worker is ONLINE or OFFLINE")
        names = ", ".join(f"'{status}'" for status in statuses) or "''"
        conditions.append(f"{_STATUS} {word} ({names})")
    return conditions


@operation("DELETE", "/work_pools/{work_pool_name}/workers/{name}", status=204)
def delete_worker(tx: Transaction, work_pool_name: str, name: str) -> None:
    """Delete a worker. A worker that is alive appears again with its next heartbeat.

    Raises:
        NotFound: the work pool or the worker is not found.
    """
    pool = pool_row(tx, work_pool_name)
    if not tx.execute(
        "DELETE FROM workers WHERE work_pool_id = :pool AND name = :name", {"pool": pool["id"], "name": name}
    ):
        raise NotFound(f"work pool {work_pool_name!r} has no worker {name!r}")


@operation("GET", "/runyard/work_pools/{work_pool_name}/workers/{name}")
def read_worker(tx: Transaction, work_pool_name: str, name: str) -> WorkerDetail:
    """Read a worker and the runs that it executes.

    Raises:
        NotFound: the work pool or the worker is not found.
    """
    pool = pool_row(tx, work_pool_name)
    row = tx.one(
        f"SELECT w.*, {_STATUS} AS status FROM workers w WHERE w.work_pool_id = :pool AND w.name = :name",  # noqa: S608  # fixed
        {"pool": pool["id"], "name": name, **online.present(tx)},
    )
    if row is None:
        raise NotFound(f"work pool {work_pool_name!r} has no worker {name!r}")
    runs = tx.all(
        """SELECT l.flow_run_id, l.attempt, l.acquired, r.name, r.state_name FROM leases l
           JOIN flow_runs r ON r.id = l.flow_run_id WHERE l.worker_id = :id ORDER BY l.acquired, r.id""",
        {"id": row["id"]},
    )
    held = [HeldRun.model_validate({**run, "since": moment(run.pop("acquired"))}) for run in runs]
    return WorkerDetail(**dict(_to_model(row)), work_pool_name=pool["name"], runs=held)
