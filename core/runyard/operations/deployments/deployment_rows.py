"""Rows of deployments: writing what is given and was different, and what follows from it."""

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
    """What `save` did. `changes` are the columns that differ: name -> (before, after), in their JSON form."""

    row: Row
    created: bool
    changes: dict[str, tuple[Any, Any]]


def deployment_row(tx: Transaction, deployment_id: str) -> Row:
    """The row of a deployment.

    Raises:
        NotFound: there is none of that id.
    """
    row = tx.one("SELECT * FROM deployments WHERE id = :id", {"id": deployment_id})
    if row is None:
        raise NotFound(f"no deployment has the id {deployment_id}; see `runyard deployment ls`")
    return row


def save(tx: Transaction, flow_id: str, name: str, given: Given, owner: str | None) -> Saved:
    """Create a deployment, or change what differs from the stored one; fields not set stay.

    Args:
        flow_id: its flow, which exists.
        name: its name.
        given: the fields; `schedules` is left to the caller.
        owner: who declares it.

    Raises:
        NotFound: the work pool does not exist.
        ParameterError: parameters or job variables do not fit.
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
    """Refuse what would fail only when a run starts."""
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
    """What a change means for the deployment's schedules, and for its runs that wait."""
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
    """Delete a deployment with its schedules and its runs that wait; its other runs stay.

    Raises:
        NotFound: there is none of that id.
    """
    deployment_row(tx, deployment_id)
    waiting = "SELECT id FROM flow_runs WHERE deployment_id = :id AND state_type = 'SCHEDULED' LIMIT 500"
    values = {"id": deployment_id}
    tx.execute("DELETE FROM schedule_skips WHERE deployment_id = :id", values)
    # One that waits for its next try has records already.
    while found := tx.all(waiting, values):
        removal.remove_runs(tx, removal.with_subflows(tx, [row["id"] for row in found]), (), clock.now_us())
    tx.execute("DELETE FROM deployments WHERE id = :id", values)
