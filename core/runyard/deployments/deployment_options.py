"""The options of `flow.deploy`, `flow.serve` and similar functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from runyard.base.errors import InvalidInput
from runyard.deployments.project import version_info
from runyard.engine import option_checks

if TYPE_CHECKING:
    from runyard.deployments.docker_images import DockerImage
    from runyard.deployments.entrypoint_type import EntrypointType

_TIMINGS = ("cron", "interval", "rrule")
_TIMING_OPTIONS = ("timezone", "anchor_date", "day_or")
_BEHAVIOUR = ("active", "parameters", "slug", "max_scheduled_runs", "catchup", "catchup_limit", "overlap")
_Interval = int | float | timedelta


class ConcurrencyLimit(TypedDict, total=False):
    """A deployment's limit, and what happens to a run beyond it."""

    limit: int
    collision_strategy: Literal["ENQUEUE", "CANCEL_NEW"]
    grace_period_seconds: int


class CommonOptions(TypedDict, total=False):
    """Options of a deployment; an option that is not set keeps its stored value.

    Args:
        interval, cron, rrule: the times of its schedules, each one value or a list; intervals in seconds.
        schedule, schedules: the same as `Cron(...)`, `Interval(...)`, `RRule(...)` or mappings.
        paused: whether its schedules are paused.
        parameters: of its runs, by name.
        concurrency_limit: how many of its runs may execute at once.
        triggers: the events that create runs, as in `prefect.yaml`.
        description, tags, version: shown with it.
        version_type: the source of the version, such as `vcs:git`.
        enforce_parameter_schema: refuse invalid parameters.
        work_queue_name: a queue of its pool.
        job_variables: merged over the pool's.
        entrypoint_type: whether runs find the flow by its file or by its module.
        _sla: accepted for compatibility.
    """

    interval: _Interval | Iterable[_Interval] | None
    cron: str | Iterable[str] | None
    rrule: str | Iterable[str] | None
    schedule: Any
    schedules: Sequence[Any] | None
    paused: bool | None
    parameters: dict[str, Any] | None
    concurrency_limit: int | ConcurrencyLimit | Any
    triggers: Sequence[Any] | None
    description: str | None
    tags: list[str] | None
    version: str | None
    version_type: str | None
    enforce_parameter_schema: bool
    work_queue_name: str | None
    job_variables: dict[str, Any] | None
    entrypoint_type: EntrypointType
    _sla: Any


class DeploymentOptions(CommonOptions, total=False):
    """Options of `flow.to_deployment`.

    Args:
        work_pool_name: the pool whose workers start its runs.
    """

    work_pool_name: str | None


class DeployOptions(CommonOptions, total=False):
    """Options of `flow.deploy`: of the deployment, and of its image.

    Args:
        image: for pools of containers: a name, or a `DockerImage`.
        build, push: whether the image is built and pushed first (true).
        print_next_steps: print how to start a worker and a run (true).
        ignore_warnings: accepted for compatibility.
    """

    image: str | DockerImage | None
    build: bool
    push: bool
    print_next_steps: bool
    ignore_warnings: bool


class ServeOptions(CommonOptions, total=False):
    """Options of `flow.serve`: of the deployment, and of the process that serves it.

    Args:
        global_limit: how many runs of the deployment may execute at once, anywhere.
        limit: how many runs this process executes at once.
        pause_on_shutdown: pause its schedules at the end (true).
        print_starting_message: print what is served (true).
        webserver: answer GET /health over HTTP.
    """

    global_limit: int | ConcurrencyLimit | Any
    limit: int | None
    pause_on_shutdown: bool
    print_starting_message: bool
    webserver: bool


def fields_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as fields of a `RunnerDeployment`.

    Raises:
        InvalidInput: one is unknown, or they contradict each other.
    """
    given = dict(options)
    schedules = _schedules(given)
    for name in ("_sla", "ignore_warnings"):
        given.pop(name, None)
    limit = given.pop("concurrency_limit", None)
    fields = {name: given.pop(name) for name in _PLAIN if given.get(name) is not None}
    for name in _PLAIN:
        given.pop(name, None)
    if given:
        raise InvalidInput(f"unknown option of a deployment: {', '.join(sorted(given))}")
    fields["schedules"] = schedules
    if "version" in fields:
        fields["version"] = option_checks.version(fields["version"])
    if isinstance(fields.get("tags"), str):
        fields["tags"] = [fields["tags"]]
    if fields.get("triggers"):
        fields["triggers"] = _triggers(fields["triggers"])
    kind = fields.get("version_type")
    if kind is not None and kind not in version_info.TYPES:
        raise InvalidInput(f"version_type={kind!r} is unknown; valid are {', '.join(version_info.TYPES)}")
    if limit is not None:
        fields.update(_limit(limit))
    return fields


_PLAIN = (
    "paused", "parameters", "triggers", "description", "tags", "version", "enforce_parameter_schema",
    "work_pool_name", "work_queue_name", "job_variables", "version_type",
)  # fmt: skip


def _triggers(triggers: Iterable[Any]) -> list[dict[str, Any]]:
    """Triggers as mappings; also converts Prefect's objects."""
    from pydantic import BaseModel, ValidationError

    # Few deployments have triggers (12 ms).
    from runyard.deployments.triggers import check_triggers

    told = [
        each.model_dump(exclude_unset=True, mode="json") if isinstance(each, BaseModel) else each
        for each in triggers
    ]
    try:
        return check_triggers(told)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidInput(f"triggers: {where}: {first['msg']}") from None


def _limit(limit: Any) -> dict[str, Any]:
    """A limit as a number, or as a mapping or an object with `limit` and `collision_strategy`."""
    if isinstance(limit, int):
        return {"concurrency_limit": limit}
    told = dict(limit) if isinstance(limit, dict) else {
        name: getattr(limit, name, None) for name in ("limit", "collision_strategy", "grace_period_seconds")
    }  # fmt: skip
    number = told.pop("limit", None)
    told = {key: getattr(value, "value", value) for key, value in told.items() if value is not None}
    return {"concurrency_limit": number, "concurrency_options": told or None}


def _schedules(given: dict[str, Any]) -> list[dict[str, Any]]:
    """Remove all schedule options from the options, and return them as schedules."""
    single, several = given.pop("schedule", None), given.pop("schedules", None)
    timings = {name: given.pop(name, None) for name in _TIMINGS}
    said = [name for name, value in timings.items() if value is not None]
    ways = [*said, *(["schedule"] if single is not None else []), *(["schedules"] if several else [])]
    if len(ways) > 1:
        raise InvalidInput(f"set a deployment's schedules with one option, not with {' and '.join(ways)}")
    found: list[Any] = list(several or ())
    if single is not None:
        found.append(single)
    for name in said:
        value = timings[name]
        each = [value] if isinstance(value, (str, int, float, timedelta)) else list(value)
        found.extend({name: one} for one in each)
    return [schedule_of(one) for one in found]


def schedule_of(value: Any) -> dict[str, Any]:
    """One schedule, of any form, in the form of the API.

    Raises:
        InvalidInput: it has no times.
    """
    if isinstance(value, dict):
        told = dict(value)
    else:
        names = (*_TIMINGS, *_TIMING_OPTIONS, *_BEHAVIOUR, "schedule")
        told = {name: getattr(value, name) for name in names if getattr(value, name, None) is not None}
    behaviour = {name: told.pop(name) for name in _BEHAVIOUR if told.get(name) is not None}
    inner = told.pop("schedule", None)
    timing = schedule_of(inner)["schedule"] if inner is not None else told
    timing = {key: _plain(item) for key, item in timing.items() if item is not None}
    if "cron" not in timing:
        timing.pop("day_or", None)
    if not timing:
        raise InvalidInput(f"invalid schedule {value!r}; use Cron(...), Interval(...) or RRule(...)")
    return {"schedule": timing, **behaviour}


def _plain(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.astimezone()
    return value
