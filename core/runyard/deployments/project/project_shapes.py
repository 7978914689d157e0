"""The models of a project file: deployments, schedules, concurrency limits and work pools.

The field descriptions appear in the documentation and in the JSON schema for editors.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from runyard.operations.schemas import MOST_SECONDS

SCHEDULE_KINDS = ("cron", "interval", "rrule", "at")
# The names of a work pool's job variables; the second is Prefect 2's.
JOB_VARIABLES = ("job_variables", "infra_overrides")
_TIMING = (*SCHEDULE_KINDS, "day_or", "anchor_date", "timezone")


def _as_list(value: Any) -> Any:
    """Convert a string to a list of one item, and flatten nested lists, which YAML anchors create."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return value
    return [one for item in value for one in (_as_list(item) if isinstance(item, list) else [item])]


def _as_limit(value: Any) -> Any:
    """Convert a number to a mapping with that limit."""
    return value if value is None or isinstance(value, dict | list) else {"limit": value}


def _optional(description: str, **options: Any) -> Any:
    """An optional field."""
    return Field(default=None, description=description, **options)


Steps = list[dict[str, Any]] | dict[str, Any] | None


class _Part(BaseModel):
    """A mapping of the file. `project_keys` checks its unknown keys."""

    model_config = ConfigDict(
        extra="ignore", coerce_numbers_to_str=True, populate_by_name=True, defer_build=True
    )


class ScheduleSpec(_Part):
    """One schedule: exactly one of cron, interval, rrule and at, and its policies."""

    cron: str | None = _optional(
        "Fires when the wall clock matches: minute hour day-of-month month day-of-week."
    )
    day_or: bool | None = _optional(
        "If a day of the month and a weekday are set: either must match (true), or both (false)."
    )
    interval: float | str | None = _optional(
        "Fires at this interval: seconds, 10m, 1h30m, HH:MM:SS, or ISO 8601 such as PT90S."
    )
    anchor_date: str | None = _optional("The moment from which intervals are counted; default: now.")
    rrule: str | None = _optional("Fires as this RFC 5545 recurrence rule says.")
    at: str | None = _optional("Fires once, at this moment.")
    timezone: str | None = _optional("IANA name of the time zone; default: UTC.")
    active: bool | None = _optional("Whether it creates runs (true).")
    parameters: dict[str, Any] | None = _optional("Parameters of its runs, merged over the deployment's.")
    slug: str | None = _optional("Identifies the schedule when everything else changes.")
    replaces: str | None = _optional("Its former slug.")
    max_scheduled_runs: Annotated[int, Field(ge=1, le=50)] | None = _optional(
        "Accepted for compatibility with Prefect, without effect."
    )
    catchup: Literal["skip", "latest", "all"] | None = _optional(
        "What happens to times that were missed while no worker or server ran (skip)."
    )
    catchup_limit: Annotated[int, Field(ge=1, le=1000)] | None = _optional(
        "With catchup: all, the maximum number of runs for missed times (100)."
    )
    overlap: Literal["allow", "skip", "queue", "replace"] | None = _optional(
        "What happens to a run that is due while the last one still runs (allow)."
    )

    def timing(self) -> dict[str, Any]:
        """The times of the schedule, in the form of the API."""
        return {key: getattr(self, key) for key in _TIMING if getattr(self, key) is not None}

    def behaviour(self) -> dict[str, Any]:
        """The other fields that are set."""
        return {
            key: value
            for key, value in self.model_dump(exclude_unset=True, exclude_none=True).items()
            if key not in _TIMING
        }


class ConcurrencySpec(_Part):
    """How many runs may execute at once, and what happens to a run beyond the limit."""

    limit: Annotated[int, Field(ge=0, description="How many of its runs may execute at once.")]
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] | None = _optional(
        "Whether a run beyond the limit waits or is cancelled (ENQUEUE)."
    )
    grace_period_seconds: Annotated[int, Field(ge=0)] | None = _optional(
        "How many seconds a run keeps its slot after its process was lost."
    )


class WorkPoolSpec(_Part):
    """The work pool of a deployment."""

    name: str | None = _optional("The work pool; default: the setting default_work_pool_name.")
    work_queue_name: str | None = _optional("The pool's queue, created if it does not exist (default).")
    job_variables: dict[str, Any] | None = _optional("Values for the pool's base job template.")
    infra_overrides: dict[str, Any] | None = _optional("Prefect 2's name of job_variables.")

    def variables(self) -> dict[str, Any] | None:
        """The job variables, under either name; None if not set."""
        if self.job_variables is None:
            return self.infra_overrides
        return {**(self.infra_overrides or {}), **self.job_variables}


class DeploymentSpec(_Part):
    """One deployment of the file. None means: not set."""

    name: str | None = _optional("Its name, unique for its flow; without / % & > <.")
    entrypoint: str | None = _optional(
        "Its flow: path/file.py:function relative to the file's folder, or package.module.function."
    )
    flow_name: str | None = _optional("Used only by patterns such as flow/*; the flow's own name applies.")
    version: str | None = _optional("Its version; default: the commit's, the flow's, or a hash of its file.")
    version_type: str | None = _optional(
        "Where the version comes from: prefect:simple, vcs:git, vcs:github, vcs:gitlab, vcs:bitbucket or "
        "vcs:azuredevops; default: detected."
    )
    description: str | None = _optional("Its description; default: the flow's.")
    tags: Annotated[list[str] | None, BeforeValidator(_as_list)] = _optional(
        "Tags of its runs; a text is one tag."
    )
    parameters: dict[str, Any] | None = _optional(
        "Parameters of its runs, checked against the flow's signature."
    )
    enforce_parameter_schema: bool | None = _optional("Refuse runs with invalid parameters (true).")
    paused: bool | None = _optional("Whether its schedules are paused; not set: unchanged.")
    concurrency_limit: Annotated[ConcurrencySpec | None, BeforeValidator(_as_limit)] = _optional(
        "How many of its runs may execute at once: a number, or a mapping."
    )
    schedule: ScheduleSpec | None = _optional("Its only schedule; {}: none.")
    schedules: list[ScheduleSpec] | None = _optional(
        "Its schedules; a schedule that you remove from the list is deleted."
    )
    is_schedule_active: bool | None = _optional("Prefect 2's key: whether all its schedules are active.")
    work_pool: WorkPoolSpec | None = _optional("The work pool in which its runs start.")
    crash_retries: Annotated[int, Field(ge=0)] | None = _optional(
        "How often a run starts again after its process was lost."
    )
    crash_retry_delay_seconds: Annotated[float, Field(ge=0, le=MOST_SECONDS)] | None = _optional(
        "Delay before it starts again after a crash."
    )
    on_lost: Literal["crash", "retry", "resume"] | None = _optional(
        "What happens to a run that was lost with its worker: crash, retry from the beginning, or resume; "
        "default: as `crash_retries` says."
    )
    max_run_seconds: Annotated[float, Field(gt=0, le=MOST_SECONDS)] | None = _optional(
        "Time limit of an attempt; then it is stopped, and the run is TimedOut."
    )
    max_lateness_seconds: Annotated[float, Field(gt=0, le=MOST_SECONDS)] | None = _optional(
        "How late a run may start; later it is Skipped."
    )
    triggers: list[Any] | None = _optional(
        "Events that create runs; checked and stored, without effect until Runyard has events."
    )
    sla: list[Any] | None = _optional("A feature of Prefect Cloud; ignored.")
    build: Steps = _optional("Steps that deploy runs on this machine, instead of the file's.")
    push: Steps = _optional("Steps that deploy runs after build, instead of the file's.")
    pull: Steps = _optional("Steps that run before every flow run, on its machine, instead of the file's.")

    def all_schedules(self) -> list[ScheduleSpec]:
        """The schedules from `schedule` or `schedules`."""
        found = [self.schedule] if self.schedule and self.schedule.timing() else list(self.schedules or ())
        if self.is_schedule_active is not None:
            for item in found:
                if item.active is None:
                    item.active = self.is_schedule_active
        return found


class ProjectSpec(_Part):
    """The whole project file."""

    name: str | None = _optional("The project's name, stored with its deployments.")
    prefect_version: str | None = _optional(
        "Accepted for compatibility with Prefect, without effect.", alias="prefect-version"
    )
    build: Steps = _optional("Steps that deploy runs on this machine, for deployments without their own.")
    push: Steps = _optional("Steps that deploy runs after build, for deployments without their own.")
    pull: Steps = _optional("Steps that run before every flow run, for deployments without their own.")
    deployments: list[DeploymentSpec] | None = _optional("The deployments.")
    definitions: Any = _optional(
        "Ignored: a place for YAML anchors. Other unknown keys at the top are ignored too."
    )


FIELD_NAMES = frozenset(
    name
    for part in (DeploymentSpec, ScheduleSpec, ConcurrencySpec, WorkPoolSpec)
    for name in part.model_fields
)
