"""The rows that a running flow writes in groups, with the names of their columns, and the tables they go to.

On the start-up path of every flow: nothing here may import pydantic, and annotations are not texts, which
`NamedTuple` would compile one by one. Over HTTP a row is a list, in the order of its fields.
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
    """A row of `flow_runs`, of a subflow run; the name of its flow stands for the flow's id."""

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
    """A result that is kept: its data, or the place of the file that has them."""

    key: str
    created: int
    expires: int | None
    flow_run_id: str | None
    serializer: str | None
    data: str | None
    place: str | None


# Rows a statement, largest first. Few sizes, so that prepared statements are found again; many rows
# in one, so that the writing thread seldom gives up the interpreter to the running flow.
_GROUPS = (32, 8, 1)
_KEPT = frozenset(("id", "created", "flow_id", "flow_run_id", "task_key", "dynamic_key"))
# Where a row has another value than its column: the column, and what makes the column's value of it.
_INSTEAD = {"flow_name": ("flow_id", "(SELECT id FROM flows WHERE name = ?)")}


class _Table:
    """Writes rows of one table, many to a statement."""

    def __init__(self, name: str, row: type[NamedTuple], update: bool) -> None:
        fields = [_INSTEAD.get(field, (field, "?")) for field in row._fields]
        key, *others = columns = [column for column, _ in fields]
        updates = ", ".join(f"{column} = excluded.{column}" for column in others if column not in _KEPT)
        conflict = f"ON CONFLICT ({key}) DO " + (f"UPDATE SET {updates}" if update else "NOTHING")
        values = f"({', '.join(value for _, value in fields)})"
        into = f"INSERT INTO {name} ({', '.join(columns)}) VALUES "  # noqa: S608  # constants
        self._statements = {size: f"{into}{', '.join([values] * size)} {conflict}" for size in _GROUPS}

    def write(self, tx: "Transaction", rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows; those that exist are updated, or left where a table only grows."""
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
