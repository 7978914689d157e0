"""A schedule in words, and its time zone."""

from __future__ import annotations

from typing import Any

from runyard_cli.shared import output as out
from runyard_cli.shared import times


def describe_schedule(spec: Any, short: bool = False) -> str:
    """A schedule with its time zone, such as `Monday to Friday at 06:00 (Europe/Berlin)`.

    It is in words where these say all of it, else the expression.

    Args:
        spec: a specification, or a model of one.
        short: only the city of the time zone, for a narrow column.
    """
    fields = spec if isinstance(spec, dict) else out.to_json(spec)
    text = timing(fields)
    if fields.get("at") is not None:
        return text
    zone = fields.get("timezone") or "UTC"
    return f"{text} ({zone.rpartition('/')[2].replace('_', ' ') if short else zone})"


def timing(spec: dict[str, Any]) -> str:
    """A schedule without its time zone: in words where they say all of it, else the expression.

    Args:
        spec: a specification.
    """
    from runyard.base.errors import ScheduleError
    from runyard.domain.schedules.words import in_words

    if spec.get("at") is not None:
        return f"once at {_moment(spec['at'])}"
    try:
        words = in_words(spec)
    except ScheduleError:
        words = None
    return words or expression(spec)


def expression(spec: dict[str, Any]) -> str:
    """What a schedule is given by: `cron: 0 6 * * *`, `rrule: FREQ=DAILY`, `interval: 600 s`.

    Args:
        spec: a specification.
    """
    from runyard.domain.schedules.rrule import shown

    if spec.get("cron") is not None:
        return f"cron: {spec['cron']}"
    if spec.get("rrule") is not None:
        return f"rrule: {shown(spec['rrule'])}"
    if spec.get("interval") is not None:
        return f"interval: {spec['interval']:g} s"
    return f"at: {spec.get('at')}"


def summary(schedules: list[Any], short: bool = False) -> str:
    """The schedules of a deployment in a cell: the one that is due next, and how many others there are.

    Args:
        schedules: as the API shows them.
        short: as for `describe_schedule`.
    """
    first = first_schedule(schedules)
    if first is None:
        return ""
    text = describe_schedule(first.schedule, short) + ("" if first.active else ", paused")
    return f"{text} +{len(schedules) - 1}" if len(schedules) > 1 else text


def first_schedule(schedules: list[Any]) -> Any:
    """Of some schedules the one that is due next, else an active one; None if there are none.

    Args:
        schedules: as the API shows them.
    """
    from datetime import UTC, datetime

    last = datetime.max.replace(tzinfo=UTC)
    return min(schedules, key=lambda each: (not each.active, each.next_due or last), default=None)


def next_due(schedules: list[Any]) -> Any:
    """When the first of some schedules is due, or None.

    Args:
        schedules: as the API shows them.
    """
    return min((each.next_due for each in schedules if each.next_due is not None), default=None)


def next_lines(schedules: list[Any], count: int) -> list[str]:
    """The next times of some schedules in lines for people, each in its schedule's time zone.

    Args:
        schedules: as the API shows them; those that are paused are left out.
        count: how many lines at most.
    """
    from heapq import merge
    from itertools import islice

    from runyard.base import clock
    from runyard.domain.schedules.clock_changes import note_of
    from runyard.domain.schedules.instants import instants

    now = clock.now()

    def of(schedule: Any) -> Any:
        spec = out.to_json(schedule.schedule)
        return ((instant, zone_of(spec), schedule.slug) for instant in instants(spec, now))

    found = merge(*(of(each) for each in schedules if each.active), key=lambda each: each[0])
    lines = []
    for instant, zone, slug in islice(found, count):
        name = f"  {slug}" if slug and len(schedules) > 1 else ""
        note = note_of(instant, zone)
        lines.append(
            f"{times.with_day(instant, zone)} ({times.relative(instant)}){name}{f'; {note}' if note else ''}"
        )
    return lines


def zone_of(spec: dict[str, Any]) -> str:
    """The name of a schedule's time zone."""
    from runyard.domain.schedules.instants import parse

    return getattr(parse(spec), "timezone", None) or "UTC"


def _moment(value: Any) -> str:
    from datetime import datetime

    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return times.absolute(moment)
