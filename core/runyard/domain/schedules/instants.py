"""Schedules: parses a specification, and computes its instants, with daylight saving time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from runyard.base import clock
from runyard.base.errors import ScheduleError
from runyard.domain.durations import read_duration
from runyard.domain.schedules import cron as cron_rules
from runyard.domain.schedules.time_zones import instants_of, wall_time, zone

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# The start of a specification that has none.
DEFAULT_START = datetime(2020, 1, 1, tzinfo=UTC)

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)
_SHORTEST = timedelta(seconds=1)


class Cron(NamedTuple):
    """Fires at the wall-clock times that a cron expression matches."""

    cron: str
    timezone: str | None = None
    day_or: bool = True


class Interval(NamedTuple):
    """Fires at `anchor` and every `interval` before and after it."""

    interval: timedelta
    anchor: datetime = DEFAULT_START
    timezone: str | None = None


class RRule(NamedTuple):
    """Fires as an RFC 5545 recurrence rule says."""

    rrule: str
    timezone: str = "UTC"


class OneOff(NamedTuple):
    """Fires once."""

    at: datetime


Schedule: TypeAlias = Cron | Interval | RRule | OneOff

# The last result of `next_instant` for a schedule: the question and the answer.
_answers: dict[Schedule, tuple[datetime, datetime | None]] = {}
_MOST_ANSWERS = 4096

_KEYS = {
    "cron": {"cron", "timezone", "day_or"},
    "interval": {"interval", "anchor_date", "timezone"},
    "rrule": {"rrule", "timezone"},
    "at": {"at"},
}


def parse(spec: Mapping[str, Any] | Schedule) -> Schedule:
    """Parse a specification.

    Args:
        spec: `{"cron": ..}`, `{"interval": ..}`, `{"rrule": ..}` or `{"at": ..}` with its other keys.
            An interval is a number of seconds, `HH:MM:SS`, an ISO 8601 duration or a timedelta; a time is
            a datetime or ISO 8601 text. A time without an offset is in the schedule's time zone.

    Raises:
        ScheduleError: it is invalid, or never fires.
    """
    if isinstance(spec, (Cron, Interval, RRule, OneOff)):
        return spec
    kinds = [kind for kind in _KEYS if spec.get(kind) is not None]
    if len(kinds) != 1:
        raise ScheduleError("a schedule needs exactly one of cron, interval, rrule and at")
    kind = kinds[0]
    extra = sorted(key for key in spec if key not in _KEYS[kind] and spec[key] is not None)
    if extra:
        raise ScheduleError(f"{extra[0]!r} is not valid in a schedule with {kind!r}")
    name = check_zone(spec)
    if kind == "cron":
        cron = Cron(_text(spec["cron"], "cron"), name, spec.get("day_or") is not False)
        cron_rules.check(cron.cron, cron.day_or)
        return cron
    if kind == "interval":
        length = _duration(spec["interval"])
        anchor = _moment(spec.get("anchor_date") or DEFAULT_START, "anchor_date", name)
        return Interval(length, anchor, name)
    if kind == "rrule":
        from runyard.domain.schedules.rrule import read  # 3 ms, as below

        text, where = read(_text(spec["rrule"], "rrule"), name)
        return RRule(text, where)
    return OneOff(_moment(spec["at"], "at"))


def check_zone(spec: Mapping[str, Any]) -> str | None:
    """The name of a specification's time zone, or None.

    Raises:
        ScheduleError: it is empty or unknown.
    """
    name = spec.get("timezone")
    if name is None:
        return None
    if not isinstance(name, str) or not name.strip():
        raise ScheduleError(f"unknown time zone timezone={name!r}; omit it for UTC")
    zone(name.strip())
    return name.strip()


def instants(spec: Mapping[str, Any] | Schedule, after: datetime) -> Iterator[datetime]:
    """The instants of a schedule in UTC, strictly increasing, from just after `after`."""
    schedule = parse(spec)
    if isinstance(schedule, OneOff):
        found: Iterator[datetime] = iter([schedule.at.astimezone(UTC)])
    elif isinstance(schedule, Interval):
        found = _interval_instants(schedule, after)
    elif isinstance(schedule, Cron):
        where = zone(schedule.timezone or "UTC")
        found = cron_rules.instants(schedule.cron, schedule.day_or, where, after)
    else:
        from runyard.domain.schedules.rrule import instants as rrule_instants

        found = rrule_instants(schedule.rrule, zone(schedule.timezone), after)
    return (instant for instant in found if instant > after)


def between(
    spec: Mapping[str, Any] | Schedule, first: datetime, last: datetime, reverse: bool = False
) -> Iterator[datetime]:
    """The instants from `first` until before `last`, as an iterator.

    Args:
        spec: a specification, or a result of `parse`.
        first, last: aware datetimes.
        reverse: latest first; the search runs backwards, so the latest instants are cheap.

    Raises:
        ScheduleError: the specification is invalid.
    """
    schedule = parse(spec)
    if not reverse:
        yield from takewhile(lambda instant: instant < last, instants(schedule, first - _TICK))
        return
    window = timedelta(hours=1)
    while last > first:
        begin = max(first, last - window)
        found = list(between(schedule, begin, last))
        yield from reversed(found)
        last = begin
        # Some hundred at a time, however often the schedule fires.
        window = window * 2 if len(found) < 100 else window / 2 if len(found) > 1000 else window


def next_instants(spec: Mapping[str, Any] | Schedule, after: datetime, count: int) -> list[datetime]:
    """The next instants of a schedule.

    Args:
        spec: a specification, or a result of `parse`.
        after: an aware datetime; the instants are strictly later.
        count: the maximum number; fewer if the schedule ends.

    Raises:
        ScheduleError: the specification is invalid.
    """
    return list(islice(instants(spec, after), count))


def next_instant(spec: Mapping[str, Any] | Schedule, after: datetime) -> datetime | None:
    """The next instant strictly after `after`, or None if the schedule never fires again.

    The last result per schedule is cached: a slow rule is computed once, before the transaction that asks
    again.

    Raises:
        ScheduleError: the specification is invalid, or the next instant is not found within the step budget.
    """
    schedule = parse(spec)
    known = _answers.get(schedule)
    if known is not None and known[0] <= after and (known[1] is None or after < known[1]):
        return known[1]
    found = next(instants(schedule, after), None)
    if len(_answers) >= _MOST_ANSWERS:
        _answers.clear()
    _answers[schedule] = (after, found)
    return found


def to_spec(schedule: Schedule) -> dict[str, Any]:
    """The specification of a schedule as it is stored and shown: times as text, interval in seconds."""
    if isinstance(schedule, Cron):
        return {"cron": schedule.cron, "timezone": schedule.timezone, "day_or": schedule.day_or}
    if isinstance(schedule, Interval):
        return {
            "interval": schedule.interval.total_seconds(),
            "anchor_date": clock.format_time(schedule.anchor),
            "timezone": schedule.timezone,
        }
    if isinstance(schedule, RRule):
        return {"rrule": schedule.rrule, "timezone": schedule.timezone}
    return {"at": clock.format_time(schedule.at)}


def canonical(spec: Mapping[str, Any] | Schedule, anchored: bool = True) -> str:
    """A text that is equal for two specifications of the same schedule.

    Args:
        spec: the specification.
        anchored: False ignores an interval's anchor, to compare with a specification without one.
    """
    shown = to_spec(parse(spec))
    if not anchored:
        shown.pop("anchor_date", None)
    if "cron" in shown:
        shown["cron"] = " ".join(shown["cron"].lower().split())
    if "at" not in shown:
        shown["timezone"] = shown["timezone"] or "UTC"
    return json.dumps(shown, sort_keys=True, separators=(",", ":"))


def describe(spec: Mapping[str, Any] | Schedule) -> str:
    """A short description of a schedule, such as `cron: 0 6 * * * (Europe/Berlin)`."""
    schedule = parse(spec)
    where = getattr(schedule, "timezone", None)
    suffix = f" ({where})" if where and where != "UTC" else ""
    if isinstance(schedule, Cron):
        return f"cron: {schedule.cron}{suffix}"
    if isinstance(schedule, Interval):
        return f"interval: {schedule.interval}{suffix}"
    if isinstance(schedule, RRule):
        from runyard.domain.schedules.rrule import shown

        return f"rrule: {shown(schedule.rrule)}{suffix}"
    return f"at: {clock.format_time(schedule.at)}"


def _interval_instants(schedule: Interval, after: datetime) -> Iterator[datetime]:
    where = schedule.timezone or "UTC"
    try:
        # Whole days keep their wall-clock time; any other interval is elapsed time.
        if where != "UTC" and schedule.interval % _DAY == timedelta(0):
            yield from _calendar_instants(schedule, after, where)
            return
        step = (after - schedule.anchor) // schedule.interval + 1
        instant = schedule.anchor.astimezone(UTC) + step * schedule.interval
        while True:
            yield instant
            instant += schedule.interval
    except OverflowError:
        return


def _calendar_instants(schedule: Interval, after: datetime, where: str) -> Iterator[datetime]:
    place = zone(where)
    anchor = wall_time(schedule.anchor, place).replace(fold=0)
    # Start one step early: a wall-clock time may differ by up to one day from elapsed time.
    step = (wall_time(after, place) - anchor) // schedule.interval - 1
    last: datetime | None = None
    while True:
        instant = instants_of(anchor + step * schedule.interval, place)[0]
        if last is None or instant > last:
            last = instant
            yield instant
        step += 1


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ScheduleError(f"{key} must be a text, not {value!r}")
    return value.strip()


def _moment(value: Any, key: str, where: str | None = None) -> datetime:
    """Parse a time to UTC; a time without an offset is in the time zone."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(moment, datetime):
            if moment.tzinfo is None:
                return instants_of(moment, zone(where or "UTC"))[0]
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ScheduleError(f"invalid time {key}={value!r}; write it as 2026-01-31T06:00:00Z")


def _duration(value: Any) -> timedelta:
    try:
        length = read_duration(value)
    except ValueError as error:
        raise ScheduleError(f"interval: {error}") from None
    if length < _SHORTEST:
        raise ScheduleError(f"interval={value!r} must be at least 1 second")
    return length
