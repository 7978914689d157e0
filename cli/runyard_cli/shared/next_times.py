"""The next times of schedules: of deployments, as they are stored, or of one schedule given by flags."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard_cli.shared.client import body
from runyard_cli.shared.schedule_texts import timing, zone_of

if TYPE_CHECKING:
    from datetime import datetime

    from runyard.client import Client

_PAGE = 1_000


class NextTime(NamedTuple):
    """A time at which a schedule is due.

    Args:
        instant: when, in UTC.
        timezone: the zone in which it is shown: the schedule's own, or the one that was asked for.
        schedule: the slug of the schedule, or the schedule in words.
        note: what the clocks of the schedule's zone do then, or None.
        deployment: `flow/name`, or None for a schedule given by flags.
        paused: whether the schedule or its deployment is paused.
    """

    instant: datetime
    timezone: str
    schedule: str
    note: str | None = None
    deployment: str | None = None
    deployment_id: str | None = None
    schedule_id: str | None = None
    paused: bool = False

    @property
    def local(self) -> datetime:
        """The instant in its time zone."""
        from runyard.domain.schedules.time_zones import zone

        return self.instant.astimezone(zone(self.timezone))

    def to_json(self) -> dict[str, Any]:
        """Its form for programs."""
        return {
            "local": self.local.isoformat(),
            "utc": self.instant.isoformat().replace("+00:00", "Z"),
            "timezone": self.timezone,
            "schedule": self.schedule,
            "note": self.note,
            "deployment": self.deployment,
            "deployment_id": self.deployment_id,
            "schedule_id": self.schedule_id,
            "paused": self.paused,
        }


def of_spec(
    spec: dict[str, Any], after: datetime, until: datetime | None, count: int, tz: str | None
) -> list[NextTime]:
    """The next times of one schedule.

    Args:
        spec: its specification.
        after: the times are later than this.
        until: and before this; None: without an end.
        count: how many at most.
        tz: the zone in which they are shown; None: the schedule's.

    Raises:
        ScheduleError: the specification is invalid.
    """
    from runyard.domain.schedules.clock_changes import note_of
    from runyard.domain.schedules.instants import instants

    zone = zone_of(spec)
    found = instants(spec, after)
    if until is not None:
        last = until
        found = itertools.takewhile(lambda instant: instant < last, found)
    words = timing(spec)
    return [
        NextTime(instant, tz or zone, words, note_of(instant, zone))
        for instant in itertools.islice(found, count)
    ]


def of_deployments(
    client: Client,
    after: datetime,
    until: datetime | None,
    count: int,
    tz: str | None,
    *,
    paused: bool = False,
    **filters: Any,
) -> list[NextTime]:
    """The next times of the schedules of deployments, the earliest first.

    Args:
        client: where they are stored.
        after, until, count, tz: as for `of_spec`.
        paused: also those of paused schedules and of paused deployments.
        filters: which deployments: filter objects of the API.
    """
    from runyard.operations.schedules.all_schedules import next_times

    found: list[Any] = []
    while len(found) < count:
        size = min(_PAGE, count - len(found))
        page = client.call(
            next_times,
            body=body(
                next_times,
                after=after,
                until=until,
                paused=paused,
                limit=size,
                offset=len(found),
                **filters,
            ),
        )
        found += page
        if len(page) < size:
            break
    return [
        NextTime(
            each.instant,
            tz or each.timezone,
            each.slug or timing(each.schedule.model_dump(mode="json")),
            each.note,
            f"{each.flow_name}/{each.deployment_name}",
            each.deployment_id,
            each.schedule_id,
            each.paused,
        )
        for each in found
    ]
