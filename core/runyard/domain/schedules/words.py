"""A schedule in words, such as `Monday to Friday at 06:00`; only where the words say all of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from runyard.domain.durations import in_full
from runyard.domain.schedules.instants import Cron, Interval, OneOff, Schedule, parse
from runyard.domain.schedules.rrule import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_ALIASES = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_CODES = ("SU", "MO", "TU", "WE", "TH", "FR", "SA")
# More times or days than these are not read at a glance.
_MOST_TIMES, _MOST_DAYS = 3, 4


def in_words(spec: Mapping[str, Any] | Schedule) -> str | None:
    """A schedule in words, without its time zone.

    Args:
        spec: a specification, or a result of `parse`.

    Returns:
        Words that say all of the timing but an interval's anchor, or None: then the expression is clearer.

    Raises:
        ScheduleError: the specification is invalid.
    """
    schedule = parse(spec)
    if isinstance(schedule, Cron):
        return _cron(schedule)
    if isinstance(schedule, Interval):
        return interval_in_words(schedule.interval.total_seconds())
    if isinstance(schedule, OneOff):
        return None
    return _rule(shown(schedule.rrule))


def interval_in_words(seconds: float) -> str:
    """An interval in full: `every day`, `every 90 seconds` is `every 1 minute 30 seconds`."""
    text = in_full(seconds)
    count, _, unit = text.partition(" ")
    return f"every {unit}" if count == "1" and " " not in unit else f"every {text}"


def _cron(schedule: Cron) -> str | None:
    fields = _ALIASES.get(schedule.cron.lower(), schedule.cron).split()
    if len(fields) == 6 and fields[5] == "0":
        fields.pop()
    if len(fields) != 5:
        return None
    minutes, hours, dates, months, weekdays = fields
    when, days = _when(minutes, hours), _days(dates, weekdays)
    month = (
        "" if months == "*" else _named(_values(months, 1, 12, [name[:3] for name in _MONTHS]), _MONTHS, 1)
    )
    if when is None or days is None or month is None:
        return None
    if when.startswith("every"):
        days = "" if days == "every day" else f", {days}"
        text = f"{when}{days}"
    else:
        text = f"{days} {when}"
    return f"{text}, in {month}" if month else text


def _when(minutes: str, hours: str) -> str | None:
    """The times of a day: `at 06:00`, or `every ...`."""
    step = _step(minutes, 60)
    if hours == "*" and step:
        return "every minute" if step == 1 else f"every {step} minutes"
    at = _values(minutes, 0, 59)
    if not at or len(at) > _MOST_TIMES:
        return None
    step = _step(hours, 24)
    if step:
        each = "every hour" if step == 1 else f"every {step} hours"
        return f"{each} at minute {_joined([str(minute) for minute in at])}"
    of_day = _values(hours, 0, 23)
    if not of_day or len(of_day) * len(at) > _MOST_TIMES:
        return None
    return "at " + _joined([f"{hour:02}:{minute:02}" for hour in of_day for minute in at])


def _step(field: str, size: int) -> int | None:
    """The step of `*` and `*/5`, if it divides the field."""
    match = re.fullmatch(r"\*(?:/(\d+))?", field)
    if match is None:
        return None
    step = int(match[1] or 1)
    return step if step and step < size and size % step == 0 else None


def _days(dates: str, weekdays: str) -> str | None:
    """The days: `every day`, `Monday to Friday`, `on the 1st of each month`."""
    free = ("*", "?")
    if dates in free and weekdays in free:
        return "every day"
    if dates in free:
        if "7" in weekdays and "-" in weekdays:
            return None
        found = _values(weekdays, 0, 7, [day[:3] for day in _DAYS], 0)
        return _weekdays([each % 7 for each in found]) if found else None
    if weekdays not in free:
        return None  # which of both counts is not said in a few words
    if dates.lower() == "l":
        return "on the last day of each month"
    found = _values(dates, 1, 31)
    if not found or len(found) > _MOST_DAYS:
        return None
    return f"on the {_joined([_ordinal(each) for each in found])} of each month"


def _weekdays(found: Sequence[int]) -> str | None:
    days = sorted(set(found), key=lambda day: (day - 1) % 7)
    if len(days) == 7:
        return "every day"
    if days == [1, 2, 3, 4, 5]:
        return "Monday to Friday"
    if len(days) > _MOST_DAYS:
        return None
    return f"every {_joined([_DAYS[day] for day in days])}"


def _named(found: Sequence[int] | None, names: Sequence[str], first: int) -> str | None:
    if not found or len(found) > _MOST_DAYS:
        return None
    return _joined([names[each - first] for each in found])


def _values(field: str, least: int, most: int, names: Sequence[str] = (), first: int = 1) -> list[int] | None:
    """The values of a list of numbers, names and ranges; None for anything else."""
    by_name = {name.lower(): index + first for index, name in enumerate(names)}
    found: list[int] = []
    for part in field.lower().split(","):
        begin, dash, end = part.partition("-")
        ends = [
            by_name.get(text, int(text) if text.isascii() and text.isdigit() else -1)
            for text in (begin, end or begin)
        ]
        if (dash and not end) or not least <= ends[0] <= ends[1] <= most:
            return None
        found += range(ends[0], ends[1] + 1)
    return sorted(set(found))


def _rule(rule: str) -> str | None:
    """A recurrence rule without DTSTART: its times are counted from the midnight of 2020."""
    if not re.fullmatch(r"[A-Z=;,\d-]+", rule):
        return None
    parts = dict(part.partition("=")[::2] for part in rule.split(";"))
    kind, hours, minutes = parts.pop("FREQ", ""), parts.pop("BYHOUR", "0"), parts.pop("BYMINUTE", "0")
    if parts.pop("BYSECOND", "0") != "0" or parts.pop("INTERVAL", "1") != "1":
        return None
    days: str | None = "every day"
    if kind == "WEEKLY" and "BYDAY" in parts:
        codes = parts.pop("BYDAY").split(",")
        days = _weekdays([_CODES.index(code) for code in codes]) if set(codes) <= set(_CODES) else None
    elif kind == "MONTHLY" and "BYMONTHDAY" in parts:
        dates = parts.pop("BYMONTHDAY")
        days = _days("L" if dates == "-1" else dates, "*")
    elif kind != "DAILY":
        return None
    when = None if "*" in hours + minutes else _when(minutes, hours)
    return f"{days} {when}" if days and when and not parts else None


def _ordinal(number: int) -> str:
    if number in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


def _joined(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
