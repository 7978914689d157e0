"""Inserting flow runs. Without pydantic: on the start-up path of every flow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base import clock, ids
from runyard.domain.states import State
from runyard.operations.json_columns import to_json
from runyard.operations.runs.enter_state import entered, insert_states
from runyard.operations.runs.state_columns import STATE_COLUMNS

if TYPE_CHECKING:
    from runyard.store.database import Transaction


_FLOW_RUN_COLUMNS = (
    "id", "created", "name", "flow_id", "deployment_id", "deployment_version", "work_queue_id",
    "schedule_id", "flow_version", "parameters", "idempotency_key", "context", "empirical_policy", "tags",
    "labels", "parent_task_run_id", "root_flow_run_id", "auto_scheduled", "created_by", "job_variables",
    *STATE_COLUMNS,
)  # fmt: skip

_FLOW_RUN_JSON: dict[str, Any] = {
    "parameters": {},
    "context": {},
    "empirical_policy": {},
    "tags": [],
    "labels": {},
}

_INSERT_FLOW_RUN = (
    f"INSERT INTO flow_runs ({', '.join(_FLOW_RUN_COLUMNS)}) "  # noqa: S608  # fixed names
    f"VALUES ({', '.join(':' + name for name in _FLOW_RUN_COLUMNS)}) "
    "ON CONFLICT (flow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING"
)


def insert_flow_run(tx: Transaction, fields: dict[str, Any], state: State) -> tuple[str, bool]:
    """Add a flow run in its first state.

    Args:
        fields: columns of `flow_runs` by name; `flow_id` is needed. JSON columns hold Python values.
        state: its first state.

    Returns:
        The run's id, and whether it is new: with an `idempotency_key` that the flow has a run of
        already, that run's id and False.
    """
    run_id = fields.get("id") or ids.new_id()
    state.state_details["flow_run_id"] = run_id
    row = dict.fromkeys(_FLOW_RUN_COLUMNS)
    row.update(fields, id=run_id, created=clock.now_us(), name=fields.get("name") or ids.new_name())
    for name, default in _FLOW_RUN_JSON.items():
        row[name] = to_json(default if row[name] is None else row[name])
    for name in ("created_by", "job_variables"):
        row[name] = None if row[name] is None else to_json(row[name])
    row["auto_scheduled"] = int(bool(row["auto_scheduled"]))
    row.update(entered({}, state))
    if tx.execute(_INSERT_FLOW_RUN, row):
        insert_states(tx, "flow_run", [(run_id, state)])
        return run_id, True
    same = "SELECT id FROM flow_runs WHERE flow_id = :flow_id AND idempotency_key = :idempotency_key"
    return str(tx.value(same, {name: row[name] for name in ("flow_id", "idempotency_key")})), False
