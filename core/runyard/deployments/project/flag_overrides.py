"""The command line's options of a deployment, merged over the file's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runyard import settings
from runyard.base.errors import InvalidInput
from runyard.deployments.project.project_shapes import DeploymentSpec

# The options that replace the file's value of the same key.
_REPLACED = (
    "entrypoint", "description", "version", "version_type", "enforce_parameter_schema", "paused",
    "crash_retries", "triggers",
)  # fmt: skip


@dataclass(frozen=True)
class Overrides:
    """The command line's options of one deployment; they override the file. None: not set.

    Args:
        entrypoint: `path/file.py:function`, relative to the project's folder.
        schedules: more schedules, such as `{"cron": "0 6 * * *"}`, added to the file's.
        timezone: for every schedule, also the file's.
        anchor_date: for every interval schedule, also the file's.
        parameters: merged over the file's.
        job_variables: merged over the file's.
        tags: instead of the file's.
        triggers: instead of the file's.
    """

    entrypoint: str | None = None
    description: str | None = None
    version: str | None = None
    version_type: str | None = None
    tags: Sequence[str] | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    work_pool_name: str | None = None
    work_queue_name: str | None = None
    job_variables: dict[str, Any] = field(default_factory=dict)
    concurrency_limit: int | None = None
    collision_strategy: str | None = None
    enforce_parameter_schema: bool | None = None
    paused: bool | None = None
    crash_retries: int | None = None
    schedules: Sequence[dict[str, Any]] = ()
    timezone: str | None = None
    anchor_date: str | None = None
    triggers: Sequence[Any] | None = None

    def given(self) -> list[str]:
        """The names of the options that are set."""
        return [name for name, value in vars(self).items() if value not in (None, {}, ()) and value != []]


def lay_over(raw: dict[str, Any], spec: DeploymentSpec, overrides: Overrides) -> dict[str, Any]:
    """A copy of a deployment's mapping with the options merged over it.

    Args:
        raw: the mapping of the file.
        spec: the same, checked.

    Raises:
        InvalidInput: the options exclude each other.
    """
    raw = dict(raw)
    for key in _REPLACED:
        if getattr(overrides, key) is not None:
            raw[key] = getattr(overrides, key)
    if overrides.tags is not None:
        raw["tags"] = list(overrides.tags)
    if overrides.parameters:
        raw["parameters"] = {**(raw.get("parameters") or {}), **overrides.parameters}
    _lay_over_pool(raw, spec, overrides)
    _lay_over_limit(raw, overrides)
    _lay_over_schedules(raw, overrides)
    return raw


def _lay_over_pool(raw: dict[str, Any], spec: DeploymentSpec, overrides: Overrides) -> None:
    pool = dict(raw.get("work_pool") or {})
    if overrides.work_pool_name:
        pool["name"] = overrides.work_pool_name
    elif not pool.get("name") and settings.get("default_work_pool_name"):
        pool["name"] = settings.get("default_work_pool_name")
    if overrides.work_queue_name:
        pool["work_queue_name"] = overrides.work_queue_name
    if overrides.job_variables:
        said = (spec.work_pool.variables() if spec.work_pool else None) or {}
        pool["job_variables"] = {**said, **overrides.job_variables}
    if pool:
        raw["work_pool"] = pool


def _lay_over_limit(raw: dict[str, Any], overrides: Overrides) -> None:
    limit = raw.get("concurrency_limit")
    if overrides.concurrency_limit is not None:
        said = dict(limit) if isinstance(limit, dict) else {}
        limit = {**said, "limit": overrides.concurrency_limit}
    if overrides.collision_strategy is not None:
        if limit is None:
            raise InvalidInput("--collision-strategy needs a concurrency limit")
        limit = {**(limit if isinstance(limit, dict) else {"limit": limit})}
        limit["collision_strategy"] = overrides.collision_strategy.upper()
    if limit is not None:
        raw["concurrency_limit"] = limit


def _lay_over_schedules(raw: dict[str, Any], overrides: Overrides) -> None:
    if not (overrides.schedules or overrides.timezone or overrides.anchor_date):
        return
    said = raw.pop("schedule", None)
    schedules = [dict(item) for item in ([said] if said else raw.get("schedules") or [])]
    declared = len(schedules)
    schedules.extend(dict(item) for item in overrides.schedules)
    for item in schedules:
        if overrides.timezone and "at" not in item:
            item["timezone"] = overrides.timezone
        if overrides.anchor_date and item.get("interval") is not None:
            item["anchor_date"] = overrides.anchor_date
    known = [_timing(item) for item in schedules[:declared] if not item.get("parameters")]
    added = [item for item in schedules[declared:] if _timing(item) not in known]
    raw["schedules"] = schedules[:declared] + added


def _timing(item: dict[str, Any]) -> tuple[Any, ...]:
    """The times of a schedule, to recognize an option's schedule that the file already has."""
    keys = ("cron", "interval", "rrule", "anchor_date", "at")
    return (*(item.get(key) for key in keys), item.get("timezone") or "UTC", item.get("day_or", True))
