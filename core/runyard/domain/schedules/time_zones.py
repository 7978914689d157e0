"""Time zones: finds one by name, and converts wall-clock times to instants."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from runyard.base.errors import ScheduleError
from runyard.base.suggestions import closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECOND = timedelta(seconds=1)
_OFFSET = re.compile(r"(etc/gmt|etc/utc|gmt|utc|)_*([+-])_*(\d{1,2})(?::?(\d\d))?")
# Names up to this length are too similar to suggest one.
_SHORT = 4
# Abbreviations that clocks show but that are not time zones: the same letters mean several.
_ABBREVIATIONS = {
    "cst": "'America/Chicago' or 'Asia/Shanghai'", "cdt": "'America/Chicago'",
    "pst": "'America/Los_Angeles'", "pdt": "'America/Los_Angeles'", "pt": "'America/Los_Angeles'",
    "edt": "'America/New_York'", "et": "'America/New_York'", "ct": "'America/Chicago'",
    "mdt": "'America/Denver'", "mt": "'America/Denver'", "akst": "'America/Anchorage'",
    "bst": "'Europe/London'", "ist": "'Asia/Kolkata', 'Asia/Jerusalem' or 'Europe/Dublin'",
    "cest": "'Europe/Berlin'", "eest": "'Europe/Athens'", "west": "'Europe/Lisbon'",
    "msk": "'Europe/Moscow'", "jst": "'Asia/Tokyo'", "kst": "'Asia/Seoul'", "hkt": "'Asia/Hong_Kong'",
    "sgt": "'Asia/Singapore'", "aest": "'Australia/Sydney' or 'Australia/Brisbane'",
    "aedt": "'Australia/Sydney'", "acst": "'Australia/Darwin'", "awst": "'Australia/Perth'",
    "nzst": "'Pacific/Auckland'", "nzdt": "'Pacific/Auckland'", "brt": "'America/Sao_Paulo'",
    "sast": "'Africa/Johannesburg'", "eat": "'Africa/Nairobi'", "wat": "'Africa/Lagos'", "z": "'UTC'",
}  # fmt: skip


class UnknownZone(ScheduleError):
    """The time zone does not exist."""


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises:
        UnknownZone: the name is unknown; the message suggests another.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    raise UnknownZone(f"unknown time zone {name!r}{_guess(name)}")


def _guess(name: str) -> str:
    """A suggestion for an unknown name. It never changes an offset or its sign."""
    wanted = name.strip().lower().replace(" ", "_")
    offset = _OFFSET.fullmatch(wanted)
    if offset is not None:
        return _of_offset(name, offset)
    if wanted in _ABBREVIATIONS:
        return f"; did you mean {_ABBREVIATIONS[wanted]}?"
    by_lower = {known.lower(): known for known in available_timezones()}
    by_city = [known for lower, known in sorted(by_lower.items()) if lower.rpartition("/")[2] == wanted]
    guess = by_lower.get(wanted) or next(iter(by_city), None)
    if guess is None and len(wanted) > _SHORT:
        regions = [lower for lower in by_lower if "/" in lower and not lower.startswith("etc/")]
        close = closest(wanted, regions, cutoff=0.8)
        guess = by_lower[close] if close else None
    return f"; did you mean {guess!r}?" if guess else "; use an IANA name such as 'Europe/Berlin'"


def _of_offset(name: str, offset: re.Match[str]) -> str:
    """The name of a fixed offset; IANA's Etc names have the inverted sign."""
    prefix, sign, hours, minutes = offset.groups()
    if int(hours) == 0 and not int(minutes or 0):
        return "; did you mean 'UTC'?"
    region = "a region such as 'Europe/Berlin' is better, because it has daylight saving"
    if prefix == "etc/gmt":  # with a leading zero
        sign = {"+": "-", "-": "+"}[sign]
    ahead = sign == "+"
    if int(minutes or 0) or int(hours) > (14 if ahead else 12):
        return f"; {region}"
    which = f"Etc/GMT{'-' if ahead else '+'}{int(hours)}"
    side = "ahead of" if ahead else "behind"
    return f"; {int(hours)} hours {side} UTC are {which!r} (the sign is inverted); {region}"


def wall_time(instant: datetime, where: ZoneInfo) -> datetime:
    """The naive wall-clock time of an aware instant in a time zone; `fold` is kept."""
    return instant.astimezone(where).replace(tzinfo=None)


def instants_of(wall: datetime, where: ZoneInfo) -> tuple[datetime, datetime | None, bool]:
    """The instants of a naive wall-clock time.

    Returns:
        (first, second, exists): `second` is the later instant of a time that clocks show twice, else
        None. For a time that clocks skip, `exists` is False and `first` is the end of the gap: the
        first instant after the clocks went forward.
    """
    early = wall.replace(tzinfo=where, fold=0)
    late = wall.replace(tzinfo=where, fold=1)
    first = early.astimezone(UTC)
    if early.utcoffset() == late.utcoffset():
        return first, None, True
    second = late.astimezone(UTC)
    if second > first:
        return first, second, True
    return _gap_end(second, first, where), None, False


def _gap_end(before: datetime, after: datetime, where: ZoneInfo) -> datetime:
    # The offset changes once in (before, after]; offsets are whole seconds.
    before, after = before.replace(microsecond=0), after.replace(microsecond=0)
    old = before.astimezone(where).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=int((after - before).total_seconds()) // 2)
        if middle.astimezone(where).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after


def first_wall_to_look_at(after: datetime, where: ZoneInfo) -> datetime:
    """The naive wall-clock time, in whole seconds, after which all instants after `after` lie.

    It is the wall-clock time of `after`, except in the first pass of a repeated hour: the clocks show the
    times
    since its start again.
    """
    wall = wall_time(after, where)
    start = wall.replace(microsecond=0, fold=0)
    first, second, exists = instants_of(start, where)
    if exists and second is not None and not wall.fold:
        return start - (second - first) - _SECOND
    return start


def resolve(walls: Iterable[datetime], where: ZoneInfo, every_hour: bool) -> Iterator[datetime]:
    """The instants of increasing naive wall-clock times, strictly increasing, aware and in UTC.

    A time that clocks show twice counts once, at its first showing; a time that they skip counts at the end
    of
    the gap. With `every_hour`, times shown twice count twice, and skipped ones are omitted.
    """
    repeats: list[datetime] = []
    last: datetime | None = None
    for wall in walls:
        first, second, exists = instants_of(wall, where)
        while repeats and repeats[0] <= first:
            repeat = repeats.pop(0)
            if last is None or repeat > last:
                last = repeat
                yield repeat
        if every_hour and not exists:
            continue
        if last is None or first > last:
            last = first
            yield first
        if every_hour and second is not None:
            repeats.append(second)
    yield from (repeat for repeat in repeats if last is None or repeat > last)
