"""What a project file may say: the shapes of a deployment, its schedules, limits and work pool."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

SCHEDULE_KINDS = ("cron", "interval", "rrule", "at")
# What a work pool's job variables are called; the second name is Prefect 2's.
JOB_VARIABLES = ("job_variables", "infra_overrides")


def _as_list(value: Any) -> Any:
    """A plain text is one item, not its letters."""
    return [value] if isinstance(value, str) else value


def _as_limit(value: Any) -> Any:
    """A plain number is the limit itself."""
    return value if value is None or isinstance(value, dict | list) else {"limit": value}


class _Part(BaseModel):
    """A mapping of the file; its unknown keys are looked at where the file is read."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)


class ScheduleSpec(_Part):
    """One schedule: exactly one of cron, interval, rrule and at, and how it behaves."""

    cron: str | None = None
    day_or: bool | None = None
    interval: float | str | None = None
    anchor_date: str | None = None
    rrule: str | None = None
    at: str | None = None
    timezone: str | None = None
    active: bool | None = None
    parameters: dict[str, Any] | None = None
    slug: str | None = None
    replaces: str | None = None
    max_scheduled_runs: Annotated[int, Field(ge=1, le=50)] | None = None
    catchup: Literal["skip", "latest", "all"] | None = None
    catchup_limit: Annotated[int, Field(ge=1, le=1000)] | None = None
    overlap: Literal["allow", "skip", "queue", "replace"] | None = None

    def timing(self) -> dict[str, Any]:
        """The schedule itself, as the API shows it."""
        keys = (*SCHEDULE_KINDS, "day_or", "anchor_date", "timezone")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}

    def behaviour(self) -> dict[str, Any]:
        """What else was said about it."""
        return {
            key: value
            for key, value in self.model_dump(exclude_unset=True, exclude_none=True).items()
            if key not in (*SCHEDULE_KINDS, "day_or", "anchor_date", "timezone")
        }


class ConcurrencySpec(_Part):
    """How many runs at once, and what becomes of a run beyond that."""

    limit: Annotated[int, Field(ge=0)]
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] | None = None
    grace_period_seconds: Annotated[int, Field(ge=0)] | None = None


class WorkPoolSpec(_Part):
    """Where runs start."""

    name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] | None = None
    infra_overrides: dict[str, Any] | None = None  # what Prefect 2 called them

    def variables(self) -> dict[str, Any] | None:
        """The job variables, by either name; None where nothing was said."""
        if self.job_variables is None:
            return self.infra_overrides
        return {**(self.infra_overrides or {}), **self.job_variables}


class DeploymentSpec(_Part):
    """One deployment of the file. None means that it was not said."""

    name: str | None = None
    entrypoint: str | None = None
    flow_name: str | None = None
    version: str | None = None
    version_type: str | None = None
    description: str | None = None
    tags: Annotated[list[str] | None, BeforeValidator(_as_list)] = None
    parameters: dict[str, Any] | None = None
    enforce_parameter_schema: bool | None = None
    paused: bool | None = None
    concurrency_limit: Annotated[ConcurrencySpec | None, BeforeValidator(_as_limit)] = None
    schedule: ScheduleSpec | None = None
    schedules: list[ScheduleSpec] | None = None
    is_schedule_active: bool | None = None  # Prefect 2's switch for all of them
    work_pool: WorkPoolSpec | None = None
    crash_retries: Annotated[int, Field(ge=0)] | None = None
    triggers: list[Any] | None = None
    sla: list[Any] | None = None
    build: list[Any] | None = None
    push: list[Any] | None = None
    pull: list[Any] | None = None

    def all_schedules(self) -> list[ScheduleSpec]:
        """The schedules, said in either form."""
        found = [self.schedule] if self.schedule and self.schedule.timing() else list(self.schedules or ())
        if self.is_schedule_active is not None:
            for item in found:
                if item.active is None:
                    item.active = self.is_schedule_active
        return found


FIELD_NAMES = frozenset(
    name
    for part in (DeploymentSpec, ScheduleSpec, ConcurrencySpec, WorkPoolSpec)
    for name in part.model_fields
)
