"""Cron expressions: checks one, and computes its instants in a time zone."""

from __future__ import annotations

import platform
import re
import struct
from collections.abc import Callable
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from runyard.base.errors import ScheduleError
from runyard.domain.schedules.time_zones import first_wall_to_look_at, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from croniter import croniter

# croniter draws a new number for R each time it reads the text, and hashes for H need a name.
_UNSTABLE = re.compile(r"\b[RH]\b", re.IGNORECASE)
_HOUR = 1
_FIELDS, _WITH_SECONDS, _WITH_YEARS = 5, 6, 7
# The maximum distance between two times.
_YEARS = 200
_ECHO = re.compile(r"^\[.*?\] ?")
_LAST_WEEKDAY = re.compile(r"^([0-7]|sun|mon|tue|wed|thu|fri|sat)l$", re.IGNORECASE)
_WEEKDAYS = {"sun": "0", "mon": "1", "tue": "2", "wed": "3", "thu": "4", "fri": "5", "sat": "6"}
_RANGE = re.compile(r"^(\w+)-(\w+)(?:/\d+)?$")
_TAKES = (
    ("minutes", "0 to 59"),
    ("hours", "0 to 23"),
    ("days of the month", "1 to 31, and L for the last"),
    ("months", "1 to 12, or jan to dec"),
    ("days of the week", "0 to 7, or sun to sat, fri#2 for the second and 5L for the last Friday of a month"),
    ("seconds", "0 to 59"),
    ("years", "1970 to 2099"),
)
_ALIASES = "@yearly, @annually, @monthly, @weekly, @daily, @midnight and @hourly"

_REFUSED: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_UNSTABLE, lambda _: "is invalid: R and H have no fixed times; write numbers"),
    (
        re.compile(r"^@reboot$", re.IGNORECASE),
        lambda _: "names no time; to run when a machine starts, call `runyard deployment run` at its start",
    ),
    (
        re.compile(r"^@every\b\s*(.*)", re.IGNORECASE),
        lambda match: f"is not a cron expression; write an interval instead: {_interval(match[1])}",
    ),
    (
        re.compile(r"^@(?!(?:yearly|annually|monthly|weekly|daily|midnight|hourly)$).*", re.IGNORECASE),
        lambda _: f"is invalid: the names are {_ALIASES}",
    ),
    (
        re.compile(r"^(?:CRON_)?TZ=(\S+)", re.IGNORECASE),
        lambda match: f"is invalid: it must not contain the time zone; write timezone: {match[1]}",
    ),
    (
        re.compile(r"^\S+ +\S+ +L-(\d+)", re.IGNORECASE),
        lambda match: (
            "is invalid: days before the last of a month are not supported; write "
            f"rrule: FREQ=MONTHLY;BYMONTHDAY=-{int(match[1]) + 1}, with BYHOUR and BYMINUTE"
        ),
    ),
    (
        re.compile(r"^\S+ +\S+ +LW\b", re.IGNORECASE),
        lambda _: (
            "is invalid: LW, the last working day of a month, is not supported; write "
            "rrule: FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1, with BYHOUR and BYMINUTE"
        ),
    ),
)


def _interval(text: str) -> str:
    """The interval of `@every` in seconds, if it can be parsed."""
    units = {"h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"(\d+)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text.strip():
        return "interval: SECONDS"
    return f"interval: {sum(int(number) * units[unit] for number, unit in parts)}"


def check(expression: str, day_or: bool = True) -> None:
    """Refuse an expression that is invalid, or matches no day of any year.

    Raises:
        ScheduleError: with the reason.
    """
    fault = _fault(expression, day_or)
    if fault is None:
        return
    fields = expression.split()
    if len(fields) == _WITH_SECONDS and _fault(seconds_last(fields), day_or) is None:
        fault = (
            f"{fault}; with six fields the seconds come last, so perhaps you mean {seconds_last(fields)!r}"
        )
    raise ScheduleError(f"cron {expression!r} {fault}")


def seconds_last(fields: list[str]) -> str:
    """Six fields with the seconds first, in our order; without seconds if they are 0."""
    first, *rest = fields
    return " ".join(rest if first == "0" else [*rest, first])


@cache
def _library() -> Any:
    """Import croniter. It asks for the machine's word size, for which Python starts the program `file`;
    that takes a twentieth of a deploy, so the answer is patched in.
    """
    asked = platform.architecture
    platform.architecture = lambda *_: (f"{8 * struct.calcsize('P')}bit", "")
    try:
        import croniter
    finally:
        platform.architecture = asked
    return croniter


@lru_cache(maxsize=1024)
def _fault(expression: str, day_or: bool) -> str | None:
    """The fault of an expression, or None. Cached, because a schedule is checked whenever it is read."""
    for pattern, fault in _REFUSED:
        match = pattern.search(expression)
        if match is not None:
            return fault(match)
    count = len(expression.split())
    if not _FIELDS <= count <= _WITH_YEARS and not expression.startswith("@"):
        return (
            f"is invalid: it has {count} field{'s' * (count != 1)}, but needs 5 (minute, hour, day of the "
            "month, month, day of the week), a sixth for seconds, a seventh for years"
        )
    library = _library()
    try:
        library.croniter(
            normal(expression),
            datetime(2000, 1, 1),
            datetime,
            day_or=day_or,
            max_years_between_matches=_YEARS,
        ).get_next()
    except library.CroniterBadDateError:
        return "matches no existing date"
    except (library.CroniterError, ValueError, KeyError, IndexError, OverflowError) as error:
        field = _field_at_fault(expression.split())
        detail = field or _ECHO.sub("", str(error).replace(f"[{normal(expression)}] ", "").strip()).strip()
        return f"is wrong: {detail or 'it cannot be parsed'}"
    return None


def _field_at_fault(fields: list[str]) -> str | None:
    """The first field that is invalid on its own, and its valid values."""
    library = _library()
    for position, field in enumerate(fields):
        alone = ["*"] * len(fields)
        alone[position] = field
        try:
            library.croniter.expand(normal(" ".join(alone)))
        except (library.CroniterError, ValueError, KeyError, IndexError, OverflowError):
            name, takes = _TAKES[position]
            return f"{field!r} in the {name} is invalid; valid are {takes}"
    return None


def normal(expression: str) -> str:
    """Convert an expression to croniter's form.

    5L, the last Friday, is croniter's L5. A range from a value to itself is that value; croniter would treat
    it as
    all values of the field.
    """
    fields = expression.split()
    if len(fields) >= _FIELDS:
        fields = [",".join(map(_single, field.split(","))) for field in fields]
        fields[4] = ",".join(
            _LAST_WEEKDAY.sub(lambda match: f"L{_WEEKDAYS.get(match[1].lower(), match[1])}", part)
            for part in fields[4].split(",")
        )
    return " ".join(fields)


def _single(part: str) -> str:
    match = _RANGE.fullmatch(part)
    if match is None:
        return part
    first, last = (_WEEKDAYS.get(end.lower(), end.lower()).lstrip("0") for end in match.groups())
    return match[1] if first == last else part


def from_to_itself(expression: str) -> list[str]:
    """The ranges of an expression with only one value, such as `3-3`."""
    parts = [part for field in expression.split() for part in field.split(",")]
    return [part for part in dict.fromkeys(parts) if _single(part) != part]


def instants(expression: str, day_or: bool, where: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The instants from about `after` on; callers drop those that are not later.

    croniter only knows wall-clock times; `resolve` decides which instants they are.
    """
    start = first_wall_to_look_at(after, where)
    walls = _library().croniter(
        normal(expression), start, datetime, day_or=day_or, max_years_between_matches=_YEARS
    )
    every_hour = len(walls.expanded[_HOUR]) == 24 or walls.expanded[_HOUR] == ["*"]
    return resolve(_until_the_end(walls), where, every_hour)


def _until_the_end(walls: croniter[datetime]) -> Iterator[datetime]:
    over = _library().CroniterBadDateError
    while True:
        try:
            yield walls.get_next(datetime)
        except (over, OverflowError, ValueError):
            return
