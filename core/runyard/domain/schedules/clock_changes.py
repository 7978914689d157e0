"""Notes for instants at which the clocks of a schedule's time zone change."""

from __future__ import annotations

from datetime import datetime, timedelta

from runyard.domain.schedules.time_zones import instants_of, wall_time, zone

_SECOND = timedelta(seconds=1)


def note_of(instant: datetime, zone_name: str) -> str | None:
    """What is special about an instant: the clocks of the zone change, or show its time twice.

    Args:
        instant: an aware datetime.
        zone_name: the IANA name of the schedule's time zone.

    Returns:
        A note in words, or None.

    Raises:
        UnknownZone: the zone is unknown.
    """
    if zone_name == "UTC":
        return None
    where = zone(zone_name)
    before = (instant - _SECOND).astimezone(where)
    local = instant.astimezone(where)
    if (local.utcoffset() or timedelta()) > (before.utcoffset() or timedelta()):
        missing = f"{(before + _SECOND).replace(tzinfo=None):%H:%M} to {local:%H:%M}"
        return f"the clocks go forward: {missing} does not exist"
    _, second, exists = instants_of(wall_time(instant, where).replace(fold=0), where)
    if exists and second is not None:
        which = "second" if instant == second else "first"
        return f"the clocks go back: {local:%H:%M} comes twice, this is the {which}"
    return None
