"""Schedules of deployments: read, create, update and delete."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from runyard.base import clock, ids
from runyard.base.errors import Conflict, NotFound, ScheduleError
from runyard.domain import parameter_schemas as parameter_rules
from runyard.domain.schedules import instants as rules
from runyard.domain.schedules.schedule_warnings import over
from runyard.operations.operation import operation
from runyard.operations.runs import removal
from runyard.operations.schedules import next_due
from runyard.operations.schedules.next_due import OPEN_STATES, due_after
from runyard.operations.schedules.schedule_shapes import (
    DeploymentSchedule,
    DeploymentScheduleCreate,
    DeploymentScheduleUpdate,
    ScheduleSkip,
)
from runyard.operations.schemas import dump, load
from runyard.store.database import Row, Transaction

__all__ = [
    "OPEN_STATES",
    "DeploymentSchedule",
    "DeploymentScheduleCreate",
    "DeploymentScheduleUpdate",
    "ScheduleSkip",
    "busy_condition",
    "create_deployment_schedules",
    "delete_deployment_schedule",
    "read_deployment_schedules",
    "read_schedule_skips",
    "schedule_is_busy",
    "update_deployment_schedule",
]


def to_model(row: Row) -> DeploymentSchedule:
    """Convert a row of `deployment_schedules` to its model."""
    fields = dict(row)
    fields["schedule"] = load(fields.pop("spec"), {})
    fields["parameters"] = load(row["parameters"], {})
    for name in ("created", "updated", "next_due", "last_fired"):
        fields[name] = None if row[name] is None else clock.from_us(row[name])
    return DeploymentSchedule.model_validate(fields)


def rows_of(tx: Transaction, deployment_id: str) -> list[Row]:
    """Read the rows of a deployment's schedules, oldest first."""
    return tx.all(
        "SELECT * FROM deployment_schedules WHERE deployment_id = :id ORDER BY created, id",
        {"id": deployment_id},
    )


def of_deployments(tx: Transaction, deployment_ids: list[str]) -> dict[str, list[DeploymentSchedule]]:
    """Read the schedules of several deployments, by deployment."""
    found: dict[str, list[DeploymentSchedule]] = {key: [] for key in deployment_ids}
    if found:
        names = {f"id{index}": key for index, key in enumerate(found)}
        marks = ", ".join(f":{name}" for name in names)
        for row in tx.all(
            f"SELECT * FROM deployment_schedules WHERE deployment_id IN ({marks}) "  # noqa: S608  # only :names
            "ORDER BY created, id",
            names,
        ):
            found[row["deployment_id"]].append(to_model(row))
    return found


def insert(tx: Transaction, deployment: Row, body: DeploymentScheduleCreate, owner: str | None) -> Row:
    """Insert a schedule of a deployment.

    Args:
        deployment: the row of the deployment. If it is paused, the schedule is not due.
        body: the schedule.
        owner: the program that declares the schedule, or None for an operator.

    Raises:
        Conflict: the deployment already has a schedule with that slug.
    """
    _refuse_taken_slug(tx, deployment["id"], body.slug, None)
    now = clock.now_us()
    row = {
        "id": ids.new_id(),
        "created": now,
        "updated": now,
        "deployment_id": deployment["id"],
        "slug": body.slug,
        "spec": dump(stored_spec(body.schedule, now)),
        "active": int(body.active),
        "declared_active": int(body.active),
        "parameters": dump(body.parameters),
        "max_scheduled_runs": body.max_scheduled_runs,
        "catchup": body.catchup,
        "catchup_limit": body.catchup_limit,
        "overlap": body.overlap,
        "owner": owner,
        "last_fired": None,
    }
    row["next_due"] = due_after(row, deployment["paused"], now)
    columns = ", ".join(row)
    marks = ", ".join(f":{name}" for name in row)
    tx.execute(f"INSERT INTO deployment_schedules ({columns}) VALUES ({marks})", row)  # noqa: S608  # our names
    return row


def change(tx: Transaction, deployment: Row, row: Row, values: dict[str, Any]) -> bool:
    """Set columns of a schedule. Its next due time stays, unless the timing itself changes.

    Instants that are due already are handled with the values before the change.

    Args:
        deployment: the row of its deployment.
        row: the present row of the schedule; updated in place.
        values: the new values, by column.

    Returns:
        Whether a value changed.
    """
    different = {name: value for name, value in values.items() if row[name] != value}
    if not different:
        return False
    now = clock.now_us()
    retimed = "spec" in different or "active" in different
    if retimed:
        next_due.owe(tx, row, now)
    row.update(different, updated=now)
    if retimed:
        different["next_due"] = row["next_due"] = due_after(row, deployment["paused"], now)
    _refuse_taken_slug(tx, deployment["id"], different.get("slug"), row["id"])
    marks = ", ".join(f"{name} = :{name}" for name in different)
    tx.execute(
        f"UPDATE deployment_schedules SET {marks}, updated = :updated WHERE id = :id",  # noqa: S608  # our names
        {**different, "updated": now, "id": row["id"]},
    )
    if "spec" in different or not row["active"]:
        drop_waiting_runs(tx, "schedule_id", row["id"])
    return True


def hand_over(tx: Transaction, row: Row, owner: str) -> None:
    """Set the owner of a schedule."""
    row["owner"] = owner
    tx.execute(
        "UPDATE deployment_schedules SET owner = :owner WHERE id = :id", {"owner": owner, "id": row["id"]}
    )


def remove(tx: Transaction, row: Row) -> None:
    """Delete a schedule and its future runs. Due instants and records of skipped instants stay."""
    next_due.owe(tx, row, clock.now_us())
    drop_waiting_runs(tx, "schedule_id", row["id"])
    tx.execute("DELETE FROM deployment_schedules WHERE id = :id", {"id": row["id"]})


def drop_waiting_runs(tx: Transaction, column: Literal["schedule_id", "deployment_id"], key: str) -> None:
    """Delete the future runs that a schedule created, or all schedules of a deployment.

    A run that a worker has claimed stays. A run whose instant has passed stays too, even if its schedule
    is deleted.
    """
    now = clock.now_us()
    # Locked, so that no worker claims one of them meanwhile.
    lock = " FOR UPDATE" if tx.dialect == "postgresql" else ""
    rows = tx.all(
        f"""SELECT id FROM flow_runs WHERE {column} = :key AND auto_scheduled = 1 AND attempt = 0
        AND run_count = 0 AND state_type = 'SCHEDULED' AND expected_start_time > :now{lock}""",  # noqa: S608  # closed list
        {"key": key, "now": now},
    )
    removal.remove_runs(tx, [row["id"] for row in rows], [], now)


def recompute(tx: Transaction, deployment: Row) -> None:
    """Set the next due time of all schedules of a deployment that was paused or resumed.

    Instants that were due before the pause are still handled. Instants during the pause are not missed
    instants: the scheduler does not catch them up.
    """
    now = clock.now_us()
    for row in rows_of(tx, deployment["id"]):
        next_due.owe(tx, row, now)
        tx.execute(
            "UPDATE deployment_schedules SET next_due = :due WHERE id = :id",
            {"due": due_after(row, deployment["paused"], now), "id": row["id"]},
        )


def stored_spec(given: BaseModel, now_us: int) -> dict[str, Any]:
    """The specification to store. An interval without an anchor counts from now."""
    spec = given.model_dump(mode="json")
    if "interval" in spec and not spec.get("anchor_date"):
        spec["anchor_date"] = clock.format_time(clock.from_us(now_us))
    return rules.to_spec(rules.parse(spec))


def busy_condition(run: str) -> str:
    """SQL that is true for a waiting run that must wait for an earlier run of its schedule.

    Args:
        run: the alias of `flow_runs` in the surrounding query.
    """
    return f"""EXISTS (
        SELECT 1 FROM deployment_schedules queueing JOIN flow_runs ahead ON ahead.schedule_id = queueing.id
        WHERE queueing.id = {run}.schedule_id AND queueing.overlap = 'queue'
        AND ahead.id <> {run}.id AND ahead.schedule_id IS NOT NULL AND ahead.state_type IN {OPEN_STATES}
        AND (ahead.state_type <> 'SCHEDULED' OR ahead.expected_start_time < {run}.expected_start_time
             OR (ahead.expected_start_time = {run}.expected_start_time AND ahead.id < {run}.id)))"""  # noqa: S608  # an alias


def schedule_is_busy(tx: Transaction, run: Row) -> bool:
    """Whether a waiting run must wait for an earlier run of its schedule (overlap `queue`)."""
    if run["schedule_id"] is None:
        return False
    sql = f"SELECT 1 FROM flow_runs run WHERE run.id = :id AND {busy_condition('run')}"  # noqa: S608  # ours
    return tx.value(sql, {"id": run["id"]}) is not None


@operation("GET", "/deployments/{deployment_id}/schedules")
def read_deployment_schedules(tx: Transaction, deployment_id: str) -> list[DeploymentSchedule]:
    """List the schedules of a deployment, oldest first."""
    _deployment(tx, deployment_id)
    return [to_model(row) for row in rows_of(tx, deployment_id)]


@operation("POST", "/deployments/{deployment_id}/schedules", status=201)
def create_deployment_schedules(
    tx: Transaction, deployment_id: str, body: list[DeploymentScheduleCreate]
) -> list[DeploymentSchedule]:
    """Create schedules of a deployment. They belong to the operator: a later deploy does not delete them.

    Raises:
        ScheduleError: all times of a schedule are past, so it would never fire.
        ParameterError: the parameters of a schedule do not match the flow.
    """
    deployment = _deployment(tx, deployment_id)
    now = clock.now()
    for item in body:
        spec = item.schedule.model_dump(mode="json")
        if over(spec, now):
            raise ScheduleError(f"{rules.describe(spec)} would never fire: all its times are past")
        _check_parameters(deployment, item.parameters)
    return [to_model(insert(tx, deployment, item, None)) for item in body]


@operation(
    "PATCH",
    "/deployments/{deployment_id}/schedules/{schedule_id}",
    status=204,
    prepare=next_due.prepare_deployment,
)
def update_deployment_schedule(
    tx: Transaction, deployment_id: str, schedule_id: str, body: DeploymentScheduleUpdate
) -> None:
    """Update a schedule. Only the given fields change.

    Raises:
        ParameterError: the parameters do not match the flow.
    """
    deployment = _deployment(tx, deployment_id)
    row = _schedule(tx, deployment_id, schedule_id)
    _check_parameters(deployment, body.parameters or {})
    change(tx, deployment, row, given_columns(body, row))


@operation(
    "DELETE",
    "/deployments/{deployment_id}/schedules/{schedule_id}",
    status=204,
    prepare=next_due.prepare_deployment,
)
def delete_deployment_schedule(tx: Transaction, deployment_id: str, schedule_id: str) -> None:
    """Delete a schedule and its future runs. Runs that are due already stay."""
    row = _schedule(tx, deployment_id, schedule_id)
    remove(tx, row)


@operation("GET", "/runyard/deployments/{deployment_id}/schedule_skips")
def read_schedule_skips(tx: Transaction, deployment_id: str, limit: int = 200) -> list[ScheduleSkip]:
    """List the instants of a deployment's schedules that created no run, newest first, with the reason.

    The list includes instants of deleted schedules.
    """
    _deployment(tx, deployment_id)
    rows = tx.all(
        "SELECT * FROM schedule_skips WHERE deployment_id = :id ORDER BY instant DESC LIMIT :limit",
        {"id": deployment_id, "limit": max(0, min(limit, 200))},
    )
    moments = ("instant", "until", "created")
    return [
        ScheduleSkip.model_validate(
            {**row, **{name: row[name] and clock.from_us(row[name]) for name in moments}}
        )
        for row in rows
    ]


def given_columns(body: DeploymentScheduleUpdate | DeploymentScheduleCreate, row: Row) -> dict[str, Any]:
    """The columns to set for the given fields of a body."""
    values: dict[str, Any] = {}
    for name in body.model_fields_set - {"replaces"}:
        value = getattr(body, name)
        if name == "schedule" and value is not None:
            values["spec"] = dump(_spec_beside(value, row))
        elif name in ("slug", "max_scheduled_runs"):
            values[name] = value
        elif value is not None and name == "active":
            values[name] = int(value)
        elif value is not None and name != "schedule":
            values[name] = dump(value) if name == "parameters" else value
    return values


def _spec_beside(given: BaseModel, row: Row) -> dict[str, Any]:
    """The specification to store in an existing row. If no anchor is given, the present anchor stays."""
    old = load(row["spec"], {})
    new = stored_spec(given, clock.now_us())
    unnamed = "anchor_date" in new and getattr(given, "anchor_date", None) is None
    return {**new, "anchor_date": old["anchor_date"]} if unnamed and "anchor_date" in old else new


def _refuse_taken_slug(tx: Transaction, deployment_id: str, slug: str | None, own_id: str | None) -> None:
    if slug is None:
        return
    found = tx.value(
        "SELECT id FROM deployment_schedules WHERE deployment_id = :id AND slug = :slug",
        {"id": deployment_id, "slug": slug},
    )
    if found is not None and found != own_id:
        raise Conflict(f"the deployment already has a schedule with the slug {slug!r}")


def _check_parameters(deployment: Row, parameters: dict[str, Any]) -> None:
    """Reject parameters that would fail each time the schedule fires."""
    if parameters and deployment["enforce_parameter_schema"]:
        schema = load(deployment["parameter_openapi_schema"])
        given = {**load(deployment["parameters"], {}), **parameters}
        parameter_rules.check(given, schema, f"deployment {deployment['name']!r}", complete=False)


def _deployment(tx: Transaction, deployment_id: str) -> Row:
    row = tx.one("SELECT * FROM deployments WHERE id = :id", {"id": deployment_id})
    if row is None:
        raise NotFound(f"deployment {deployment_id} not found; see: runyard deployment ls")
    return row


def _schedule(tx: Transaction, deployment_id: str, schedule_id: str) -> Row:
    row = tx.one(
        "SELECT * FROM deployment_schedules WHERE id = :id AND deployment_id = :deployment_id",
        {"id": schedule_id, "deployment_id": deployment_id},
    )
    if row is None:
        raise NotFound(f"schedule {schedule_id} not found; see: runyard schedule ls")
    return row
