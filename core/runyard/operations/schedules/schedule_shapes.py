"""The models of schedules: to create, to update, to show, and the instants that were skipped."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field

from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.domain.schedules import instants as rules
from runyard.operations.schemas import Input, Model, Time

Catchup = Literal["skip", "latest", "all"]
Overlap = Literal["allow", "skip", "queue", "replace"]


class CronSchedule(Input):
    """Due at the wall-clock times that a cron expression matches."""

    cron: str
    timezone: str | None = None
    day_or: bool = True


class IntervalSchedule(Input):
    """Due every `interval` seconds, counted from `anchor_date`."""

    interval: float
    anchor_date: Time | None = None
    timezone: str | None = None


class RRuleSchedule(Input):
    """Due at the times of an RFC 5545 recurrence rule."""

    rrule: str
    timezone: str | None = "UTC"


class OneOffSchedule(Input):
    """Due once."""

    at: Time


def _checked(value: Any) -> Any:
    """Validate a schedule, and return it with durations and rules in their full form."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_none=True)
    if not isinstance(value, dict):
        raise InvalidInput(f"a schedule is a mapping with cron, interval, rrule or at, not {value!r}")
    schedule = rules.parse(value)
    # Computed here, before the transaction that stores the schedule. The result is cached.
    rules.next_instant(schedule, clock.now())
    spec = rules.to_spec(schedule)
    if value.get("anchor_date") is None:
        spec.pop("anchor_date", None)
    return spec


AnySchedule = Annotated[
    CronSchedule | IntervalSchedule | RRuleSchedule | OneOffSchedule, BeforeValidator(_checked)
]


class DeploymentSchedule(Model):
    """A schedule of a deployment. `next_due` is null if the schedule never fires again, or is paused."""

    id: str
    created: Time
    updated: Time
    deployment_id: str | None = None
    schedule: CronSchedule | IntervalSchedule | RRuleSchedule | OneOffSchedule
    active: bool = True
    max_scheduled_runs: int | None = None
    parameters: dict[str, Any] = Field(default_factory=dict)
    slug: str | None = None
    catchup: Catchup = "skip"
    catchup_limit: int = 100
    overlap: Overlap = "allow"
    owner: str | None = None
    next_due: Time | None = None
    last_fired: Time | None = None


class DeploymentScheduleCreate(Input):
    """A schedule to create. `replaces` is the former slug of a schedule that is renamed."""

    schedule: AnySchedule
    active: bool = True
    max_scheduled_runs: int | None = Field(default=None, ge=1)
    parameters: dict[str, Any] = Field(default_factory=dict)
    slug: str | None = None
    replaces: str | None = None
    catchup: Catchup = "skip"
    catchup_limit: int = Field(default=100, ge=1, le=1000)
    overlap: Overlap = "allow"


class DeploymentScheduleUpdate(Input):
    """Changes to a schedule. Only the given fields change."""

    schedule: AnySchedule | None = None
    active: bool | None = None
    max_scheduled_runs: int | None = Field(default=None, ge=1)
    parameters: dict[str, Any] | None = None
    slug: str | None = None
    replaces: str | None = None
    catchup: Catchup | None = None
    catchup_limit: int | None = Field(default=None, ge=1, le=1000)
    overlap: Overlap | None = None


class ScheduleSkip(Model):
    """Instants of a schedule that created no run: one instant, or `count` instants up to `until`."""

    schedule_id: str
    slug: str | None = None
    instant: Time
    until: Time | None = None
    count: int = 1
    reason: str
    created: Time
