"""Ends the open task runs and subflow runs of a lost process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.domain.states import (
    CRASHED,
    TERMINAL,
    State,
)
from runyard.operations.limits import limit_slots
from runyard.operations.runs import enter_state, state_columns

if TYPE_CHECKING:
    from runyard.store.database import Row, Transaction


_DESCENDANTS = """
    WITH RECURSIVE below (id) AS (
        SELECT r.id FROM task_runs t JOIN flow_runs r ON r.parent_task_run_id = t.id
        WHERE t.flow_run_id = :id AND r.root_flow_run_id IS NOT NULL
        UNION
        SELECT r.id FROM below b JOIN task_runs t ON t.flow_run_id = b.id
        JOIN flow_runs r ON r.parent_task_run_id = t.id WHERE r.root_flow_run_id IS NOT NULL
    )
    SELECT * FROM flow_runs WHERE id IN (SELECT id FROM below)"""


def end_open_children(
    tx: Transaction, root_flow_run_id: str, message: str | None, type: str = CRASHED
) -> int:
    """End the open task runs and subflow runs of a run whose process has ended.

    Runs of deployments that it started have their own leases and continue.

    Args:
        root_flow_run_id: the run. It can be a subflow run itself.
        message: the reason, for the states of the children.
        type: CRASHED or CANCELLED.

    Returns:
        The number of ended runs.
    """
    # An ended subflow may have left task runs open, if a signal prevented it from waiting for them.
    descendants = tx.all(_DESCENDANTS, {"id": root_flow_run_id})
    flow_runs = [run for run in descendants if run["state_type"] not in TERMINAL]
    parents = [root_flow_run_id, *(run["id"] for run in descendants)]
    task_runs = []
    for start in range(0, len(parents), 500):
        chunk = {f"p{index}": run_id for index, run_id in enumerate(parents[start : start + 500])}
        names = ", ".join(f":{name}" for name in chunk)
        task_runs += tx.all(
            f"SELECT * FROM task_runs WHERE flow_run_id IN ({names}) "  # noqa: S608  # names of parameters
            f"AND (state_type IS NULL OR state_type NOT IN {state_columns.TERMINAL_SQL})",
            chunk,
        )
    end_runs(tx, "flow_run", flow_runs, message, type)
    end_runs(tx, "task_run", task_runs, message, type)
    return len(flow_runs) + len(task_runs)


def crash_task_run(
    tx: Transaction, task_run_id: str, inside: str, message: str, root_id: str | None = None
) -> int:
    """End a task run whose own process has ended, and the runs that it had started there.

    Args:
        inside: the prefix of the dynamic keys of the task runs inside it.
        message: the reason, for their states.
        root_id: the root run. The slots that the task runs held are released.

    Returns:
        The number of ended runs.
    """
    values = {"id": task_run_id, "inside": inside, "length": len(inside)}
    task_runs = tx.all(
        f"""SELECT * FROM task_runs
            WHERE (id = :id OR (flow_run_id = (SELECT flow_run_id FROM task_runs WHERE id = :id)
                                AND substr(dynamic_key, 1, :length) = :inside))
                AND (state_type IS NULL OR state_type NOT IN {state_columns.TERMINAL_SQL})""",  # noqa: S608  # a constant
        values,
    )
    ended = len(task_runs)
    if root_id is not None:
        limit_slots.release_of_run(tx, root_id, {run["id"] for run in task_runs})
    for task_run in task_runs:
        subflows = tx.all(
            "SELECT * FROM flow_runs WHERE parent_task_run_id = :id "  # noqa: S608  # a constant
            f"AND state_type NOT IN {state_columns.TERMINAL_SQL}",
            {"id": task_run["id"]},
        )
        ended += len(subflows) + sum(end_open_children(tx, run["id"], message) for run in subflows)
        end_runs(tx, "flow_run", subflows, message, CRASHED)
    end_runs(tx, "task_run", task_runs, message, CRASHED)
    return ended


def end_runs(tx: Transaction, table: str, runs: list[Row], message: str | None, type: str) -> None:
    states, rows = [], []
    for run in runs:
        state = enter_state.after(
            State(type, message=message, state_details={f"{table}_id": run["id"]}), run["state_timestamp"]
        )
        states.append((run["id"], state))
        rows.append({"id": run["id"], **enter_state.entered(run, state)})
    if rows:
        enter_state.insert_states(tx, table, states)
        tx.many(f"UPDATE {table}s SET {state_columns.SET_STATE_COLUMNS} WHERE id = :id", rows)  # noqa: S608  # two tables
