"""Inserts flow runs. `insert_flow_run` inserts all runs: by hand, of a deployment or of a schedule.

Only subflow runs are inserted in another way: the engine writes them with their other records
(`write_journal`). This module must not import pydantic, because every flow imports it at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base import clock, ids
from runyard.operations.runs.enter_state import entered, insert_states

if TYPE_CHECKING:
    from runyard.domain.states import State
    from runyard.store.database import Transaction


def insert_flow_run(tx: Transaction, columns: dict[str, Any], state: State) -> tuple[str, bool]:
    """Insert a flow run with its first state.

    Args:
        columns: the columns of `flow_runs` by name, as stored: JSON as text. `flow_id` is required. A column
            that is None or missing gets the default of the table.
        state: its first state.

    Returns:
        The id of the run, and whether it is new. If the flow has a run with the same `idempotency_key`, the
        id of that run and False.
    """
    given = {name: value for name, value in columns.items() if value is not None}
    run_id = given.setdefault("id", ids.new_id())
    state.state_details["flow_run_id"] = run_id
    row = {"created": clock.now_us(), **entered({}, state), **given}
    row["name"] = given.get("name") or ids.new_name()
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    inserted = tx.execute(
        f"INSERT INTO flow_runs ({names}) VALUES ({marks}) "  # noqa: S608  # our own column names
        "ON CONFLICT (flow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING",
        row,
    )
    if inserted:
        insert_states(tx, "flow_run", [(run_id, state)])
        return run_id, True
    same = "SELECT id FROM flow_runs WHERE flow_id = :flow_id AND idempotency_key = :idempotency_key"
    return str(tx.value(same, {name: row[name] for name in ("flow_id", "idempotency_key")})), False
