"""What becomes of instants when they are due: catching up after an outage, and overlapping runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Literal, NamedTuple

from runyard.domain.schedules.instants import instants

if TYPE_CHECKING:
    from runyard.domain.schedules.instants import Schedule

CATCHUP_POLICIES = ("skip", "latest", "all")
OVERLAP_POLICIES = ("allow", "skip", "queue", "replace")

# An instant this little ago was not missed: whoever schedules was only busy for a moment.
GRACE = timedelta(seconds=60)
# Instants of an outage are counted up to here; a longer one is told as "at least".
COUNT_LIMIT = 10_000


class Backlog(NamedTuple):
    """The instants that came due since somebody last looked.

    `newest` are the latest of the missed ones, oldest first; `missed` is how many were missed (at
    least, where `exact` is False), from `first` on. `on_time` are those within the grace.
    """

    missed: int
    exact: bool
    first: datetime | None
    newest: list[datetime]
    on_time: list[datetime]


class CatchUp(NamedTuple):
    """`fire` instants become runs, oldest first; `skipped` make none: `first` to `last`."""

    fire: list[datetime]
    skipped: int
    first: datetime | None
    last: datetime | None


def backlog(schedule: Schedule, due: datetime, now: datetime, newest: int) -> Backlog:
    """The instants of a schedule from `due` up to `now`, both included.

    Args:
        schedule: as `parse` made it.
        due: the instant it was due next.
        now: the present.
        newest: how many of the missed instants may have to fire; one more is returned.

    The work is bounded however long the outage was.
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
    """The last instants up to `end` that hold `count` before the grace: a window grown backwards."""
    window = 2 * GRACE
    while True:
        start = max(after, end - window)
        found = _up_to(schedule, start, end, 4 * COUNT_LIMIT)
        if start == after or sum(instant < end - GRACE for instant in found) >= count:
            return found
        window *= 2


def decide_catchup(policy: str, limit: int, seen: Backlog) -> CatchUp:
    """Which instants of a backlog become runs.

    Args:
        policy: `skip`: those on time only; `latest`: the newest of all, when any was missed; `all`: the
            missed ones too, oldest first, at most the `limit` newest.
        limit: for `all`, at least 1.
        seen: from `backlog`.
    """
    # What fires is the end of these; there is one more, where more were missed.
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
    """What an instant does, given how many runs of its schedule are not over.

    Args:
        policy: `allow`; `skip`: no run beside an open one; `queue`: one run may wait for the open one,
            a second one makes none; `replace`: open runs are cancelled.
        open_runs: scheduled, pending, running, paused and cancelling ones.
    """
    if policy == "skip" and open_runs:
        return "skip"
    if policy == "queue" and open_runs > 1:
        return "skip"
    if policy == "replace" and open_runs:
        return "replace"
    return "create"
