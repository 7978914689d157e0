"""Backfills: runs for instants of a schedule that passed, each made once however often it is asked for."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard import clock, states
from runyard.errors import NotFound
from runyard.operations import run_inserts
from runyard.operations.base import operation
from runyard.operations.deployment_rows import deployment_row
from runyard.operations.schedule_firing import run_key
from runyard.operations.schedules import rows_of
from runyard.operations.schemas import Input, Model, Time, load
from runyard.store.database import Transaction

MOST_RUNS = 500
"""How many runs one call makes at most, so that its transaction stays short."""


class BackfillRun(Input):
    """An instant of a schedule to make a run for, and parameters laid over all others."""

    schedule_id: str
    instant: Time
    parameters: dict[str, Any] = Field(default_factory=dict)


class Backfill(Input):
    """Runs to make, in the order in which they are to start.

    Args:
        dry_run: change nothing, only tell which exist.
    """

    runs: list[BackfillRun] = Field(max_length=MOST_RUNS)
    tags: list[str] = Field(default_factory=list)
    job_variables: dict[str, Any] | None = None
    dry_run: bool = False


class BackfilledRun(Model):
    """What became of one instant: its run, and whether that is new. Of a dry run the id means nothing."""

    schedule_id: str
    instant: Time
    flow_run_id: str
    created: bool


@operation("POST", "/runyard/deployments/{deployment_id}/backfill")
def backfill_deployment(tx: Transaction, deployment_id: str, body: Backfill) -> list[BackfilledRun]:
    """Make a run for each instant that has none yet, be it of the scheduler or of an earlier backfill.

    A run is expected at its instant and may start at once, behind everything that waits already. It does
    not belong to the schedule: an overlap policy looks at what the scheduler makes, not at the past.

    Raises:
        NotFound: no such deployment, or it has no such schedule.
        ParameterError: the parameters do not fit the flow.
    """
    deployment = deployment_row(tx, deployment_id)
    rows = {row["id"]: row for row in rows_of(tx, deployment_id)}
    now = clock.now_us()
    made: list[BackfilledRun] = []
    for position, wanted in enumerate(body.runs):
        schedule = rows.get(wanted.schedule_id)
        if schedule is None:
            raise NotFound(
                f"the deployment has no schedule {wanted.schedule_id}; see `runyard deployment schedule ls`"
            )
        parameters = {
            **load(deployment["parameters"], {}), **load(schedule["parameters"], {}), **wanted.parameters,
        }  # fmt: skip
        run_inserts.check_parameters(deployment, parameters, None)
        run_id, created = run_inserts.insert_run(
            tx,
            deployment,
            states.Scheduled(wanted.instant),
            parameters=parameters,
            tags=[*body.tags, "backfill"],
            idempotency_key=run_key(deployment_id, schedule["id"], wanted.instant),
            created_by={"id": schedule["id"], "type": "BACKFILL", "display_value": schedule["slug"]},
            # In the order given, and behind what waits already.
            next_scheduled_start_time=now + position,
            **({} if body.job_variables is None else {"job_variables": body.job_variables}),
        )
        made.append(
            BackfilledRun(
                schedule_id=schedule["id"], instant=wanted.instant, flow_run_id=run_id, created=created
            )
        )
    tx.kept = not body.dry_run
    return made
