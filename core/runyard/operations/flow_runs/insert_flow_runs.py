"""Inserting flow runs: whoever makes one, by hand, of a deployment or of a schedule, calls `insert_flow_run`.

On the start-up path of every flow: nothing here may import pydantic. Subflow runs alone are inserted with
their other records (`write_journal`), by the engine that executes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base import clock, ids
from runyard.operations.runs.enter_state import entered, insert_states

if TYPE_CHECKING:
    from runyard.domain.states import State
    from runyard.store.database import Transaction


def insert_flow_run(tx: Transaction, columns: dict[str, Any], state: State) -> tuple[str, bool]:
    """Add a flow run in its first state.

    Args:
        columns: of `flow_runs`, by name, as they are stored: JSON as a text. `flow_id` is needed; what is
            None, or missing, gets the default of the table.
        state: its first state.

    Returns:
        The run's id, and whether it is new: with an `idempotency_key` that the flow has a run of
        already, that run's id and False.
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
