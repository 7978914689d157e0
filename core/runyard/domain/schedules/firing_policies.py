"""What happens to due instants: catch-up after an outage, and overlapping runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from runyard.domain.schedules.instants import instants

if TYPE_CHECKING:
    from runyard.domain.schedules.instants import Schedule

CATCHUP_POLICIES = ("skip", "latest", "all")
OVERLAP_POLICIES = ("allow", "skip", "queue", "replace")

# An instant that is at most this old is not missed: the scheduler was only busy.
GRACE = timedelta(seconds=60)
# Missed instants are counted up to this number; the count of a longer outage is "at least" this.
COUNT_LIMIT = 10_000


class Backlog(NamedTuple):
    """The instants that became due since the last check.

    `newest` are the latest of the missed ones, oldest first. `missed` is the number of missed ones (at least,
    if
    `exact` is False), from `first` on. `on_time` are those within the grace time.
    """

    missed: int
    exact: bool
    first: datetime | None
    newest: list[datetime]
    on_time: list[datetime]


class CatchUp(NamedTuple):
    """Those in `fire` become runs, oldest first; those in `skipped`, from `first` to `last`, do not."""

    fire: list[datetime]
    skipped: int
    first: datetime | None
    last: datetime | None


def backlog(schedule: Schedule, due: datetime, now: datetime, newest: int) -> Backlog:
    """The instants of a schedule from `due` up to `now`, both included.

    Args:
        schedule: a result of `parse`.
        due: the instant at which it was due next.
        now: the current time.
        newest: how many of the missed instants may fire; one more is returned.

    The work is bounded, however long the outage was.
    """
    limit = now - GRACE
    found = [due, *_up_to(schedule, due, now, COUNT_LIMIT)]
    exact = len(found) <= COUNT_LIMIT
    if not exact:
        tail = _latest(schedule, due, now, newest + 1)
        found = [*(instant for instant in found if instant < tail[0]), *tail] if tail else found
    missed = [instant for instant in found if instant < limit]
    on_time = [instant for instant in found if instant >= limit]
    return Backlog(
        missed=len(missed),
        exact=exact,
        first=missed[0] if missed else None,
        newest=missed[-newest - 1 :],
        on_time=on_time,
    )


def _up_to(schedule: Schedule, after: datetime, end: datetime, count: int) -> list[datetime]:
    found = []
    for instant in islice(instants(schedule, after), count):
        if instant > end:
            break
        found.append(instant)
    return found


def _latest(schedule: Schedule, after: datetime, end: datetime, count: int) -> list[datetime]:
    """The last `count` instants up to `end` before the grace time, from a window that grows backwards."""
    window = 2 * GRACE
    while True:
        start = max(after, end - window)
        found = _up_to(schedule, start, end, 4 * COUNT_LIMIT)
        if start == after or sum(instant < end - GRACE for instant in found) >= count:
            return found
        window *= 2


def decide_catchup(policy: str, limit: int, seen: Backlog) -> CatchUp:
    """Decide which instants of a backlog become runs.

    Args:
        policy: `skip`: only those on time; `latest`: the newest of all, if any was missed; `all`: the
            missed ones too, oldest first, at most the `limit` newest.
        limit: for `all`, at least 1.
        seen: from `backlog`.
    """
    # The last of these fire; if more were missed, there is one more than the limit.
    known = [*seen.newest, *seen.on_time]
    fire = seen.on_time
    if policy == "all":
        fire = [*seen.newest[-limit:], *seen.on_time]
    elif policy == "latest" and seen.missed:
        fire = known[-1:]
    skipped = seen.missed + len(seen.on_time) - len(fire)
    if skipped <= 0:
        return CatchUp(fire, 0, None, None)
    last = known[-len(fire) - 1] if len(fire) < len(known) else seen.first
    return CatchUp(fire, skipped, seen.first, last)


def decide_overlap(policy: str, open_runs: int) -> Literal["create", "skip", "replace"]:
    """Decide what an instant does, given the number of unfinished runs of its schedule.

    Args:
        policy: `allow`; `skip`: no run beside an open one; `queue`: one run may wait for the open one,
            a second one is skipped; `replace`: open runs are cancelled.
        open_runs: scheduled, pending, running, paused and cancelling ones.
    """
    if policy == "skip" and open_runs:
        return "skip"
    if policy == "queue" and open_runs > 1:
        return "skip"
    if policy == "replace" and open_runs:
        return "replace"
    return "create"
