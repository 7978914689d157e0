"""Log records of runs: written in batches, read by time."""

from __future__ import annotations

from typing import Any

from runyard.base import clock, ids
from runyard.operations.filters import query
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Query, Time
from runyard.store.database import Transaction


class Log(Model):
    """A log record. `level` is a number, as in Python's logging."""

    id: str
    created: Time
    updated: Time
    name: str
    level: int
    message: str
    timestamp: Time
    flow_run_id: str | None = None
    task_run_id: str | None = None


class LogCreate(Input):
    """A log record to create."""

    name: str
    level: int
    message: str
    timestamp: Time
    flow_run_id: str | None = None
    task_run_id: str | None = None


class LogListing(Query):
    """Which log records to list: a filter, `limit` (default and maximum 200), `offset` and `sort`."""

    logs: dict[str, Any] | None = None
    limit: int | None = None
    offset: int | None = None
    sort: str | None = None


@operation("POST", "/logs/", status=201)
def create_logs(tx: Transaction, body: list[LogCreate]) -> None:
    """Create log records.

    Records of an unknown run are stored too, for example if the run was deleted: no log record is lost.
    """
    if not body:
        return
    tx.many(
        """INSERT INTO logs (id, name, level, message, timestamp, flow_run_id, task_run_id)
           VALUES (:id, :name, :level, :message, :timestamp, :flow_run_id, :task_run_id)""",
        [
            {
                "id": ids.new_id(),
                "name": log.name,
                "level": log.level,
                # The text type of PostgreSQL cannot store NUL.
                "message": log.message.replace("\0", "\ufffd"),
                "timestamp": clock.to_us(log.timestamp),
                "flow_run_id": log.flow_run_id,
                "task_run_id": log.task_run_id,
            }
            for log in body
        ],
    )


@operation("POST", "/logs/filter")
def filter_logs(tx: Transaction, body: LogListing) -> list[Log]:
    """List log records, oldest first unless `sort` is given.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or a limit is out of range.
    """
    logs = []
    for row in query.search(tx, "logs", body.model_dump()):
        moment = clock.from_us(row.pop("timestamp"))
        logs.append(Log(timestamp=moment, created=moment, updated=moment, **row))
    return logs
