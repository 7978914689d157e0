"""Recurrence rules: finds the wall-clock times of one rule within a budget of steps.

A rule has periods (years, months, weeks, days, hours, minutes or seconds); each contains a set of times.
Periods are computed by arithmetic, never by iterating from the start of the rule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import MAXYEAR, date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from runyard.base.errors import ScheduleError

FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY")
YEARLY, MONTHLY, WEEKLY, DAILY, HOURLY, MINUTELY, SECONDLY = range(7)
# A step examines one day or period and takes about a microsecond.
MOST_STEPS = 100_000
_ONE_DAY = timedelta(days=1)
_LENGTH = {
    WEEKLY: timedelta(weeks=1),
    DAILY: _ONE_DAY,
    HOURLY: timedelta(hours=1),
    MINUTELY: timedelta(minutes=1),
    SECONDLY: timedelta(seconds=1),
}


class OutOfSteps(ScheduleError):
    """The budget is used up; the message names the day that was reached."""


class Budget:
    """The maximum number of steps until the next time is found.

    Args:
        fault: the error text if the budget is used up.
        steps: the number of days and periods.
    """

    def __init__(
        self,
        fault: str = "it matches no existing date, or excludes all dates that it matches,",
        steps: int = MOST_STEPS,
    ) -> None:
        self._fault = fault
        self._all = self._left = steps

    def spend(self, place: datetime | date, steps: int = 1) -> None:
        """Use steps.

        Raises:
            OutOfSteps: none is left.
        """
        self._left -= steps
        if self._left < 0:
            raise OutOfSteps(f"{self._fault} up to {place:%Y-%m-%d}, the limit of {self._all} steps")

    def renew(self) -> None:
        """Reset the budget after a time was found."""
        self._left = self._all


@dataclass(frozen=True)
class Rule:
    """One RRULE in naive wall-clock times. An empty BY part has no effect."""

    freq: int
    start: datetime
    interval: int = 1
    count: int | None = None
    until: datetime | None = None
    wkst: int = 0
    setpos: tuple[int, ...] = ()
    months: frozenset[int] = frozenset()
    monthdays: frozenset[int] = frozenset()
    yeardays: frozenset[int] = frozenset()
    weeks: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()
    easter: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    minutes: frozenset[int] = frozenset()
    seconds: frozenset[int] = frozenset()


def occurrences(rule: Rule, after: datetime | None, budget: Budget) -> Iterator[datetime]:
    """The times of a rule, strictly increasing.

    Args:
        after: only later ones; None for all.
        budget: the caller resets it after each time.

    Raises:
        OutOfSteps: the next time is not found within the budget.
    """
    end = min(filter(None, (rule.until, None if rule.count is None else _last(rule))), default=None)
    for first, found in _sets(rule, after, end):
        budget.spend(first, found[0])
        for wall in found[1]:
            if end is not None and wall > end:
                return
            if wall >= rule.start and (after is None or wall > after):
                yield wall


class _Set(NamedTuple):
    """The times of a period, and the number of steps used."""

    steps: int
    walls: list[datetime]


def _sets(rule: Rule, after: datetime | None, end: datetime | None) -> Iterator[tuple[datetime, _Set]]:
    """Periods with their times: those that end after `after` and start by `end`."""
    sets = _calendar_sets if rule.freq in (YEARLY, MONTHLY) else _even_sets
    try:
        for first, found in sets(rule, max(after, rule.start) if after else rule.start):
            if end is not None and first > end:
                return
            yield first, found
    except (OverflowError, ValueError):  # after the year 9999
        return


def _calendar_sets(rule: Rule, begin: datetime) -> Iterator[tuple[datetime, _Set]]:
    """The periods of years and months."""
    months = rule.interval * (12 if rule.freq == YEARLY else 1)
    origin = rule.start.year * 12 + (0 if rule.freq == YEARLY else rule.start.month - 1)
    month = origin + max(0, (begin.year * 12 + begin.month - 1 - origin) // months) * months
    while month // 12 <= MAXYEAR:
        year = month // 12
        wanted = range(1, 13) if rule.freq == YEARLY else (month % 12 + 1,)
        looked = [number for number in wanted if not rule.months or number in rule.months]
        days = [
            date(year, number, day) for number in looked for day in range(1, _month_length(year, number) + 1)
        ]
        yield datetime(year, wanted[0], 1), _times(rule, days)
        month += months


def _even_sets(rule: Rule, begin: datetime) -> Iterator[tuple[datetime, _Set]]:
    """The periods of weeks and shorter ones, which all have one length."""
    step = _LENGTH[rule.freq] * rule.interval
    origin = _period_of(rule, rule.start)
    at = origin + max(0, (begin - origin) // step) * step
    while True:
        beyond = _mismatch(rule, at)
        if beyond is None:
            days = [at.date() + _ONE_DAY * number for number in range(7 if rule.freq == WEEKLY else 1)]
            yield at, _times(rule, days, at)
            at += step
        else:
            yield at, _Set(1, [])
            at = origin - (origin - beyond) // step * step


def _period_of(rule: Rule, wall: datetime) -> datetime:
    """The start of the period that contains a time."""
    if rule.freq == WEEKLY:
        day = wall - _ONE_DAY * ((wall.weekday() - rule.wkst) % 7)
        return day.replace(hour=0, minute=0, second=0)
    if rule.freq == DAILY:
        return wall.replace(hour=0, minute=0, second=0)
    if rule.freq == HOURLY:
        return wall.replace(minute=0, second=0)
    return wall.replace(second=0) if rule.freq == MINUTELY else wall


def _mismatch(rule: Rule, at: datetime) -> datetime | None:
    """The earliest start of a later period that may contain a time; None if this period may."""
    if rule.freq == WEEKLY:
        return None
    if rule.months and at.month not in rule.months:
        return datetime(at.year + at.month // 12, at.month % 12 + 1, 1)
    if rule.freq > DAILY:
        if not _is_day(rule, at.date()):
            return datetime.combine(at.date() + _ONE_DAY, time())
        if rule.hours and at.hour not in rule.hours:
            return at.replace(minute=0, second=0) + _LENGTH[HOURLY]
        if rule.freq > HOURLY and rule.minutes and at.minute not in rule.minutes:
            return at.replace(second=0) + _LENGTH[MINUTELY]
        if rule.freq > MINUTELY and rule.seconds and at.second not in rule.seconds:
            return at + _LENGTH[SECONDLY]
    return None


def _times(rule: Rule, days: list[date], at: datetime | None = None) -> _Set:
    """The times of a period of days, or of the shorter period that starts at `at`."""
    if rule.freq > DAILY and at is not None:
        minutes = rule.minutes if rule.freq == HOURLY else {at.minute}
        seconds = rule.seconds if rule.freq < SECONDLY else {at.second}
        walls = [
            at.replace(minute=minute, second=second)
            for minute in sorted(minutes)
            for second in sorted(seconds)
        ]
    else:
        clocks = [
            time(hour, minute, second)
            for hour in sorted(rule.hours)
            for minute in sorted(rule.minutes)
            for second in sorted(rule.seconds)
        ]
        walls = [datetime.combine(day, each) for day in days if _is_day(rule, day) for each in clocks]
    if rule.setpos:
        places = {number - 1 if number > 0 else len(walls) + number for number in rule.setpos}
        walls = [walls[place] for place in sorted(places) if 0 <= place < len(walls)]
    return _Set(max(1, len(days), len(walls)), walls)


def _is_day(rule: Rule, day: date) -> bool:
    """Whether a day matches the parts of the rule about days."""
    if rule.months and day.month not in rule.months:
        return False
    if rule.monthdays:
        backwards = day.day - _month_length(day.year, day.month) - 1
        if day.day not in rule.monthdays and backwards not in rule.monthdays:
            return False
    if (rule.weekdays or rule.nth_weekdays) and not _is_weekday(rule, day):
        return False
    if rule.yeardays:
        number, whole = day.timetuple().tm_yday, _year_length(day.year)
        if number not in rule.yeardays and number - whole - 1 not in rule.yeardays:
            return False
    if rule.weeks and not rule.weeks & _week_numbers(day, rule.wkst):
        return False
    return not rule.easter or (day - _easter(day.year)).days in rule.easter


def _is_weekday(rule: Rule, day: date) -> bool:
    weekday = day.weekday()
    if weekday in rule.weekdays:
        return True
    if not rule.nth_weekdays:
        return False
    if rule.freq == YEARLY and not rule.months:
        number, whole = day.timetuple().tm_yday, _year_length(day.year)
    else:
        number, whole = day.day, _month_length(day.year, day.month)
    forwards, backwards = (number - 1) // 7 + 1, -((whole - number) // 7 + 1)
    return (weekday, forwards) in rule.nth_weekdays or (weekday, backwards) in rule.nth_weekdays


def _week_numbers(day: date, wkst: int) -> set[int]:
    """The number of a day's week, counted from the start and (negative) from the end of the week's year."""
    middle = day + _ONE_DAY * (3 - (day.weekday() - wkst) % 7)
    number = (middle.timetuple().tm_yday - 1) // 7 + 1
    # The last week of a year contains 28 December.
    final = date(middle.year, 12, 28)
    final += _ONE_DAY * (3 - (final.weekday() - wkst) % 7)
    return {number, number - ((final.timetuple().tm_yday - 1) // 7 + 1) - 1}


def _month_length(year: int, month: int) -> int:
    return 28 + (_year_length(year) - 365) if month == 2 else 30 + (month + month // 8) % 2


def _year_length(year: int) -> int:
    return 366 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 365


def _easter(year: int) -> date:
    from dateutil.easter import easter

    return easter(year)


@lru_cache(maxsize=256)
def _last(rule: Rule) -> datetime:
    """The last time of a rule with COUNT, computed once.

    Raises:
        OutOfSteps: it is not found within the budget.
    """
    left = rule.count or 0
    budget = Budget(f"COUNT={left} ends too late to be counted (give UNTIL): there are less")
    last = rule.start
    same = _times_a_period(rule)
    for first, found in _sets(rule, None, rule.until):
        walls = [wall for wall in found.walls if wall >= rule.start]
        if left <= len(walls):
            return walls[left - 1]
        last, left = (walls or [last])[-1], left - len(walls)
        if same is not None and left > same:
            # All further periods contain the same number of times: jump to the last one.
            whole = (left - 1) // same
            try:
                begin = _period_of(rule, rule.start) + _LENGTH[rule.freq] * rule.interval * (whole + 1)
                _, final = next(_even_sets(rule, begin))
            except OverflowError:  # after the year 9999: the calendar ends before COUNT is reached
                return datetime.max
            return final.walls[left - whole * same - 1]
        budget.spend(first, found.steps)
    return last


def _times_a_period(rule: Rule) -> int | None:
    """The number of times in every whole period, if it is the same for all; else None."""
    varies = rule.months or rule.monthdays or rule.yeardays or rule.weeks or rule.easter or rule.nth_weekdays
    if varies or rule.setpos or rule.freq < WEEKLY:
        return None
    if rule.freq == WEEKLY:
        return len(rule.weekdays) * len(rule.hours) * len(rule.minutes) * len(rule.seconds)
    if rule.weekdays or (rule.freq > DAILY and rule.hours) or (rule.freq > HOURLY and rule.minutes):
        return None
    if rule.freq == DAILY:
        return len(rule.hours) * len(rule.minutes) * len(rule.seconds)
    if rule.freq == HOURLY:
        return len(rule.minutes) * len(rule.seconds)
    if rule.freq == MINUTELY:
        return len(rule.seconds)
    return None if rule.seconds else 1
