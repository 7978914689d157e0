"""Recurrence rules of RFC 5545: checks one, and computes its instants in a time zone."""

from __future__ import annotations

import heapq
import json
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

from runyard.base.errors import ScheduleError
from runyard.domain.schedules import rrule_text
from runyard.domain.schedules.rrule_search import HOURLY, MINUTELY, SECONDLY, Budget, Rule, occurrences
from runyard.domain.schedules.rrule_text import DEFAULT_START, Recurrence
from runyard.domain.schedules.time_zones import first_wall_to_look_at, resolve, zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo


def read(text: str, timezone: str | None) -> tuple[str, str]:
    """Parse a rule with its start, and the time zone of its wall-clock times.

    Args:
        text: RFC 5545 lines, or JSON `{"rrule": .., "timezone": ..}`; without DTSTART the rule starts
            in 2020.
        timezone: the time zone, or None if the text names it, or for UTC.

    Raises:
        ScheduleError: it is invalid, contradicts itself, or never fires.
    """
    if text.startswith("{"):
        try:
            given = json.loads(text)
            text, timezone = str(given["rrule"]), timezone or given.get("timezone")
        except (ValueError, KeyError, TypeError):
            raise ScheduleError(f"rrule {text!r} is neither a rule nor JSON with a rule") from None
    return _checked(text, timezone)


@lru_cache(maxsize=512)
def _checked(text: str, timezone: str | None) -> tuple[str, str]:
    try:
        lines = rrule_text.lines(text)
        named = rrule_text.zones(lines)
        if len({*named, *([timezone] if timezone else [])}) > 1:
            raise ScheduleError(f"it names the zones {', '.join(named)}; give one time zone only")
        where = timezone or next(iter(named), "UTC")
        written = "\n".join(line.text for line in lines)
        if not any(line.name == "DTSTART" for line in lines):
            written = f"{DEFAULT_START}\n{written}"
        rule = _recurrence(written, zone(where))
        if next(_walls(rule, None), None) is None:
            raise ScheduleError(_never(rule))
    except ScheduleError as error:
        raise ScheduleError(f"invalid rrule {shown(text)!r}: {error.message}") from None
    return written, where


def _never(rule: Recurrence) -> str:
    for each in rule.rules:
        if each.until is not None and each.until < each.start:
            return (
                f"it ends (UNTIL {each.until:%Y-%m-%d %H:%M}) before it begins ({each.start:%Y-%m-%d %H:%M})"
            )
    return "it matches no existing date, or excludes all dates that it matches"


def instants(text: str, where: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The instants from about `after` on; callers drop those that are not later.

    Raises:
        OutOfSteps: the next one is not found within the budget of steps.
    """
    rule = _recurrence(text, where)
    return resolve(_walls(rule, first_wall_to_look_at(after, where)), where, _is_rhythm(rule))


def shown(text: str) -> str:
    """A rule in one line, without the start that `read` added."""
    return text.removeprefix(DEFAULT_START).strip().replace("\n", " ").removeprefix("RRULE:")


@lru_cache(maxsize=512)
def _recurrence(text: str, where: ZoneInfo) -> Recurrence:
    return rrule_text.read(rrule_text.lines(text), where)


def _is_rhythm(rule: Recurrence) -> bool:
    """Whether the rule fires through all hours of a day, instead of at fixed hours."""
    return bool(rule.rules) and all(map(_is_rhythmic, rule.rules))


def _is_rhythmic(rule: Rule) -> bool:
    if rule.freq in (MINUTELY, SECONDLY):
        return not rule.hours
    return rule.freq == HOURLY and rule.interval == 1 and not rule.hours


def _walls(rule: Recurrence, after: datetime | None) -> Iterator[datetime]:
    """The wall-clock times after `after` (None: all), each once."""
    budget = Budget()
    times = (wall for wall in rule.times if after is None or wall > after)
    due = heapq.merge(times, *(occurrences(each, after, budget) for each in rule.rules))
    left_out = heapq.merge(*(occurrences(each, after, budget) for each in rule.but_rules))
    excluded = next(left_out, None)
    for wall, _ in groupby(due):
        budget.spend(wall)
        while excluded is not None and excluded < wall:
            excluded = next(left_out, None)
        if wall != excluded and wall not in rule.but_times and wall.date() not in rule.but_days:
            budget.renew()
            yield wall
