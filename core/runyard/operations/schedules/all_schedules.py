"""The schedules of all deployments: a listing, and their next times in one order."""

from __future__ import annotations

import heapq
import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import InvalidInput, ScheduleError
from runyard.domain.schedules import instants as rules
from runyard.domain.schedules.clock_changes import note_of
from runyard.operations.filters import query
from runyard.operations.filters.criteria import Criteria
from runyard.operations.operation import operation
from runyard.operations.schedules import schedules
from runyard.operations.schedules.schedule_shapes import (
    CronSchedule,
    DeploymentSchedule,
    IntervalSchedule,
    OneOffSchedule,
    RRuleSchedule,
)
from runyard.operations.schemas import Filter, Model, Time, load
from runyard.store.database import Row, Transaction

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_TIMES = 1_000
_FROM = """FROM deployment_schedules s JOIN deployments d ON d.id = s.deployment_id
    JOIN flows df ON df.id = d.flow_id LEFT JOIN work_queues dq ON dq.id = d.work_queue_id
    LEFT JOIN work_pools dp ON dp.id = dq.work_pool_id"""
_COLUMNS = """s.*, d.name AS deployment_name, d.paused AS deployment_paused, df.name AS flow_name,
    dp.name AS work_pool_name"""
_SORTS = {
    "NEXT_DUE_ASC": "s.next_due IS NULL, s.next_due, df.name, d.name, s.created, s.id",
    "NAME_ASC": "df.name, d.name, s.created, s.id",
    "CREATED_DESC": "s.created DESC, s.id DESC",
}


class ListedSchedule(DeploymentSchedule):
    """A schedule with the names of its deployment, flow and work pool."""

    deployment_name: str
    deployment_paused: bool = False
    flow_name: str
    work_pool_name: str | None = None


class ScheduleFilter(Filter):
    """Which schedules: filters of their deployments, flows, pools and queues, and `schedules` itself.

    `schedules`: `id` and `slug` with `any_`, `active` with `eq_`.
    """

    schedules: dict[str, Any] | None = None


class ScheduleListing(ScheduleFilter):
    """Which schedules to list. `sort`: NEXT_DUE_ASC (default), NAME_ASC or CREATED_DESC."""

    limit: int | None = None
    offset: int | None = None
    sort: str | None = None


class NextTimesFilter(ScheduleFilter):
    """Which next times to list: those after `after` (default: now) and before `until`.

    `paused`: also those of paused schedules and of paused deployments. `limit`: default and maximum 1000.
    """

    after: Time | None = None
    until: Time | None = None
    paused: bool = False
    limit: int = Field(default=_MOST_TIMES, ge=0, le=_MOST_TIMES)
    offset: int = Field(default=0, ge=0, le=100_000)


class NextTime(Model):
    """A time at which a schedule is due. `note` says if the clocks of its zone change then."""

    instant: Time
    timezone: str
    note: str | None = None
    schedule_id: str
    slug: str | None = None
    schedule: CronSchedule | IntervalSchedule | RRuleSchedule | OneOffSchedule
    paused: bool = False
    deployment_id: str
    deployment_name: str
    flow_name: str
    work_pool_name: str | None = None


@operation("POST", "/runyard/schedules/filter")
def filter_schedules(tx: Transaction, body: ScheduleListing) -> list[ListedSchedule]:
    """List schedules of all deployments, the one that is due next first unless `sort` is given.

    Raises:
        InvalidInput: an unknown field, operator or sort value, or a limit out of range.
    """
    limit, offset = query.page(body.model_dump())
    order = _SORTS.get(body.sort or "NEXT_DUE_ASC")
    if order is None:
        raise InvalidInput(f"cannot sort schedules by {body.sort!r}; valid are {', '.join(_SORTS)}")
    where, values = _where(tx, body)
    sql = f"SELECT {_COLUMNS} {_FROM} WHERE {where} ORDER BY {order} LIMIT {limit} OFFSET {offset}"
    return [
        ListedSchedule.model_validate(
            {
                **schedules.to_model(row).model_dump(),
                "deployment_name": row["deployment_name"],
                "deployment_paused": bool(row["deployment_paused"]),
                "flow_name": row["flow_name"],
                "work_pool_name": row["work_pool_name"],
            }
        )
        for row in tx.all(sql, values)
    ]


@operation("POST", "/runyard/schedules/count")
def count_schedules(tx: Transaction, body: ScheduleFilter) -> int:
    """Count the schedules that a filter matches."""
    where, values = _where(tx, body)
    return int(tx.value(f"SELECT count(*) AS n {_FROM} WHERE {where}", values))


@operation("POST", "/runyard/schedules/next_times", write=False)
def next_times(tx: Transaction, body: NextTimesFilter) -> list[NextTime]:
    """List the next times of schedules of all deployments, the earliest first.

    A schedule whose times are not found within the step budget is left out.

    Raises:
        InvalidInput: an unknown field or operator.
    """
    where, values = _where(tx, body)
    if not body.paused:
        where += " AND s.active = 1 AND d.paused = 0"
    rows = tx.all(f"SELECT {_COLUMNS} {_FROM} WHERE {where} ORDER BY {_SORTS['NEXT_DUE_ASC']}", values)
    now = clock.now()
    after = body.after or now
    found = _merged([_Source.of(row, after, now) for row in rows], after)
    if body.until is not None:
        last = body.until
        found = itertools.takewhile(lambda each: each[0] < last, found)
    return [
        _time(instant, source.row)
        for instant, source in itertools.islice(found, body.offset, body.offset + body.limit)
    ]


def _where(tx: Transaction, body: ScheduleFilter) -> tuple[str, dict[str, Any]]:
    given = body.model_dump(include=set(Filter.model_fields))
    conditions, values = query.conditions(tx, "deployments", given)
    own = Criteria(body.schedules, "schedules")
    own.any_of("id", "s.id").any_of("slug", "s.slug").equal("active", "s.active")
    return " AND ".join([own.where(), *conditions]), {**values, **own.values}


class _Source(NamedTuple):
    """A schedule, and a time before which it is not due."""

    earliest: datetime
    row: Row

    @classmethod
    def of(cls, row: Row, after: datetime, now: datetime) -> _Source:
        # The stored time is the first one from now on; earlier ones are not excluded by it.
        due = row["next_due"] if after >= now else None
        return cls(max(after, clock.from_us(due)) if due is not None else after, row)


def _merged(sources: list[_Source], after: datetime) -> Iterator[tuple[datetime, _Source]]:
    """The times of all schedules in order. A schedule is evaluated only when its turn may have come."""
    waiting = sorted(sources, key=lambda source: source.earliest)
    heap: list[tuple[datetime, int, Iterator[datetime]]] = []
    at = 0
    while heap or at < len(waiting):
        while at < len(waiting) and (not heap or waiting[at].earliest <= heap[0][0]):
            _push(heap, at, _times(waiting[at].row, after))
            at += 1
        if heap:
            instant, index, rest = heapq.heappop(heap)
            yield instant, waiting[index]
            _push(heap, index, rest)


def _push(
    heap: list[tuple[datetime, int, Iterator[datetime]]], index: int, times: Iterator[datetime]
) -> None:
    instant = next(times, None)
    if instant is not None:
        heapq.heappush(heap, (instant, index, times))


def _times(row: Row, after: datetime) -> Iterator[datetime]:
    try:
        yield from rules.instants(load(row["spec"], {}), after)
    except ScheduleError:
        return


def _time(instant: datetime, row: Row) -> NextTime:
    schedule = rules.parse(load(row["spec"], {}))
    zone = getattr(schedule, "timezone", None) or "UTC"
    return NextTime.model_validate(
        {
            "instant": instant.astimezone(UTC),
            "timezone": zone,
            "note": note_of(instant, zone),
            "schedule_id": row["id"],
            "schedule": rules.to_spec(schedule),
            "paused": not row["active"] or bool(row["deployment_paused"]),
            **{
                name: row[name]
                for name in ("slug", "deployment_id", "deployment_name", "flow_name", "work_pool_name")
            },
        }
    )
