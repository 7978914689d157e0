"""Creates the runs of a deployment's schedules ahead of their time, or for a time that has passed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import Field

from runyard.base import clock
from runyard.domain.schedules import instants as rules
from runyard.operations.deployments.deployment_rows import deployment_row
from runyard.operations.operation import operation
from runyard.operations.scheduler.schedule_firing import create_run
from runyard.operations.schedules.schedules import rows_of
from runyard.operations.schemas import MOST_SECONDS, Input, Time, load
from runyard.store.database import Row, Transaction

_MOST_RUNS = 500
_LATEST = datetime.max.replace(tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class ScheduleAhead(Input):
    """From when until when, and how many runs of each schedule, to create.

    Runs begin at `start_time` (default: now). They end when there are `min_runs` (3) and one is later than
    `min_time` (an hour, in seconds) after the start; or there are `max_runs` (100; at most 500); or at
    `end_time` (100 days after the start).
    """

    start_time: Time | None = None
    end_time: Time | None = None
    min_time: float | None = Field(default=None, ge=0, le=MOST_SECONDS)
    min_runs: int | None = Field(default=None, ge=0)
    max_runs: int | None = Field(default=None, ge=0, le=_MOST_RUNS)


def _prepare(tx: Transaction, deployment_id: str, body: ScheduleAhead) -> dict[str, list[datetime]]:
    """Find the instants by specification: a rule may take long, and other writers must not wait for that."""
    now = clock.now()
    return {row["spec"]: _instants(row, body, now) for row in _active(tx, deployment_id)}


@operation("POST", "/deployments/{deployment_id}/schedule", prepare=_prepare)
def schedule_deployment(tx: Transaction, deployment_id: str, body: ScheduleAhead) -> None:
    """Create the runs of the active schedules of a deployment for a time range. Each instant has one run.

    Raises:
        NotFound: the deployment is not found.
        ParameterError: the parameters of the deployment do not match its flow.
        ScheduleError: a schedule takes too long to compute.
    """
    deployment = deployment_row(tx, deployment_id)
    known: dict[str, list[datetime]] = tx.prepared or {}
    for row in _active(tx, deployment_id):
        found = known[row["spec"]] if row["spec"] in known else _instants(row, body, clock.now())
        for instant in found:
            create_run(tx, row, deployment, clock.to_us(instant))


def _active(tx: Transaction, deployment_id: str) -> list[Row]:
    return [row for row in rows_of(tx, deployment_id) if row["active"]]


def _instants(row: Row, body: ScheduleAhead, now: datetime) -> list[datetime]:
    start = body.start_time or now
    end = body.end_time or _later(start, timedelta(days=100))
    least = 3 if body.min_runs is None else body.min_runs
    most = 100 if body.max_runs is None else body.max_runs
    until = _later(start, timedelta(hours=1) if body.min_time is None else timedelta(seconds=body.min_time))
    found: list[datetime] = []
    if not most:
        return found
    for instant in rules.between(load(row["spec"], {}), start, _later(end, _TICK)):
        found.append(instant)
        if len(found) >= most or (len(found) >= least and instant >= until):
            break
    return found


def _later(moment: datetime, span: timedelta) -> datetime:
    return moment + span if moment < _LATEST - span else _LATEST
