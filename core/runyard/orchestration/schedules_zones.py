"""Time zones: finding one by name, and which instants a wall-clock time stands for."""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

from runyard.errors import ScheduleError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECOND = timedelta(seconds=1)


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name.

    Raises:
        ScheduleError: there is none of that name; the message says which one may be meant.
    """
    try:
        return ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        pass
    except KeyError:
        pass
    raise ScheduleError(f"unknown time zone {name!r}{_guess(name)}")


def _guess(name: str) -> str:
    by_lower = {known.lower(): known for known in available_timezones()}
    wanted = name.strip().lower().replace(" ", "_")
    by_city = [known for lower, known in sorted(by_lower.items()) if lower.rpartition("/")[2] == wanted]
    close = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.6)
    guess = by_lower.get(wanted) or next(iter(by_city), None) or (by_lower[close[0]] if close else None)
    return f"; did you mean {guess!r}?" if guess else "; use an IANA name such as 'Europe/Berlin'"


def wall_time(instant: datetime, where: ZoneInfo) -> datetime:
    """The naive wall-clock time of an aware instant in a zone; `fold` is kept."""
    return instant.astimezone(where).replace(tzinfo=None)


def instants_of(wall: datetime, where: ZoneInfo) -> tuple[datetime, datetime | None, bool]:
    """The instants that a naive wall-clock time stands for.

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
    # The offset changes once in (before, after]; zones keep whole seconds.
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
    """The naive wall time, in whole seconds, such that later ones hold all instants after `after`.

    That is the wall time of `after` itself, except during the first pass of a repeated hour: what
    clocks showed since it began comes again.
    """
    wall = wall_time(after, where)
    start = wall.replace(microsecond=0, fold=0)
    first, second, exists = instants_of(start, where)
    if exists and second is not None and not wall.fold:
        return start - (second - first) - _SECOND
    return start


def resolve(walls: Iterable[datetime], where: ZoneInfo, every_hour: bool) -> Iterator[datetime]:
    """The instants of increasing naive wall times, strictly increasing, aware and in UTC.

    A wall time that clocks show twice counts at its first showing; one that they skip counts at the
    end of the gap. Where `every_hour` is set the times are a rhythm rather than appointments: those
    shown twice count twice, those skipped are left out.
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
