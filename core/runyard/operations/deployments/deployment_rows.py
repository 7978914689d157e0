"""Rows of deployments: writes the fields that changed, and updates schedules and waiting runs."""

from __future__ import annotations

from typing import Any, NamedTuple

from runyard.base import clock, ids
from runyard.base.errors import NotFound, ParameterError
from runyard.domain import parameter_schemas as rules
from runyard.operations.deployments import deployment_places
from runyard.operations.deployments.deployment_shapes import (
    PLAIN,
    DeploymentApply,
    DeploymentCreate,
    DeploymentUpdate,
)
from runyard.operations.runs import removal
from runyard.operations.schedules import schedules
from runyard.operations.schemas import dump, load
from runyard.store.database import Row, Transaction

_JSON_OR_NULL = ("version_info", "concurrency_options", "parameter_openapi_schema", "pull_steps", "triggers")
_JSON = ("job_variables", "parameters", "tags", "labels")
_FLAGS = ("paused", "enforce_parameter_schema")

Given = DeploymentApply | DeploymentCreate | DeploymentUpdate


class Saved(NamedTuple):
    """The result of `save`. `changes` are the changed columns: name -> (before, after), as stored."""

    row: Row
    created: bool
    changes: dict[str, tuple[Any, Any]]


def deployment_row(tx: Transaction, deployment_id: str) -> Row:
    """Read the row of a deployment.

    Raises:
        NotFound: the deployment is not found.
    """
    row = tx.one("SELECT * FROM deployments WHERE id = :id", {"id": deployment_id})
    if row is None:
        raise NotFound(f"deployment {deployment_id} not found; see: runyard deployment ls")
    return row


def save(tx: Transaction, flow_id: str, name: str, given: Given, owner: str | None) -> Saved:
    """Create a deployment, or update the changed fields of the stored one. Fields that are not given stay.

    Args:
        flow_id: the id of its flow, which exists.
        name: the name of the deployment.
        given: the fields. The caller handles `schedules`.
        owner: the program that declares it, or None.

    Raises:
        NotFound: the work pool does not exist.
        ParameterError: parameters or job variables are invalid.
    """
    key = {"flow_id": flow_id, "name": name}
    row = tx.one("SELECT * FROM deployments WHERE flow_id = :flow_id AND name = :name", key)
    created = row is None
    if row is None:
        row = _create(tx, flow_id, name, owner)
    values = _columns(tx, row, given)
    values["owner"] = owner
    changes = {column: (row[column], value) for column, value in values.items() if row[column] != value}
    _check(tx, {**row, **values}, given)
    if changes:
        new = {column: after for column, (_, after) in changes.items()}
        new["updated"] = clock.now_us()
        marks = ", ".join(f"{column} = :{column}" for column in new)
        tx.execute(f"UPDATE deployments SET {marks} WHERE id = :id", {**new, "id": row["id"]})  # noqa: S608  # our names
        row.update(new)
    _follow(tx, row, changes)
    return Saved(row, created, changes)


def _create(tx: Transaction, flow_id: str, name: str, owner: str | None) -> Row:
    now = clock.now_us()
    row = tx.one(
        """INSERT INTO deployments (id, created, updated, flow_id, name, owner)
           VALUES (:id, :now, :now, :flow_id, :name, :owner) RETURNING *""",
        {"id": ids.new_id(), "now": now, "flow_id": flow_id, "name": name, "owner": owner},
    )
    if row is None:
        raise AssertionError("an INSERT with RETURNING returns its row")
    return row


def _columns(tx: Transaction, row: Row, given: Given) -> dict[str, Any]:
    """The columns that the given fields stand for; null where that cannot be stored says nothing."""
    values: dict[str, Any] = {}
    for field in given.model_fields_set:
        value = getattr(given, field)
        if field in PLAIN:
            values[field] = value
        elif field in _JSON_OR_NULL:
            values[field] = None if value is None else dump(value)
        elif field in _JSON and value is not None:
            values[field] = dump(value)
        elif field in _FLAGS and value is not None:
            values[field] = int(value)
    place = given.model_fields_set & {"work_pool_name", "work_queue_name"}
    if given.work_pool_name is not None:
        values["work_queue_id"] = deployment_places.queue_id_of(
            tx, given.work_pool_name, given.work_queue_name
        )
    elif given.work_queue_name is not None:
        keeps_pool = "work_pool_name" not in place
        values["work_queue_id"] = deployment_places.queue_id_without_pool(
            tx, row if keeps_pool else None, given.work_queue_name
        )
    elif "work_pool_name" in place:
        values["work_queue_id"] = None
    return values


def _check(tx: Transaction, row: Row, given: Given) -> None:
    """Reject values that would fail only when a run starts."""
    parameters = load(row["parameters"], {})
    if row["enforce_parameter_schema"]:
        schema = load(row["parameter_openapi_schema"])
        where = f"deployment {row['name']!r}"
        rules.check(parameters, schema, where, complete=False)
        for item in given.schedules or ():
            rules.check({**parameters, **item.parameters}, schema, where, complete=False)
    if "job_variables" in given.model_fields_set or given.work_pool_name is not None:
        try:
            deployment_places.check_job_variables(tx, row["work_queue_id"], load(row["job_variables"], {}))
        except ParameterError as error:
            lines = error.message.split("\n")
            raise ParameterError("\n".join(f"deployment {row['name']!r}: {line}" for line in lines)) from None


def _follow(tx: Transaction, row: Row, changes: dict[str, tuple[Any, Any]]) -> None:
    """Update the deployment's schedules and waiting runs after a change."""
    if "paused" in changes:
        schedules.recompute(tx, row)
        if row["paused"]:
            schedules.drop_waiting_runs(tx, "deployment_id", row["id"])
    if "work_queue_id" in changes:
        tx.execute(
            """UPDATE flow_runs SET work_queue_id = :queue WHERE deployment_id = :id
               AND state_type = 'SCHEDULED' AND auto_scheduled = 1 AND attempt = 0""",
            {"queue": row["work_queue_id"], "id": row["id"]},
        )


def remove(tx: Transaction, deployment_id: str) -> None:
    """Delete a deployment with its schedules and its waiting runs. Its other runs stay.

    Raises:
        NotFound: the deployment is not found.
    """
    deployment_row(tx, deployment_id)
    waiting = "SELECT id FROM flow_runs WHERE deployment_id = :id AND state_type = 'SCHEDULED' LIMIT 500"
    values = {"id": deployment_id}
    tx.execute("DELETE FROM schedule_skips WHERE deployment_id = :id", values)
    # A run that waits for a retry already has records.
    while found := tx.all(waiting, values):
        removal.remove_runs(tx, removal.with_subflows(tx, [row["id"] for row in found]), (), clock.now_us())
    tx.execute("DELETE FROM deployments WHERE id = :id", values)
