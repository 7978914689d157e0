"""Warnings about valid schedules that are probably mistakes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from runyard.base.errors import ScheduleError
from runyard.domain.schedules.cron import from_to_itself, seconds_last
from runyard.domain.schedules.instants import (
    Cron,
    OneOff,
    RRule,
    Schedule,
    describe,
    next_instant,
    next_instants,
    parse,
)

_STEP = re.compile(r"(?:\*|\d+)/(\d+)")
# The fields of a cron expression: name, number of values, seconds of a unit if an interval has that unit.
_FIELDS = (
    ("minutes", 60, 60),
    ("hours", 24, 3600),
    ("days of the month", 31, 86400),
    ("months", 12, None),
    ("days of the week", 7, None),
    ("seconds", 60, 1),
)
_LOOKS_LIKE_A_WEEKDAY = re.compile(r"\*|\?|[0-7]-[0-7]|.*[A-Za-z#].*")
_WITHOUT_DAYLIGHT_SAVING = {"EST": "America/New_York", "MST": "America/Denver", "HST": "Pacific/Honolulu"}


def warnings(spec: Mapping[str, Any] | Schedule, now: datetime) -> list[str]:
    """Warnings about a schedule for its author, one line each.

    Raises:
        ScheduleError: it is invalid.
    """
    schedule = parse(spec)
    found = []
    if over(schedule, now):
        found.append(f"{describe(schedule)}: it will not fire again, because all its times are in the past")
    if isinstance(schedule, Cron):
        found += _readings(schedule, now)
        found += _large_steps(schedule)
        found += _single_values(schedule)
    if isinstance(schedule, RRule):
        found += _numbered_days(schedule)
    where = getattr(schedule, "timezone", None)
    if where in _WITHOUT_DAYLIGHT_SAVING and where != "HST":
        region = _WITHOUT_DAYLIGHT_SAVING[where]
        found.append(f"the zone {where} has no daylight saving; {region!r} has")
    return found


def over(spec: Mapping[str, Any] | Schedule, now: datetime) -> bool:
    """Whether a schedule never fires again."""
    schedule = parse(spec)
    return schedule.at <= now if isinstance(schedule, OneOff) else next_instant(schedule, now) is None


def _readings(schedule: Cron, now: datetime) -> Iterator[str]:
    """Warn if six fields look as if the seconds came first, as in Quartz and Spring."""
    fields = schedule.cron.split()
    if len(fields) != 6 or not _looks_like_seconds_first(fields):
        return
    other = schedule._replace(cron=seconds_last(fields))
    try:
        readings = [_times(each, now) for each in (schedule, parse(other._asdict()))]
    except ScheduleError:
        return
    if readings[0] != readings[1]:
        yield (
            f"cron {schedule.cron!r} is read with the seconds last: it fires at {readings[0]}; if its "
            f"seconds "
            f"come first, it fires at {readings[1]}, and must be written {other.cron!r}"
        )


def _looks_like_seconds_first(fields: list[str]) -> bool:
    if _LOOKS_LIKE_A_WEEKDAY.fullmatch(fields[5]):
        return True
    return re.fullmatch(r"[0-7]", fields[5]) is not None and fields[2][0].isdigit()


def _times(schedule: Schedule, now: datetime) -> str:
    return (
        " and ".join(f"{moment:%Y-%m-%d %H:%M:%S}" for moment in next_instants(schedule, now, 2)) or "no time"
    )


def _large_steps(schedule: Cron) -> Iterator[str]:
    """Warn of steps larger than their field, which do not carry over."""
    for field, (name, size, unit_seconds) in zip(schedule.cron.split(), _FIELDS, strict=False):
        for part in field.split(","):
            match = _STEP.fullmatch(part)
            if match is None or int(match[1]) <= size:
                continue
            hint = f"; write interval: {int(match[1]) * unit_seconds}" if unit_seconds else ""
            yield (
                f"cron {schedule.cron!r}: {part} in the {name} means only the first value, not every "
                f"{match[1]} of them{hint}"
            )


def _single_values(schedule: Cron) -> Iterator[str]:
    """Warn of ranges from a value to itself, which Prefect treats as all values of the field."""
    for part in from_to_itself(schedule.cron):
        value = part.partition("-")[0]
        yield (
            f"cron {schedule.cron!r}: {part} means only {value}; in Prefect it means every value; "
            f"write {value} or *"
        )


def _numbered_days(schedule: RRule) -> Iterator[str]:
    """Warn of numbered weekdays such as 2MO if the rule has no month or year in which they are counted."""
    from runyard.domain.schedules.rrule_text import days_without_their_number  # not for other schedules

    for frequency, day in days_without_their_number(schedule.rrule):
        yield (
            f"rrule: {day} is every such day with FREQ={frequency}, as in Prefect; its number has a meaning "
            f"only "
            "with FREQ=MONTHLY and FREQ=YEARLY"
        )
