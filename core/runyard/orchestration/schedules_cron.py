"""Cron expressions: checking one, and its instants in a zone."""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from croniter import CroniterBadDateError, CroniterError, croniter

from runyard.errors import ScheduleError
from runyard.orchestration.schedules_zones import first_wall_to_look_at, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

# croniter draws a new number for R each time it reads the text, and hashes for H need a name.
_UNSTABLE = re.compile(r"\b[RH]\b", re.IGNORECASE)
_HOUR = 1


def check(expression: str, day_or: bool = True) -> None:
    """Refuse an expression that is wrong, or matches no day of any year.

    Raises:
        ScheduleError: with the reason.
    """
    if _UNSTABLE.search(expression):
        raise ScheduleError(f"cron {expression!r}: R and H have no fixed times; write numbers")
    try:
        croniter(expression, datetime(2000, 1, 1), datetime, day_or=day_or).get_next()
    except CroniterBadDateError:
        raise ScheduleError(f"cron {expression!r} matches no date that exists") from None
    except (CroniterError, ValueError, KeyError, IndexError, OverflowError) as error:
        detail = str(error).replace(f"[{expression}] ", "").strip() or "it cannot be read"
        raise ScheduleError(f"cron {expression!r} is wrong: {detail}") from None


def instants(expression: str, day_or: bool, where: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """The instants, from about `after` on: callers drop those that are not later.

    croniter knows wall-clock times only; which instants they stand for is decided by `resolve`.
    """
    start = first_wall_to_look_at(after, where)
    walls = croniter(expression, start, datetime, day_or=day_or)
    every_hour = len(walls.expanded[_HOUR]) == 24 or walls.expanded[_HOUR] == ["*"]
    return resolve(_until_the_end(walls), where, every_hour)


def _until_the_end(walls: croniter[datetime]) -> Iterator[datetime]:
    while True:
        try:
            yield walls.get_next(datetime)
        except (CroniterBadDateError, OverflowError, ValueError):
            return
