"""Schedules in Python code: `Cron`, `Interval`, `RRule`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Schedule:
    """A schedule, created by `Cron`, `Interval` or `RRule`.

    Args:
        interval: a number of seconds, or a timedelta.
        cron: a cron expression.
        rrule: an RFC 5545 recurrence rule.
        timezone: an IANA name.
        anchor_date: the moment from which intervals are counted.
        day_or: whether either of a cron's day of month and day of week must match.
        active: whether it creates runs.
        parameters: merged over the deployment's.
        slug: identifies the schedule after a change.
    """

    interval: float | timedelta | None = None
    cron: str | None = None
    rrule: str | None = None
    timezone: str | None = None
    anchor_date: datetime | None = None
    day_or: bool = True
    active: bool = True
    parameters: dict[str, Any] = field(default_factory=dict)
    slug: str | None = None


def Cron(cron: str, /, timezone: str | None = None, day_or: bool = True, **options: Any) -> Schedule:
    """A schedule from a cron expression; `options` are `active`, `parameters`, `slug`."""
    return Schedule(cron=cron, timezone=timezone, day_or=day_or, **options)


def Interval(
    interval: float | timedelta,
    /,
    anchor_date: datetime | None = None,
    timezone: str | None = None,
    **options: Any,
) -> Schedule:
    """A schedule with a fixed interval; `options` are `active`, `parameters`, `slug`."""
    return Schedule(interval=interval, anchor_date=anchor_date, timezone=timezone, **options)


def RRule(rrule: str, /, timezone: str | None = None, **options: Any) -> Schedule:
    """A schedule from a recurrence rule; `options` are `active`, `parameters`, `slug`."""
    return Schedule(rrule=rrule, timezone=timezone, **options)
