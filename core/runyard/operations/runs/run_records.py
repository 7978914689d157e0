"""The rows that a running flow writes in batches, with the names of their columns, and their tables.

Every flow imports this module at its start. So it must not import pydantic, and annotations are not strings,
which `NamedTuple` would compile one by one. Over HTTP a row is a list, in the order of its fields.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from runyard.store.database import Transaction


class TaskRunRow(NamedTuple):
    """A row of `task_runs`. Times are in microseconds; tags, inputs, the policy and the state are JSON."""

    id: str
    created: int
    updated: int
    name: str
    flow_run_id: str | None
    task_key: str
    dynamic_key: str
    task_version: str | None
    empirical_policy: str
    tags: str
    task_inputs: str
    state_id: str
    state_type: str
    state_name: str
    state_timestamp: int
    state: str
    run_count: int
    flow_run_run_count: int
    expected_start_time: int | None
    next_scheduled_start_time: int | None
    start_time: int | None
    end_time: int | None
    total_run_time: int


class FlowRunRow(NamedTuple):
    """A row of `flow_runs` for a subflow run. It has the name of the flow instead of its id."""

    id: str
    created: int
    updated: int
    name: str
    flow_name: str
    flow_version: str | None
    parameters: str
    context: str
    empirical_policy: str
    tags: str
    parent_task_run_id: str | None
    root_flow_run_id: str | None
    state_id: str
    state_type: str
    state_name: str
    state_timestamp: int
    state: str
    run_count: int
    expected_start_time: int | None
    next_scheduled_start_time: int | None
    start_time: int | None
    end_time: int | None
    total_run_time: int


class TaskStateRow(NamedTuple):
    """A state that a task run entered."""

    id: str
    task_run_id: str
    type: str
    name: str
    timestamp: int
    message: str | None
    data: str | None
    state_details: str


class FlowStateRow(NamedTuple):
    """A state that a subflow run entered."""

    id: str
    flow_run_id: str
    type: str
    name: str
    timestamp: int
    message: str | None
    data: str | None
    state_details: str


class LogRow(NamedTuple):
    """A log record."""

    id: str
    name: str
    level: int
    message: str
    timestamp: int
    flow_run_id: str | None
    task_run_id: str | None


class ResultRow(NamedTuple):
    """A stored result: its data, or the location of the file with the data."""

    key: str
    created: int
    expires: int | None
    flow_run_id: str | None
    serializer: str | None
    data: str | None
    place: str | None


# Rows per statement, largest first. Few sizes, so that prepared statements are reused. Many rows per
# statement, so that the writing thread seldom takes the interpreter from the running flow.
_GROUPS = (128, 32, 8, 1)
_KEPT = frozenset(("id", "created", "flow_id", "flow_run_id", "task_key", "dynamic_key"))
# Fields whose value differs from the column: the column, and the SQL that computes its value.
_INSTEAD = {"flow_name": ("flow_id", "(SELECT id FROM flows WHERE name = ?)")}


class _Table:
    """Writes rows of one table, many per statement."""

    def __init__(self, name: str, row: type[NamedTuple], update: bool) -> None:
        fields = [_INSTEAD.get(field, (field, "?")) for field in row._fields]
        key, *others = columns = [column for column, _ in fields]
        updates = ", ".join(f"{column} = excluded.{column}" for column in others if column not in _KEPT)
        conflict = f"ON CONFLICT ({key}) DO " + (f"UPDATE SET {updates}" if update else "NOTHING")
        values = f"({', '.join(value for _, value in fields)})"
        into = f"INSERT INTO {name} ({', '.join(columns)}) VALUES "  # noqa: S608  # constants
        self._statements = {size: f"{into}{', '.join([values] * size)} {conflict}" for size in _GROUPS}

    def write(self, tx: "Transaction", rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows. Existing rows are updated, or ignored if the table is append-only."""
        at = 0
        for size in _GROUPS:
            sql = self._statements[size]
            while len(rows) - at >= size:
                tx.execute(sql, [value for row in rows[at : at + size] for value in row])
                at += size


TASK_RUNS = _Table("task_runs", TaskRunRow, update=True)
FLOW_RUNS = _Table("flow_runs", FlowRunRow, update=True)
TASK_STATES = _Table("task_run_states", TaskStateRow, update=False)
FLOW_STATES = _Table("flow_run_states", FlowStateRow, update=False)
LOGS = _Table("logs", LogRow, update=False)
RESULTS = _Table("results", ResultRow, update=True)
