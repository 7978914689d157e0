"""Inserts runs of a deployment: checks parameters, merges tags, and inserts one run per idempotency key."""

from __future__ import annotations

from typing import Any

from runyard.domain import parameter_schemas as rules
from runyard.domain.states import State
from runyard.operations.flow_runs.insert_flow_runs import insert_flow_run
from runyard.operations.schemas import dump, load
from runyard.store.database import Row, Transaction


def check_parameters(deployment: Row, parameters: dict[str, Any], enforce: bool | None) -> None:
    """Reject parameters that do not match the schema of the deployment.

    Args:
        deployment: the row of the deployment.
        parameters: all parameters, including the deployment's own.
        enforce: whether to check the parameters; None: as set in the deployment.

    Raises:
        ParameterError: a parameter is invalid. The message names it.
    """
    if deployment["enforce_parameter_schema"] if enforce is None else enforce:
        schema = load(deployment["parameter_openapi_schema"], None)
        rules.check(parameters, schema, f"deployment {deployment['name']!r}")


def insert_deployment_run(
    tx: Transaction,
    deployment: Row,
    state: State,
    *,
    parameters: dict[str, Any],
    tags: list[str] | None = None,
    labels: dict[str, Any] | None = None,
    **columns: Any,
) -> tuple[str, bool]:
    """Insert a run of a deployment, in a Scheduled state.

    Args:
        deployment: the row of the deployment.
        state: a SCHEDULED state with its time.
        parameters: all parameters.
        tags, labels: added to the deployment's own.
        columns: further columns of `flow_runs`. Mappings are stored as JSON.

    Returns:
        (id, created). If the flow has a run with the same `idempotency_key`, the id of that run and False.
    """
    row = {
        "flow_id": deployment["flow_id"],
        "deployment_id": deployment["id"],
        "deployment_version": deployment["version"],
        "work_queue_id": deployment["work_queue_id"],
        "parameters": dump(parameters),
        "tags": dump(_united(load(deployment["tags"], []), tags or [])),
        "labels": dump({**load(deployment["labels"], {}), **(labels or {})}),
        **{name: dump(value) if isinstance(value, dict) else value for name, value in columns.items()},
    }
    return insert_flow_run(tx, row, state)


def _united(first: list[str], second: list[str]) -> list[str]:
    return list(dict.fromkeys([*first, *second]))
