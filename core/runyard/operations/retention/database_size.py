"""The size of the database, its contents, and what retention will delete."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard import settings
from runyard.base import clock
from runyard.operations import lease_clock
from runyard.operations.operation import operation
from runyard.operations.retention.retention_cuts import DAY_US, cuts_of_settings
from runyard.operations.runs.state_columns import TERMINAL_SQL
from runyard.operations.schemas import Model, Time
from runyard.store import online_steps
from runyard.store.database import Transaction

_TABLES = (
    "flows", "flow_runs", "flow_run_states", "flow_run_inputs", "task_runs", "task_run_states", "logs",
    "artifacts", "results", "background_tasks", "deployments", "deployment_versions", "deployment_schedules",
    "schedule_skips", "work_pools", "work_queues", "workers", "leases", "variables", "block_documents",
)  # fmt: skip
_OVER = f"state_type IN {TERMINAL_SQL}"


class DatabaseSize(Model):
    """The size of a database, and how many records are older than the retention period.

    `free_bytes`: free space in the file, which SQLite uses again; null if unknown. `next_removal`: when the
    retention period of the oldest ended run ends. `old_flow_runs` and `old_logs`: how many the next turn
    deletes. Runs stay while a run that they called, or that called them, is not old enough.
    """

    dialect: str
    size_bytes: int
    free_bytes: int | None
    runs_days: float
    logs_days: float
    oldest_finished: Time | None
    next_removal: Time | None
    old_flow_runs: int
    old_logs: int


class DatabaseStats(DatabaseSize):
    """The contents of a database: rows by table, and bytes by table with its indexes, if known.

    `steps_to_do`: the steps of an upgrade that are not done yet. They run while the database is in use.
    """

    rows: dict[str, int]
    bytes: dict[str, int] = Field(default_factory=dict)
    steps_to_do: list[str] = Field(default_factory=list)


@operation("GET", "/runyard/database/size")
def read_database_size(tx: Transaction) -> DatabaseSize:
    """Read the size of the database and what retention will delete. Fast: it reads only indexes."""
    return DatabaseSize(**_size(tx))


@operation("GET", "/runyard/database/stats")
def read_database_stats(tx: Transaction) -> DatabaseStats:
    """Read the size of the database and the number of rows of each table. Slow: it counts all rows."""
    rows = {table: int(tx.value(f"SELECT count(*) FROM {table}")) for table in _TABLES}  # noqa: S608  # a closed list
    steps = [step.name for step in online_steps.pending(tx)]
    return DatabaseStats(**_size(tx), rows=rows, bytes=_bytes(tx), steps_to_do=steps)


def _size(tx: Transaction) -> dict[str, Any]:
    free = None
    if tx.dialect == "sqlite":
        page = tx.value("SELECT page_size FROM pragma_page_size()")
        size = page * tx.value("SELECT page_count FROM pragma_page_count()")
        free = page * tx.value("SELECT freelist_count FROM pragma_freelist_count()")
    else:
        size = int(tx.value("SELECT pg_database_size(current_database())"))
    cuts = cuts_of_settings(lease_clock.wall(tx))
    oldest = tx.value(f"SELECT state_timestamp FROM flow_runs WHERE {_OVER} ORDER BY state_timestamp LIMIT 1")  # noqa: S608  # fixed
    days = settings.get("retention_runs_days")
    return {
        "dialect": tx.dialect,
        "size_bytes": size,
        "free_bytes": free,
        "runs_days": days,
        "logs_days": settings.get("retention_logs_days"),
        "oldest_finished": oldest and clock.from_us(oldest),
        "next_removal": clock.from_us(oldest + int(days * DAY_US)) if oldest and days else None,
        "old_flow_runs": _count(tx, f"flow_runs WHERE {_OVER} AND state_timestamp", cuts.runs),
        "old_logs": _count(tx, "logs WHERE timestamp", cuts.logs),
    }


def _count(tx: Transaction, what: str, before: int | None) -> int:
    if before is None:
        return 0
    return int(tx.value(f"SELECT count(*) FROM {what} < :before", {"before": before}))  # noqa: S608  # fixed


def _bytes(tx: Transaction) -> dict[str, int]:
    """Bytes by table, with its indexes. Empty if the database does not provide them."""
    if tx.dialect == "postgresql":
        rows = tx.all(
            """SELECT c.relname AS name, pg_total_relation_size(c.oid) AS n FROM pg_class AS c
               WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace"""
        )
    elif tx.one("SELECT 1 FROM pragma_module_list WHERE name = 'dbstat'") is not None:
        rows = tx.all(
            """SELECT m.tbl_name AS name, sum(s.pgsize) AS n FROM dbstat AS s
               JOIN sqlite_master AS m ON m.name = s.name WHERE s.aggregate = 1 GROUP BY m.tbl_name"""
        )
    else:
        rows = []
    sizes = {row["name"]: int(row["n"]) for row in rows}
    return {table: sizes[table] for table in _TABLES if table in sizes}
