"""Schedules as models: `CronSchedule(cron=...)`, `IntervalSchedule(...)`, `RRuleSchedule(rrule=...)`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

from runyard.operations.schedules import schedule_shapes as shapes
from runyard.operations.schedules.schedule_shapes import CronSchedule, RRuleSchedule
from runyard.operations.schemas import Model

__all__ = [
    "SCHEDULE_TYPES",
    "CronSchedule",
    "IntervalSchedule",
    "NoSchedule",
    "RRuleSchedule",
    "construct_schedule",
    "is_schedule_type",
]


def _seconds(value: Any) -> Any:
    return value.total_seconds() if isinstance(value, timedelta) else value


class IntervalSchedule(shapes.IntervalSchedule):
    """Due every `interval`, a timedelta or a number of seconds."""

    interval: Annotated[float, BeforeValidator(_seconds)]


class NoSchedule(Model):
    """Explicitly no schedule."""


SCHEDULE_TYPES = CronSchedule | IntervalSchedule | RRuleSchedule


def is_schedule_type(obj: Any) -> bool:
    """Whether a value is one of these schedules."""
    return isinstance(obj, (shapes.CronSchedule, shapes.IntervalSchedule, shapes.RRuleSchedule, NoSchedule))


def construct_schedule(
    interval: int | float | timedelta | None = None,
    anchor_date: datetime | str | None = None,
    cron: str | None = None,
    rrule: str | None = None,
    timezone: str | None = None,
) -> SCHEDULE_TYPES:
    """A schedule from `interval`, `cron` or `rrule`; give exactly one.

    Raises:
        ValueError: none of them, or several.
    """
    given = {"interval": interval, "cron": cron, "rrule": rrule}
    if sum(value is not None for value in given.values()) != 1:
        raise ValueError("give one of interval, cron and rrule")
    if cron is not None:
        return CronSchedule(cron=cron, timezone=timezone)
    if rrule is not None:
        return RRuleSchedule(rrule=rrule, timezone=timezone or "UTC")
    fields: dict[str, Any] = {"interval": interval, "anchor_date": anchor_date, "timezone": timezone}
    return IntervalSchedule(**fields)
