"""What a project file may say: the shapes of a deployment, its schedules, limits and work pool.

The descriptions are those of the reference in the documentation and of the JSON schema for editors.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from runyard.operations.schemas import MOST_SECONDS

SCHEDULE_KINDS = ("cron", "interval", "rrule", "at")
# What a work pool's job variables are called; the second name is Prefect 2's.
JOB_VARIABLES = ("job_variables", "infra_overrides")
_TIMING = (*SCHEDULE_KINDS, "day_or", "anchor_date", "timezone")


def _as_list(value: Any) -> Any:
    """A plain text is one item, not its letters; lists within it, as anchors give them, are flattened."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list):
        return value
    return [one for item in value for one in (_as_list(item) if isinstance(item, list) else [item])]


def _as_limit(value: Any) -> Any:
    """A plain number is the limit itself."""
    return value if value is None or isinstance(value, dict | list) else {"limit": value}


def _said(description: str, **options: Any) -> Any:
    """A field that need not be said."""
    return Field(default=None, description=description, **options)


Steps = list[dict[str, Any]] | dict[str, Any] | None


class _Part(BaseModel):
    """A mapping of the file; its unknown keys are looked at where the file is read."""

    model_config = ConfigDict(
        extra="ignore", coerce_numbers_to_str=True, populate_by_name=True, defer_build=True
    )


class ScheduleSpec(_Part):
    """One schedule: exactly one of cron, interval, rrule and at, and how it behaves."""

    cron: str | None = _said("Due when the wall clock matches: minute hour day-of-month month day-of-week.")
    day_or: bool | None = _said("A day of the month and one of the week given: either is enough (true).")
    interval: float | str | None = _said(
        "Due every so many seconds; also HH:MM:SS, or an ISO 8601 duration such as PT90S."
    )
    anchor_date: str | None = _said("The moment from which intervals are counted; by default now.")
    rrule: str | None = _said("Due as a recurrence rule of RFC 5545 says.")
    at: str | None = _said("Due once, at this moment.")
    timezone: str | None = _said("IANA name of the time zone whose wall clock counts; by default UTC.")
    active: bool | None = _said("Whether it makes runs (true).")
    parameters: dict[str, Any] | None = _said("Parameters of its runs, laid over the deployment's.")
    slug: str | None = _said("Its own name: it stays the same schedule when everything else changes.")
    replaces: str | None = _said("The slug that it had before.")
    max_scheduled_runs: Annotated[int, Field(ge=1, le=50)] | None = _said(
        "Accepted for Prefect's sake; runs are made when they are due."
    )
    catchup: Literal["skip", "latest", "all"] | None = _said(
        "What becomes of instants missed while nothing ran (skip)."
    )
    catchup_limit: Annotated[int, Field(ge=1, le=1000)] | None = _said(
        "How many missed instants make runs at most, with all (100)."
    )
    overlap: Literal["allow", "skip", "queue", "replace"] | None = _said(
        "What becomes of a run that is due while the last one still runs (allow)."
    )

    def timing(self) -> dict[str, Any]:
        """The schedule itself, as the API shows it."""
        return {key: getattr(self, key) for key in _TIMING if getattr(self, key) is not None}

    def behaviour(self) -> dict[str, Any]:
        """What else was said about it."""
        return {
            key: value
            for key, value in self.model_dump(exclude_unset=True, exclude_none=True).items()
            if key not in _TIMING
        }


class ConcurrencySpec(_Part):
    """How many runs at once, and what becomes of a run beyond that."""

    limit: Annotated[int, Field(ge=0, description="How many of its runs at once.")]
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"] | None = _said(
        "A run beyond the limit waits, or is cancelled (ENQUEUE)."
    )
    grace_period_seconds: Annotated[int, Field(ge=0)] | None = _said(
        "How long a run that lost its process keeps its slot, in seconds."
    )


class WorkPoolSpec(_Part):
    """Where runs start."""

    name: str | None = _said("The work pool; by default the setting default_work_pool_name.")
    work_queue_name: str | None = _said("The pool's queue, made when it is missing (default).")
    job_variables: dict[str, Any] | None = _said("What the pool's base job template is filled in with.")
    infra_overrides: dict[str, Any] | None = _said("What Prefect 2 called job_variables.")

    def variables(self) -> dict[str, Any] | None:
        """The job variables, by either name; None where nothing was said."""
        if self.job_variables is None:
            return self.infra_overrides
        return {**(self.infra_overrides or {}), **self.job_variables}


class DeploymentSpec(_Part):
    """One deployment of the file. None means that it was not said."""

    name: str | None = _said("Its name, unique among its flow's; without / % & > <.")
    entrypoint: str | None = _said(
        "Where its flow is: path/file.py:function from the file's folder, or package.module.function."
    )
    flow_name: str | None = _said("Read by patterns such as flow/*; the flow's own name counts.")
    version: str | None = _said("Its version; by default the commit's, the flow's, or a hash of its file.")
    version_type: str | None = _said(
        "Where the version comes from: prefect:simple, or vcs:git, vcs:github, vcs:gitlab, vcs:bitbucket, "
        "vcs:azuredevops; by default found out."
    )
    description: str | None = _said("What it is for; by default the flow's description.")
    tags: Annotated[list[str] | None, BeforeValidator(_as_list)] = _said(
        "Tags of its runs; a plain text is one tag."
    )
    parameters: dict[str, Any] | None = _said("Parameters of its runs, checked against the flow's signature.")
    enforce_parameter_schema: bool | None = _said("Refuse runs with parameters that do not fit (true).")
    paused: bool | None = _said("Whether its schedules make no runs; not said: as it is.")
    concurrency_limit: Annotated[ConcurrencySpec | None, BeforeValidator(_as_limit)] = _said(
        "How many of its runs at once: a number, or a mapping."
    )
    schedule: ScheduleSpec | None = _said("Its only schedule; {} for none.")
    schedules: list[ScheduleSpec] | None = _said("Its schedules; one that leaves the list is removed.")
    is_schedule_active: bool | None = _said("Prefect 2's switch for all of them.")
    work_pool: WorkPoolSpec | None = _said("Where its runs start.")
    crash_retries: Annotated[int, Field(ge=0)] | None = _said(
        "How often a run whose process was lost starts again."
    )
    crash_retry_delay_seconds: Annotated[float, Field(ge=0, le=MOST_SECONDS)] | None = _said(
        "How long after a crash it starts again."
    )
    on_lost: Literal["crash", "retry", "resume"] | None = _said(
        "What becomes of a run that was lost with its worker: crash, retry from the start, or resume; "
        "by default as `crash_retries` says."
    )
    max_run_seconds: Annotated[float, Field(gt=0, le=MOST_SECONDS)] | None = _said(
        "How long an attempt may run; then it is stopped, and the run is TimedOut."
    )
    max_lateness_seconds: Annotated[float, Field(gt=0, le=MOST_SECONDS)] | None = _said(
        "How late a run may start; after that it is Skipped."
    )
    triggers: list[Any] | None = _said(
        "Events that make runs; checked and kept, and acted on once there are events."
    )
    sla: list[Any] | None = _said("A feature of Prefect Cloud; not read.")
    build: Steps = _said("Steps run by deploy on this machine; in place of the file's.")
    push: Steps = _said("Steps run by deploy after build; in place of the file's.")
    pull: Steps = _said("Steps run before every run, where it runs; in place of the file's.")

    def all_schedules(self) -> list[ScheduleSpec]:
        """The schedules, said in either form."""
        found = [self.schedule] if self.schedule and self.schedule.timing() else list(self.schedules or ())
        if self.is_schedule_active is not None:
            for item in found:
                if item.active is None:
                    item.active = self.is_schedule_active
        return found


class ProjectSpec(_Part):
    """A project file as a whole."""

    name: str | None = _said("The project's name; deployments remember which project declared them.")
    prefect_version: str | None = _said(
        "Accepted for Prefect's sake; any version is fine.", alias="prefect-version"
    )
    build: Steps = _said("Steps run by deploy on this machine, for deployments without their own.")
    push: Steps = _said("Steps run by deploy after build, for deployments without their own.")
    pull: Steps = _said("Steps run before every run, for deployments without their own.")
    deployments: list[DeploymentSpec] | None = _said("The deployments.")
    definitions: Any = _said("Not read: a place for anchors. Any other key at the top is one too.")


FIELD_NAMES = frozenset(
    name
    for part in (DeploymentSpec, ScheduleSpec, ConcurrencySpec, WorkPoolSpec)
    for name in part.model_fields
)
