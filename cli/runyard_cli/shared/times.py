"""The one rule for time: how commands show moments and durations.

Schedules are shown in their own time zone, everything else in the zone of the user, and the zone is always
printed. Lists show relative times; `-o wide` shows absolute ones.
"""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, tzinfo

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")  # in English, whatever the locale
_YEAR_SECONDS = 365.25 * 86_400
# Units, their sizes, and from how many seconds on a duration is rounded to them: 36 hours, but 2 days.
_ROUGH = (
    ("year", _YEAR_SECONDS, 2 * _YEAR_SECONDS),
    ("day", 86_400.0, 129_600.0),
    ("hour", 3_600.0, 3_570.0),
    ("minute", 60.0, 59.5),
    ("second", 1.0, 1.0),
)
# How operations write a moment in their texts.
_UTC_IN_TEXT = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC\b")
_LOCALTIME = "/etc/localtime"


def absolute(moment: datetime | None, zone: str | tzinfo | None = None, precise: bool = False) -> str:
    """A moment with its time zone: `2026-11-29 07:00:00 CET`.

    Args:
        moment: aware; None is an empty text.
        zone: an IANA name or a zone, such as the schedule's; None: the user's zone.
        precise: with milliseconds, as log records have them.

    Returns:
        The text. A zone without an abbreviation is shown as its offset: `2026-11-29 03:00:00 -03`.

    Raises:
        UnknownZone: there is no zone of this name.
    """
    if moment is None:
        return ""
    shown = in_zone(moment, zone)
    text = shown.replace(tzinfo=None).isoformat(" ", "milliseconds" if precise else "seconds")
    return f"{text} {shown.tzname()}"


def in_zone(moment: datetime, zone: str | tzinfo | None = None) -> datetime:
    """A moment as the clocks of a time zone show it; in UTC where its calendar ends before.

    Args:
        moment: aware.
        zone: as for `absolute`.

    Raises:
        UnknownZone: there is no zone of this name.
    """
    try:
        return moment.astimezone(_zone(zone))
    except OverflowError:  # the first or last day of all
        return moment.astimezone(UTC)


def relative(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, or in how long: `3 minutes ago`, `in 2 hours`, `now`.

    Args:
        moment: aware; None is an empty text.
        now: the present; None: by the clock that all machines of the installation agree on.
    """
    if moment is None:
        return ""
    if now is None:
        from runyard.base import clock

        now = clock.now()
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "now"
    text = rough(abs(seconds))
    return f"{text} ago" if seconds > 0 else f"in {text}"


def both(moment: datetime | None, zone: str | tzinfo | None = None, now: datetime | None = None) -> str:
    """A moment in both forms: `2026-11-29 07:00:00 CET (in 2 hours)`.

    Args:
        moment: aware; None is an empty text.
        zone: as for `absolute`.
        now: as for `relative`.
    """
    return f"{absolute(moment, zone)} ({relative(moment, now)})" if moment else ""


def with_day(moment: datetime | None, zone: str | tzinfo | None = None) -> str:
    """A moment with its day of the week: `Mon 2026-11-30 06:00:00 CET`.

    Args:
        moment: aware; None is an empty text.
        zone: as for `absolute`.
    """
    if moment is None:
        return ""
    return f"{_WEEKDAYS[in_zone(moment, zone).weekday()]} {absolute(moment, zone)}"


def cell(moment: datetime | None, wide: bool, zone: str | tzinfo | None = None) -> str:
    """A moment in a list: relative, or absolute with `-o wide`.

    Args:
        moment: aware; None is an empty cell.
        wide: whether the list is shown with `-o wide`.
        zone: as for `absolute`.
    """
    return absolute(moment, zone) if wide else relative(moment)


def rough(seconds: float) -> str:
    """A duration rounded to one unit: `12 seconds`, `36 hours`, `2 days`, `3 years`."""
    for unit, size, least in _ROUGH:
        if seconds >= least:
            return _counted(round(seconds / size), unit)
    return f"{seconds:.1f} seconds"


def texts_in_zone(text: str, zone: str | tzinfo | None = None) -> str:
    """A text of an operation with its moments, which are in UTC, in a time zone.

    Args:
        text: such as `It was due at 2026-11-29 06:00:00 UTC (5 min ago).`
        zone: as for `absolute`; None: the user's.
    """
    where = _zone(zone)

    def shown(found: re.Match[str]) -> str:
        try:
            return absolute(datetime.fromisoformat(found[1]).replace(tzinfo=UTC), where)
        except ValueError:
            return found[0]

    return _UTC_IN_TEXT.sub(shown, text)


def user_zone_name() -> str | None:
    """The IANA name of the user's time zone: of the variable TZ or of the machine; None if unknown."""
    name = os.environ.get("TZ", "").lstrip(":")
    if not name:
        path = os.path.realpath(_LOCALTIME)
        name = path.partition("/zoneinfo/")[2].removeprefix("posix/").removeprefix("right/")
    if not name:
        return None
    from runyard.base.errors import ScheduleError
    from runyard.domain.schedules.time_zones import zone

    try:
        return zone(name).key
    except ScheduleError:  # such as `CET-1CEST`, or a file
        return None


def _zone(given: str | tzinfo | None) -> tzinfo | None:
    if not isinstance(given, str):
        return given
    from runyard.domain.schedules.time_zones import zone

    return zone(given)


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
