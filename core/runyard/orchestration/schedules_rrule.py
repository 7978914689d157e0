"""Recurrence rules of RFC 5545: checking one, and its instants in a zone."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dateutil.rrule import DAILY, HOURLY, MINUTELY, SECONDLY, WEEKLY, rrule, rruleset, rrulestr

from runyard.errors import ScheduleError
from runyard.orchestration.schedules_zones import first_wall_to_look_at, resolve, wall_time, zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

_DEFAULT_START = "DTSTART:20200101T000000"
_UTC_TIME = re.compile(r"(\d{8}T\d{6})Z")
_TZID = re.compile(r";TZID=([^:;]+)", re.IGNORECASE)
_FREQUENCY = re.compile(r"\bFREQ=", re.IGNORECASE)
# How far ahead a rule that is stepped day by day or finer is searched for its next time.
_HORIZON = timedelta(days=366 * 40)
_STEP = {
    WEEKLY: timedelta(weeks=1),
    DAILY: timedelta(days=1),
    HOURLY: timedelta(hours=1),
    MINUTELY: timedelta(minutes=1),
    SECONDLY: timedelta(seconds=1),
}


def read(text: str, timezone: str | None) -> tuple[str, str]:
    """A rule with its start, and the zone whose wall-clock times it means.

    Args:
        text: RFC 5545 lines, or JSON `{"rrule": .., "timezone": ..}`; without DTSTART the rule starts
            in 2020.
        timezone: the zone, or None where the text names it, or for UTC.

    Raises:
        ScheduleError: it cannot be read, contradicts itself, or is never due.
    """
    if text.startswith("{"):
        try:
            given = json.loads(text)
            text, timezone = str(given["rrule"]), timezone or given.get("timezone")
        except (ValueError, KeyError, TypeError):
            raise ScheduleError(f"rrule {text!r} is neither a rule nor JSON with a rule") from None
    text = "\n".join(line.strip() for line in text.strip().splitlines() if line.strip())
    named = set(_TZID.findall(text))
    if len(named | ({timezone} if timezone else set())) > 1:
        raise ScheduleError(f"rrule names the zones {', '.join(sorted(named))}; give one time zone only")
    where = timezone or next(iter(named), "UTC")
    place = zone(where)
    if "DTSTART" not in text.upper():
        text = f"{_DEFAULT_START}\n{text}"
    rule = _parse(text, place)
    if next(iter(_ahead(rule, None)), None) is None:
        raise ScheduleError(f"rrule {shown(text)!r} matches no date that exists")
    return text, where


def instants(text: str, where: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The instants, from about `after` on: callers drop those that are not later."""
    start = first_wall_to_look_at(after, where)
    rule = _parse(text, where)
    return resolve(_ahead(rule, start), where, _is_rhythm(rule))


def shown(text: str) -> str:
    """A rule in one line, without the start that `read` added."""
    return text.removeprefix(_DEFAULT_START).strip().replace("\n", " ")


def _parse(text: str, where: ZoneInfo) -> rrule | rruleset:
    """The rule in naive wall-clock times of the zone; times given in UTC are turned into those."""
    if not _FREQUENCY.search(text) and "RDATE" not in text.upper():
        raise ScheduleError(f"rrule {shown(text)!r} is wrong: it has no FREQ, such as FREQ=DAILY")
    local = _UTC_TIME.sub(lambda match: _local(match[1], where), _TZID.sub("", text))
    try:
        return rrulestr(local)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError) as error:
        reason = str(error).strip().replace("\n", " ") or "it cannot be read"
        raise ScheduleError(f"rrule {shown(text)!r} is wrong: {reason}") from None


def _local(stamp: str, where: ZoneInfo) -> str:
    moment = datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return wall_time(moment, where).strftime("%Y%m%dT%H%M%S")


def _parts(rule: rrule | rruleset) -> list[rrule]:
    return list(getattr(rule, "_rrule", [])) if isinstance(rule, rruleset) else [rule]


def _is_rhythm(rule: rrule | rruleset) -> bool:
    """Whether the rule runs through all hours of a day, rather than naming some."""
    return bool(_parts(rule)) and all(_is_rhythmic(part) for part in _parts(rule))


def _is_rhythmic(part: Any) -> bool:
    if part._freq in (MINUTELY, SECONDLY):
        return not part._byhour
    return bool(part._freq == HOURLY and part._interval == 1 and not part._byhour)


def _ahead(rule: rrule | rruleset, start: datetime | None) -> Iterator[datetime]:
    """The wall times after `start` (None: all), without walking there from the rule's own start."""
    if isinstance(rule, rruleset):
        moved = rruleset()
        for part in _parts(rule):
            moved.rrule(_moved(part, start))
        for name in ("exrule", "rdate", "exdate"):
            for value in getattr(rule, f"_{name}"):
                add = getattr(moved, name)
                add(_moved(value, start) if name == "exrule" else value)
        walls: Iterator[datetime] = iter(moved)
    else:
        walls = iter(_moved(rule, start))
    for wall in walls:
        if start is None or wall > start:
            yield wall


def _moved(part: Any, start: datetime | None) -> rrule:
    """The same rule with its start moved by whole periods up to `start`, and an end to its search."""
    step = _STEP.get(part._freq)
    if step is None:
        return part
    begin = part._dtstart
    changes: dict[str, Any] = {}
    # A rule with COUNT counts from its own start.
    if start is not None and start > begin and part._count is None:
        period = step * part._interval
        begin += max(0, (start - begin) // period - 1) * period
        changes["dtstart"] = begin
    limit = max(begin, start or begin) + _HORIZON
    if part._count is None and (part._until is None or part._until > limit):
        changes["until"] = limit
    return part.replace(**changes) if changes else part
