"""Backfills: runs for past instants of a schedule. Repeated requests create the run of an instant once."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.domain import states
from runyard.domain.states import CRASHED, FAILED
from runyard.operations.deployments.deployment_rows import deployment_row
from runyard.operations.flow_runs.insert_deployment_runs import check_parameters, insert_deployment_run
from runyard.operations.operation import operation
from runyard.operations.scheduler.schedule_firing import run_key
from runyard.operations.schedules.schedules import rows_of
from runyard.operations.schemas import Input, Model, Time, load
from runyard.store.database import Row, Transaction

MOST_RUNS = 500
"""The most runs that one call creates, so that its transaction stays short."""


class BackfillRun(Input):
    """An instant of a schedule to create a run for. `parameters` override all other parameters."""

    schedule_id: str
    instant: Time
    parameters: dict[str, Any] = Field(default_factory=dict)


class Backfill(Input):
    """Runs to create, in the order in which they should start.

    Args:
        redo_failed: also create a new run for an instant whose run is Failed or Crashed.
        dry_run: change nothing, only return which runs would be created.
    """

    runs: list[BackfillRun] = Field(max_length=MOST_RUNS)
    tags: list[str] = Field(default_factory=list)
    job_variables: dict[str, Any] | None = None
    redo_failed: bool = False
    dry_run: bool = False


class BackfilledRun(Model):
    """The result for one instant: its run, and whether this call created it.

    `redone` is the failed run that the new run replaces. `flow_run_id` is null in a dry run if the instant
    has no run yet.
    """

    schedule_id: str
    instant: Time
    flow_run_id: str | None
    created: bool
    redone: str | None = None


@operation("POST", "/runyard/deployments/{deployment_id}/backfill")
def backfill_deployment(tx: Transaction, deployment_id: str, body: Backfill) -> list[BackfilledRun]:
    """Create a run for each instant that has no run yet, neither by the scheduler nor by an earlier backfill.

    The expected start time of a run is its instant. The run may start at once, after all runs that already
    wait. It does not belong to the schedule: overlap policies count only the runs of the scheduler.

    Raises:
        NotFound: the deployment or the schedule is not found.
        ParameterError: the parameters do not match the flow.
    """
    deployment = deployment_row(tx, deployment_id)
    rows = {row["id"]: row for row in rows_of(tx, deployment_id)}
    for wanted in body.runs:
        if wanted.schedule_id not in rows:
            raise NotFound(
                f"the deployment has no schedule {wanted.schedule_id}; see `runyard deployment schedule ls`"
            )
    keys = [run_key(deployment_id, wanted.schedule_id, wanted.instant) for wanted in body.runs]
    present = _present(tx, deployment["flow_id"], keys)
    made: list[BackfilledRun] = []
    for position, (wanted, key) in enumerate(zip(body.runs, keys, strict=True)):
        schedule = rows[wanted.schedule_id]
        parameters = {
            **load(deployment["parameters"], {}), **load(schedule["parameters"], {}), **wanted.parameters,
        }  # fmt: skip
        check_parameters(deployment, parameters, None)
        old = present.get(key)
        failed = (
            old if old is not None and body.redo_failed and old["state_type"] in (FAILED, CRASHED) else None
        )
        run_id, created = (old["id"] if old else None), old is None or failed is not None
        if created and not body.dry_run:
            if failed is not None:
                _give_up_key(tx, failed["id"], key)
            run_id, created = _insert(tx, deployment, schedule, wanted, parameters, key, body, position)
        redone = failed["id"] if failed is not None and created else None
        made.append(
            BackfilledRun(
                schedule_id=schedule["id"],
                instant=wanted.instant,
                flow_run_id=run_id,
                created=created,
                redone=redone,
            )
        )
    return made


def _present(tx: Transaction, flow_id: str, keys: list[str]) -> dict[str, Row]:
    """Read the runs that have one of the keys, by key."""
    if not keys:
        return {}
    names = {f"key{index}": key for index, key in enumerate(keys)}
    marks = ", ".join(f":{name}" for name in names)
    found = tx.all(
        "SELECT id, state_type, idempotency_key FROM flow_runs "  # noqa: S608  # only :names
        f"WHERE flow_id = :flow_id AND idempotency_key IN ({marks})",
        {**names, "flow_id": flow_id},
    )
    return {row["idempotency_key"]: row for row in found}


def _give_up_key(tx: Transaction, run_id: str, key: str) -> None:
    """Free the key of a failed run, so that another run can have it. The failed run stays."""
    tx.execute(
        "UPDATE flow_runs SET idempotency_key = :other WHERE id = :id",
        {"other": f"{key} redone {run_id}", "id": run_id},
    )


def _insert(
    tx: Transaction,
    deployment: Row,
    schedule: Row,
    wanted: BackfillRun,
    parameters: dict[str, Any],
    key: str,
    body: Backfill,
    position: int,
) -> tuple[str, bool]:
    return insert_deployment_run(
        tx,
        deployment,
        states.Scheduled(wanted.instant),
        parameters=parameters,
        tags=[*body.tags, "backfill"],
        idempotency_key=key,
        created_by={"id": schedule["id"], "type": "BACKFILL", "display_value": schedule["slug"]},
        # In the given order, after the runs that already wait.
        next_scheduled_start_time=clock.now_us() + position,
        **({} if body.job_variables is None else {"job_variables": body.job_variables}),
    )
