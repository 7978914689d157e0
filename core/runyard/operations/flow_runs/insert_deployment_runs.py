"""Inserting runs of a deployment: its parameters checked, its tags united, at most one of a key."""

from __future__ import annotations

from typing import Any

from runyard.base import clock, ids
from runyard.domain import parameter_schemas as rules
from runyard.domain import states
from runyard.operations.runs import enter_state
from runyard.operations.schemas import dump, load
from runyard.store.database import Row, Transaction


def check_parameters(deployment: Row, parameters: dict[str, Any], enforce: bool | None) -> None:
    """Refuse parameters that do not fit the deployment's schema.

    Args:
        deployment: its row.
        parameters: all of them, the deployment's own included.
        enforce: whether to check at all; None: as the deployment says.

    Raises:
        ParameterError: naming the parameter.
    """
    if deployment["enforce_parameter_schema"] if enforce is None else enforce:
        schema = load(deployment["parameter_openapi_schema"], None)
        rules.check(parameters, schema, f"deployment {deployment['name']!r}")


def insert_run(
    tx: Transaction,
    deployment: Row,
    state: states.State,
    *,
    parameters: dict[str, Any],
    tags: list[str] | None = None,
    labels: dict[str, Any] | None = None,
    idempotency_key: str | None = None,
    **columns: Any,
) -> tuple[str, bool]:
    """Insert a run of a deployment, in a Scheduled state.

    Args:
        deployment: its row.
        state: a SCHEDULED one, with its time.
        parameters: all of them.
        tags, labels: added to the deployment's own.
        idempotency_key: at most one run of the flow has it.
        columns: further columns of `flow_runs`; mappings become JSON.

    Returns:
        (id, created): the run of that key, if there is one already, and False.
    """
    run_id = ids.new_id()
    state.state_details["flow_run_id"] = run_id
    row = {
        "id": run_id,
        "created": clock.now_us(),
        "name": ids.new_name(),
        "flow_id": deployment["flow_id"],
        "deployment_id": deployment["id"],
        "deployment_version": deployment["version"],
        "work_queue_id": deployment["work_queue_id"],
        "parameters": dump(parameters),
        "idempotency_key": idempotency_key,
        "tags": dump(_united(load(deployment["tags"], []), tags or [])),
        "labels": dump({**load(deployment["labels"], {}), **(labels or {})}),
        **enter_state.entered({}, state),
        **{name: dump(value) if isinstance(value, dict) else value for name, value in columns.items()},
    }
    names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
    inserted = tx.value(
        f"INSERT INTO flow_runs ({names}) VALUES ({marks}) "  # noqa: S608  # our own column names
        "ON CONFLICT (flow_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING id",
        row,
    )
    if inserted is None:
        existing = tx.value(
            "SELECT id FROM flow_runs WHERE flow_id = :flow_id AND idempotency_key = :key",
            {"flow_id": deployment["flow_id"], "key": idempotency_key},
        )
        return existing, False
    enter_state.insert_states(tx, "flow_run", [(run_id, state)])
    return run_id, True


def _united(first: list[str], second: list[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))
