"""The tree of a flow run: its task runs and subflow runs, the failed ones first, a bounded number of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from runyard.domain.states import CRASHED, FAILED
from runyard.operations.flow_runs.explain_failure import called_runs, error_of, last_attempt
from runyard.operations.flow_runs.flow_run_shapes import estimates
from runyard.operations.flow_runs.flow_runs import read_row
from runyard.operations.operation import operation
from runyard.operations.runs.state_columns import state_of
from runyard.operations.schemas import Model, Seconds, Time, load, moment
from runyard.store.database import Row, Transaction

_MOST = 1_000
_DEPTH = 10
# What needs attention comes first; what has not begun, last.
_ORDER = """CASE t.state_type WHEN 'FAILED' THEN 0 WHEN 'CRASHED' THEN 0 WHEN 'RUNNING' THEN 1
    WHEN 'PAUSED' THEN 1 WHEN 'CANCELLED' THEN 2 WHEN 'COMPLETED' THEN 4 ELSE 3 END"""


class RunNode(Model):
    """A run in the tree: `kind` is flow_run or task_run. `error` is the error of a failed run.

    `task_run_id` is the task run that stands for a flow run in the run that called it. `left_out` counts the
    runs below it that are not in `children`, by state name.
    """

    id: str
    kind: str
    name: str
    task_run_id: str | None = None
    state_type: str | None = None
    state_name: str | None = None
    error: str | None = None
    start_time: Time | None = None
    end_time: Time | None = None
    run_time: Seconds = timedelta()
    children: list[RunNode] = Field(default_factory=list)
    left_out: dict[str, int] = Field(default_factory=dict)


@operation("GET", "/runyard/flow_runs/{flow_run_id}/tree")
def read_flow_run_tree(tx: Transaction, flow_run_id: str, limit: int = 50) -> RunNode:
    """Read the runs inside a flow run, those of its last attempt.

    Args:
        limit: the most runs directly inside each flow run, at most 1000.

    Raises:
        NotFound: the flow run is not found.
    """
    return _flow_run(tx, read_row(tx, flow_run_id), max(1, min(limit, _MOST)), _DEPTH, [_MOST])


def _flow_run(tx: Transaction, row: Row, limit: int, depth: int, left: list[int]) -> RunNode:
    """The node of a flow run. `left` holds how many further nodes the tree may have."""
    node = _node(row, "flow_run")
    if not depth:
        return node
    values = {"id": row["id"], "attempt": last_attempt(tx, row)}
    rows = tx.all(
        f"""SELECT t.* FROM task_runs t WHERE t.flow_run_id = :id AND t.flow_run_run_count >= :attempt
            ORDER BY {_ORDER}, t.expected_start_time, t.id LIMIT :limit""",  # noqa: S608  # a constant
        {**values, "limit": min(limit, left[0])},
    )
    left[0] -= len(rows)
    called = called_runs(tx, [task["id"] for task in rows])
    nodes: dict[str, RunNode] = {}
    for task in rows:
        other = called.get(task["id"])
        if other is None:
            nodes[task["id"]] = _node(task, "task_run")
        else:
            inner = _flow_run(tx, other, limit, depth - 1, left)
            inner.task_run_id = task["id"]
            nodes[task["id"]] = inner
    for task in rows:
        around = next((one.get("id") for one in load(task["task_inputs"], {}).get("__parents__", [])), None)
        whose = nodes.get(around or "", node)
        whose.children.append(nodes[task["id"]])
    node.left_out = _left_out(tx, rows, values)
    return node


def _left_out(tx: Transaction, rows: list[Row], values: dict[str, Any]) -> dict[str, int]:
    counted = tx.all(
        """SELECT state_name AS name, count(*) AS number FROM task_runs
           WHERE flow_run_id = :id AND flow_run_run_count >= :attempt GROUP BY state_name""",
        values,
    )
    found = {row["name"] or "no state": int(row["number"]) for row in counted}
    for row in rows:
        found[row["state_name"] or "no state"] -= 1
    return {name: number for name, number in found.items() if number}


def _node(row: Row, kind: str) -> RunNode:
    failed = row["state_type"] in (FAILED, CRASHED)
    return RunNode(
        id=row["id"],
        kind=kind,
        name=row["name"],
        state_type=row["state_type"],
        state_name=row["state_name"],
        error=error_of(state_of(row)) if failed else None,
        start_time=moment(row["start_time"]),
        end_time=moment(row["end_time"]),
        run_time=estimates(row)[0],
    )
