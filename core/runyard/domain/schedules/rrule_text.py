"""Parses RFC 5545 text: lines of DTSTART, RRULE, EXRULE, RDATE and EXDATE, in wall-clock times."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.base.errors import ScheduleError
from runyard.domain.schedules import rrule_search
from runyard.domain.schedules.rrule_search import FREQUENCIES, MONTHLY, Rule
from runyard.domain.schedules.time_zones import wall_time

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

DEFAULT_START = "DTSTART:20200101T000000"
_NAMES = ("DTSTART", "RRULE", "EXRULE", "RDATE", "EXDATE")
# A line break before a space continues a line, unless a new line's name follows.
_FOLD = re.compile(rf"\r?\n[ \t](?!\s*(?:(?:{'|'.join(_NAMES)})[:;]|FREQ=))", re.IGNORECASE)
_LINE = re.compile(r"""(?P<name>[A-Za-z-]+)(?P<params>(?:;[A-Za-z-]+=(?:"[^"]*"|[^";:]*))*):(?P<value>.*)""")
_PARAM = re.compile(r""";([A-Za-z-]+)=(?:"([^"]*)"|([^";:]*))""")
_WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_WEEKDAY = re.compile(r"(?:([+-]?\d+))?(MO|TU|WE|TH|FR|SA|SU)(?:\(([+-]?\d+)\))?")
_WEEKDAY_NAMES = {"BYDAY", "BYWEEKDAY"}
# The valid numbers of a part: field of the rule, lowest, highest, whether negative numbers are valid.
_NUMBERS = {
    "BYMONTH": ("months", 1, 12, False),
    "BYMONTHDAY": ("monthdays", 1, 31, True),
    "BYYEARDAY": ("yeardays", 1, 366, True),
    "BYWEEKNO": ("weeks", 1, 53, True),
    "BYEASTER": ("easter", 0, 366, True),
    "BYHOUR": ("hours", 0, 23, False),
    "BYMINUTE": ("minutes", 0, 59, False),
    "BYSECOND": ("seconds", 0, 59, False),
    "BYSETPOS": ("setpos", 1, 366, True),
}


class Line(NamedTuple):
    """One line: its name in capitals, its parameters, its value, and its original text."""

    name: str
    params: dict[str, str]
    value: str
    text: str


class Recurrence(NamedTuple):
    """The meaning of a text: rules and times, and the excluded ones."""

    rules: tuple[Rule, ...] = ()
    times: tuple[datetime, ...] = ()
    but_rules: tuple[Rule, ...] = ()
    but_times: frozenset[datetime] = frozenset()
    but_days: frozenset[date] = frozenset()


def lines(text: str) -> list[Line]:
    """The unfolded lines of a text; a rule may omit its name.

    Raises:
        ScheduleError: a line has an unknown name.
    """
    unfolded = _FOLD.sub("", text.strip().replace("\\r", "").replace("\\n", "\n"))
    found = []
    for row in filter(None, map(str.strip, unfolded.splitlines())):
        line = f"RRULE:{row}" if row.upper().startswith("FREQ=") or _is_bare_rule(row) else row
        match = _LINE.fullmatch(line)
        if match is None or match["name"].upper() not in _NAMES:
            raise ScheduleError(f"the line {row!r} is not one of {', '.join(_NAMES)}, and it has no FREQ")
        params = {name.upper(): quoted or plain for name, quoted, plain in _PARAM.findall(match["params"])}
        found.append(Line(match["name"].upper(), params, match["value"].strip(), row))
    return found


def _is_bare_rule(row: str) -> bool:
    return ":" not in row and "FREQ=" in row.upper()


def zones(given: list[Line]) -> list[str]:
    """The time zones that lines name, each once."""
    return list(dict.fromkeys(line.params["TZID"] for line in given if "TZID" in line.params))


def read(given: list[Line], where: ZoneInfo) -> Recurrence:
    """Parse lines to naive wall-clock times of a time zone; times in UTC are converted.

    Raises:
        ScheduleError: with the reason.
    """
    starts = [line for line in given if line.name == "DTSTART"]
    if len(starts) != 1:
        raise ScheduleError(f"it has {len(starts)} lines of DTSTART; give one")
    start = _moment(starts[0].value, where, "DTSTART")[0]
    parts: dict[str, list[Any]] = {name: [] for name in _NAMES}
    for line in given:
        kind = line.params.get("VALUE", "DATE-TIME").upper()
        if kind not in ("DATE", "DATE-TIME"):
            raise ScheduleError(f"{line.name};VALUE={kind} is not supported; give times")
        if line.name in ("RRULE", "EXRULE"):
            parts[line.name].append(_rule(line.value, start, where))
        elif line.name != "DTSTART":
            times = [_moment(each, where, line.name) for each in line.value.split(",") if each.strip()]
            parts[line.name] += times
    if not parts["RRULE"] and not parts["RDATE"]:
        raise ScheduleError("it has no FREQ, such as FREQ=DAILY, and no RDATE")
    bare = [moment for moment, is_day in parts["RDATE"] if is_day]
    if bare and start.time() != time():
        raise ScheduleError(
            f"RDATE has the day {bare[0]:%Y%m%d} without a time; write {bare[0]:%Y%m%d}T090000"
        )
    return Recurrence(
        tuple(parts["RRULE"]),
        tuple(sorted({moment for moment, _ in parts["RDATE"]})),
        tuple(parts["EXRULE"]),
        frozenset(moment for moment, is_day in parts["EXDATE"] if not is_day),
        frozenset(moment.date() for moment, is_day in parts["EXDATE"] if is_day),
    )


def _moment(text: str, where: ZoneInfo, name: str) -> tuple[datetime, bool]:
    """Parse a time; also returns whether the text is only a day."""
    text = text.strip()
    try:
        moment = datetime.fromisoformat(text.upper().removesuffix("T"))
    except ValueError:
        raise ScheduleError(f"invalid time {name} {text!r}; write it as 20260131T060000") from None
    if moment.tzinfo is not None:
        moment = wall_time(moment.astimezone(UTC), where)
    return moment.replace(microsecond=0, fold=0), re.fullmatch(r"\d{8}|\d{4}-\d\d-\d\d", text) is not None


def _rule(text: str, start: datetime, where: ZoneInfo) -> Rule:
    values: dict[str, Any] = {}
    found: Any
    for part in filter(None, text.upper().replace(" ", "").split(";")):
        name, equals, value = part.partition("=")
        if not equals or not value:
            raise ScheduleError(f"{part!r} is not NAME=VALUE")
        if name == "UNTIL":
            field, found = "until", _moment(value, where, name)[0]
        else:
            field, read_value = _part(name)
            found = read_value(value, name)
        if field in values:
            raise ScheduleError(f"{name} is given twice")
        values[field] = found
    if "freq" not in values:
        raise ScheduleError("it has no FREQ, such as FREQ=DAILY")
    if "setpos" in values:
        values["setpos"] = tuple(sorted(values["setpos"]))
    return _completed(start, values)


def _part(name: str) -> tuple[str, Callable[[str, str], Any]]:
    if name == "FREQ":
        return "freq", _frequency
    if name in ("INTERVAL", "COUNT"):
        return name.lower(), _positive
    if name == "WKST":
        return "wkst", _week_start
    if name in _WEEKDAY_NAMES:
        return "byday", _weekdays
    if name in _NUMBERS:
        return _NUMBERS[name][0], _numbers
    raise ScheduleError(f"unknown part of a rule: {name}")


def _frequency(value: str, name: str) -> int:
    if value not in FREQUENCIES:
        raise ScheduleError(f"invalid {name}={value}; valid are {', '.join(FREQUENCIES)}")
    return FREQUENCIES.index(value)


def _positive(value: str, name: str) -> int:
    number = _number(value, name)
    if not 1 <= number <= 10**9:
        raise ScheduleError(f"{name}={value} must be from 1 to {10**9}")
    return number


def _number(value: str, name: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,1000}", value):
        raise ScheduleError(f"{name}={value}: {value!r} is not a whole number")
    return int(value)


def _week_start(value: str, name: str) -> int:
    if value not in _WEEKDAYS:
        raise ScheduleError(f"invalid {name}={value}; valid are {', '.join(_WEEKDAYS)}")
    return _WEEKDAYS.index(value)


def _numbers(value: str, name: str) -> frozenset[int]:
    _, low, high, signed = _NUMBERS[name]
    found = frozenset(_number(each, name) for each in value.split(","))
    for number in found:
        if not low <= (abs(number) if signed else number) <= high:
            span = f"{low} to {high}" + (f" or -{high} to -{low}" if signed else "")
            raise ScheduleError(f"{name}={value}: {number} is not in {span}")
    return found


def _weekdays(value: str, name: str) -> frozenset[tuple[int, int]]:
    """Weekdays with their number in the month or year; 0 means each."""
    found = set()
    for each in value.split(","):
        match = _WEEKDAY.fullmatch(each)
        number = int(match[1] or match[3] or 0) if match else 0
        if match is None or abs(number) > 53 or (number == 0 and (match[1] or match[3])):
            raise ScheduleError(f"{name}={value}: invalid day {each!r}; write it as MO, 1MO or -1FR")
        found.add((_WEEKDAYS.index(match[2]), number))
    return frozenset(found)


def days_without_their_number(text: str) -> list[tuple[str, str]]:
    """The numbered weekdays whose number has no meaning, because their rules are more frequent than monthly.

    Returns:
        The frequency and the day, such as `("WEEKLY", "2MO")`, each once.
    """
    found: dict[tuple[str, str], None] = {}
    for line in lines(text):
        parts = dict(part.partition("=")[::2] for part in line.value.upper().replace(" ", "").split(";"))
        frequency = parts.get("FREQ", "")
        if frequency not in FREQUENCIES[MONTHLY + 1 :]:
            continue
        days = ",".join(filter(None, map(parts.get, sorted(_WEEKDAY_NAMES)))).split(",")
        found.update({(frequency, day): None for day in days if day and day not in _WEEKDAYS})
    return list(found)


def _completed(start: datetime, values: dict[str, Any]) -> Rule:
    """Complete a rule with the values of its start."""
    freq = values["freq"]
    byday = values.pop("byday", frozenset())
    plain = {weekday for weekday, number in byday if not number or freq > MONTHLY}
    rule = Rule(
        start=start,
        weekdays=frozenset(plain),
        nth_weekdays=frozenset(each for each in byday if each[1] and freq <= MONTHLY),
        **values,
    )
    if not (byday or rule.weeks or rule.yeardays or rule.monthdays or rule.easter):
        if freq == rrule_search.YEARLY and not rule.months:
            rule = replace(rule, months=frozenset({start.month}))
        if freq <= MONTHLY:
            rule = replace(rule, monthdays=frozenset({start.day}))
        elif freq == rrule_search.WEEKLY:
            rule = replace(rule, weekdays=frozenset({start.weekday()}))
    own = {"hours": start.hour, "minutes": start.minute, "seconds": start.second}
    for unit, field in enumerate(own, start=rrule_search.HOURLY):
        if freq < unit and not getattr(rule, field):
            said: dict[str, Any] = {field: frozenset({own[field]})}
            rule = replace(rule, **said)
    return rule
