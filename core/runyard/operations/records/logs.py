"""Log records of runs: written in batches, read by time."""

from __future__ import annotations

import csv
import io
from typing import Any

from runyard.base import clock, ids
from runyard.operations.filters import query
from runyard.operations.flow_runs.flow_runs import read_row
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Query, Time
from runyard.store.database import Transaction

# How many records the file of a run's logs reads at once.
_AT_ONCE = 1_000


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


@operation("GET", "/flow_runs/{flow_run_id}/logs/download", text=True, file="flow-run-logs.csv")
def download_flow_run_logs(tx: Transaction, flow_run_id: str) -> str:
    """Read all log records of a flow run as CSV, oldest first.

    Returns:
        A line with the names of the columns (timestamp, level, flow_run_id, task_run_id, message), and a line
        for each record.

    Raises:
        NotFound: the flow run is not found.
    """
    read_row(tx, flow_run_id)
    file = io.StringIO()
    lines = csv.writer(file)
    lines.writerow(["timestamp", "level", "flow_run_id", "task_run_id", "message"])
    where = "flow_run_id = :id"
    last: dict[str, Any] = {"id": flow_run_id}
    while rows := tx.all(
        "SELECT id, timestamp, level, flow_run_id, task_run_id, message FROM logs "  # noqa: S608  # ours
        f"WHERE {where} ORDER BY timestamp, id LIMIT {_AT_ONCE}",
        last,
    ):
        for row in rows:
            moment = clock.format_time(clock.from_us(row["timestamp"]))
            lines.writerow([moment, row["level"], row["flow_run_id"], row["task_run_id"], row["message"]])
        where = "flow_run_id = :id AND (timestamp, id) > (:timestamp, :last)"
        last = {"id": flow_run_id, "timestamp": rows[-1]["timestamp"], "last": rows[-1]["id"]}
    # UTF-8 has no lone surrogates.
    return file.getvalue().encode("utf-8", "replace").decode()
