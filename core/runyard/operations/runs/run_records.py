"""The records that a running flow writes in groups, and the tables that they go to. Without pydantic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.store.database import Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence


_STATE_COLUMNS = ("state_id", "state_type", "state_name", "state_timestamp", "state")
_TIME_COLUMNS = (
    "expected_start_time", "next_scheduled_start_time", "start_time", "end_time", "total_run_time",
)  # fmt: skip
TASK_RUN_COLUMNS = (
    "id", "created", "updated", "name", "flow_run_id", "task_key", "dynamic_key", "task_version",
    "empirical_policy", "tags", "task_inputs", *_STATE_COLUMNS, "run_count", "flow_run_run_count",
    *_TIME_COLUMNS,
)  # fmt: skip
# In place of flow_id the row holds the flow's name.
FLOW_RUN_COLUMNS = (
    "id", "created", "updated", "name", "flow_id", "flow_version", "parameters", "context",
    "empirical_policy", "tags", "parent_task_run_id", "root_flow_run_id", *_STATE_COLUMNS, "run_count",
    *_TIME_COLUMNS,
)  # fmt: skip
TASK_STATE_COLUMNS = ("id", "task_run_id", "type", "name", "timestamp", "message", "data", "state_details")
FLOW_STATE_COLUMNS = ("id", "flow_run_id", *TASK_STATE_COLUMNS[2:])
LOG_COLUMNS = ("id", "name", "level", "message", "timestamp", "flow_run_id", "task_run_id")
RESULT_COLUMNS = ("key", "created", "expires", "flow_run_id", "serializer", "data", "place")
# Rows a statement, largest first. Few sizes, so that prepared statements are found again; many rows
# in one, so that the writing thread seldom gives up the interpreter to the running flow.
_GROUPS = (32, 8, 1)
_KEPT = frozenset(("id", "created", "flow_id", "flow_run_id", "task_key", "dynamic_key"))


class _Table:
    """Writes rows of one table, many to a statement."""

    def __init__(
        self, name: str, columns: tuple[str, ...], update: bool, special: dict[str, str] | None = None
    ) -> None:
        key, *others = columns
        updates = ", ".join(f"{column} = excluded.{column}" for column in others if column not in _KEPT)
        conflict = f"ON CONFLICT ({key}) DO " + (f"UPDATE SET {updates}" if update else "NOTHING")
        row = ", ".join((special or {}).get(column, "?") for column in columns)
        into = f"INSERT INTO {name} ({', '.join(columns)}) VALUES "  # noqa: S608  # constants
        self._statements = {size: f"{into}{', '.join([f'({row})'] * size)} {conflict}" for size in _GROUPS}

    def write(self, tx: Transaction, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows; those that exist are updated, or left where a table only grows."""
        at = 0
        for size in _GROUPS:
            sql = self._statements[size]
            while len(rows) - at >= size:
                tx.execute(sql, [value for row in rows[at : at + size] for value in row])
                at += size


TASK_RUNS = _Table("task_runs", TASK_RUN_COLUMNS, update=True)
FLOW_RUNS = _Table(
    "flow_runs", FLOW_RUN_COLUMNS, update=True, special={"flow_id": "(SELECT id FROM flows WHERE name = ?)"}
)

TASK_STATES = _Table("task_run_states", TASK_STATE_COLUMNS, update=False)
FLOW_STATES = _Table("flow_run_states", FLOW_STATE_COLUMNS, update=False)
LOGS = _Table("logs", LOG_COLUMNS, update=False)
RESULTS = _Table("results", RESULT_COLUMNS, update=True)
