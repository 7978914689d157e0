"""Which runs of a work pool, or of served deployments, may start now, within all limits. Only reads.

For a queue this is mostly one scan of the index of due runs, as long as the claim is large. If the scan meets
a deployment whose limit is full, the deployments are read one by one through their own index. So the waiting
runs of a full deployment cost nothing and do not block others, even if they are many.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

from runyard.domain import limits
from runyard.operations import lease_clock
from runyard.operations.schedules.schedules import busy_condition
from runyard.operations.schemas import load
from runyard.operations.work_pools.work_queues import queue_rows
from runyard.store.database import Row, Transaction

# The condition is written as in the partial indexes, which databases use only for queries that repeat it.
_DUE = f"""run.work_queue_id = :queue AND run.state_type = 'SCHEDULED'
    AND run.next_scheduled_start_time <= :until AND NOT {busy_condition("run")}"""
_COLUMNS = "run.id, run.deployment_id, run.next_scheduled_start_time AS due"
_ORDER = "ORDER BY run.next_scheduled_start_time, run.id"
# The first due time of each deployment with waiting runs in a queue: a loose index scan. It starts with
# SELECT, because the PostgreSQL driver treats every other statement as a write.
_HEADS = """
    SELECT found.deployment_id, found.due FROM (
        WITH RECURSIVE present (deployment_id) AS (
            SELECT min(run.deployment_id) FROM flow_runs run
            WHERE run.work_queue_id = :queue AND run.state_type = 'SCHEDULED'
            UNION ALL
            SELECT (SELECT min(run.deployment_id) FROM flow_runs run
                    WHERE run.work_queue_id = :queue AND run.state_type = 'SCHEDULED'
                    AND run.deployment_id > present.deployment_id)
            FROM present WHERE present.deployment_id IS NOT NULL
        )
        SELECT present.deployment_id, (
            SELECT min(run.next_scheduled_start_time) FROM flow_runs run
            WHERE run.work_queue_id = :queue AND run.state_type = 'SCHEDULED'
            AND run.deployment_id = present.deployment_id) AS due
        FROM present WHERE present.deployment_id IS NOT NULL
    ) found WHERE found.due <= :until"""
_SERVED = """FROM flow_runs run WHERE run.work_queue_id IS NULL
    AND run.deployment_id = :deployment AND run.state_type = 'SCHEDULED'"""
_SERVED_DUE = (
    f"SELECT run.id, run.next_scheduled_start_time AS due {_SERVED} "
    f"AND run.next_scheduled_start_time <= :until AND NOT {busy_condition('run')} "
    "ORDER BY run.next_scheduled_start_time, run.id LIMIT :room"
)
_SERVED_NEXT = f"SELECT min(run.next_scheduled_start_time) {_SERVED} AND run.next_scheduled_start_time > :now"
# The most runs of one claim.
MOST_AT_ONCE = 200
# The most runs that one claim cancels because their deployment is full.
_CANCEL_BATCH = 200
CANCELLED_AS_NEW = "Its deployment's concurrency limit is full, and its collision strategy is CANCEL_NEW."


class DueRuns(NamedTuple):
    """The ids of runs that may start, of runs to cancel instead, and of the queues that were searched."""

    start: list[str]
    cancel: list[str]
    queue_ids: Sequence[str] = ()


class Slots:
    """The free slots of deployments, counted down while one claim picks its runs.

    Args:
        lock: lock the rows of limited deployments, so that no other transaction uses their slots.
    """

    def __init__(self, tx: Transaction, lock: bool) -> None:
        self._tx = tx
        self._lock = lock and tx.dialect == "postgresql"
        self._left: dict[str, int | None] = {}
        self._cancel_new: set[str] = set()

    def left(self, deployment_id: str | None) -> int | None:
        """How many more runs of a deployment may start. None if it has no limit."""
        if deployment_id is None:
            return None
        if deployment_id not in self._left:
            self._left[deployment_id] = self._read(deployment_id)
        return self._left[deployment_id]

    def cancels(self, deployment_id: str | None) -> bool:
        """Whether runs are cancelled when the deployment is full."""
        return deployment_id in self._cancel_new

    def use(self, deployment_id: str | None) -> None:
        """Count one more run of the deployment as started."""
        left = self.left(deployment_id)
        if deployment_id is not None and left is not None:
            self._left[deployment_id] = left - 1

    def _read(self, deployment_id: str) -> int | None:
        values = {"id": deployment_id}
        sql = "SELECT concurrency_limit, concurrency_options FROM deployments WHERE id = :id"
        row = self._tx.one(sql, values)
        if row is None or row["concurrency_limit"] is None:
            return None
        if self._lock:
            row = self._tx.one(f"{sql} FOR UPDATE", values) or row
        if (load(row["concurrency_options"]) or {}).get("collision_strategy") == "CANCEL_NEW":
            self._cancel_new.add(deployment_id)
        used = self._tx.value("SELECT count(*) FROM leases WHERE deployment_id = :id", values)
        return limits.free(row["concurrency_limit"], used)


def due_of_queue(tx: Transaction, queue_id: str, until_us: int, room: int, slots: Slots) -> DueRuns:
    """Find the runs of a queue that may start.

    Args:
        until_us: only runs due until this time, in microseconds.
        room: the most runs to find.
        slots: the free slots of the deployments. The found runs use them.
    """
    if room <= 0:
        return DueRuns([], [])
    values = {"queue": queue_id, "until": until_us, "room": room}
    rows = tx.all(f"SELECT {_COLUMNS} FROM flow_runs run WHERE {_DUE} {_ORDER} LIMIT :room", values)  # noqa: S608  # fixed
    found, full = DueRuns([], []), set()
    for row in rows:
        if slots.left(row["deployment_id"]) == 0:
            full.add(row["deployment_id"])
        else:
            slots.use(row["deployment_id"])
            found.start.append(row["id"])
    if full and len(rows) == room:
        _look_behind(tx, values, slots, found, full)
    for deployment_id in filter(slots.cancels, full):
        found.cancel.extend(_all_due_of(tx, values, deployment_id, set(found.start)))
    return found


def _look_behind(tx: Transaction, values: dict, slots: Slots, found: DueRuns, full: set[str]) -> None:
    """Fill the remaining room with runs of deployments that are not full, oldest first."""
    room = values["room"]
    taken = set(found.start)
    # A head is a run, or, with an empty id, the due time of a deployment's first run that is not read yet.
    heads = [(row["due"], "", row["deployment_id"]) for row in tx.all(_HEADS, values)]
    heads += [(0, "", None)]
    heapq.heapify(heads)
    pages: dict[str | None, list[Row]] = {}
    while heads and len(found.start) < room:
        due, run_id, deployment_id = heapq.heappop(heads)
        if slots.left(deployment_id) == 0:
            full.add(deployment_id or "")
            continue
        if run_id and run_id not in taken:
            slots.use(deployment_id)
            found.start.append(run_id)
        if not pages.get(deployment_id):
            # Reversed, so that the next run is at the end.
            pages[deployment_id] = _page(tx, values, deployment_id, due, run_id)[::-1]
        if pages[deployment_id]:
            following = pages[deployment_id].pop()
            heapq.heappush(heads, (following["due"], following["id"], deployment_id))


def _page(
    tx: Transaction, values: dict, deployment_id: str | None, after_us: int, after_id: str
) -> list[Row]:
    """The due runs of a deployment after a given run, oldest first. None: runs without a deployment."""
    which = "run.deployment_id IS NULL" if deployment_id is None else "run.deployment_id = :deployment"
    return tx.all(
        f"SELECT {_COLUMNS} FROM flow_runs run WHERE {_DUE} AND {which} "  # noqa: S608  # fixed
        f"AND (run.next_scheduled_start_time, run.id) > (:after, :after_id) {_ORDER} LIMIT :room",
        {**values, "deployment": deployment_id or "", "after": after_us, "after_id": after_id},
    )


def _all_due_of(tx: Transaction, values: dict, deployment_id: str, but: set[str]) -> list[str]:
    rows = _page(tx, {**values, "room": _CANCEL_BATCH}, deployment_id, 0, "")
    return [row["id"] for row in rows if row["id"] not in but]


def next_future(tx: Transaction, queue_id: str, after_us: int) -> int | None:
    """When the next future run of a queue is due, in microseconds. None if it has no future run."""
    due: int | None = tx.value(
        """SELECT min(run.next_scheduled_start_time) FROM flow_runs run
           WHERE run.work_queue_id = :queue AND run.state_type = 'SCHEDULED'
           AND run.next_scheduled_start_time > :after""",
        {"queue": queue_id, "after": after_us},
    )
    return due


def due_of_pool(
    tx: Transaction, pool: Row, names: list[str] | None, limit: int, until_us: int, lock: bool = False
) -> DueRuns:
    """Find the runs of a pool that may start now, within all limits. Only reads."""
    queues = _open_queues(tx, pool, names)
    due = DueRuns([], [], [queue["id"] for queue in queues])
    room = limits.least(limit, MOST_AT_ONCE, _free_of_pool(tx, pool)) or 0
    slots = Slots(tx, lock)
    for queue in queues:
        if room <= 0:
            break
        found = due_of_queue(
            tx, queue["id"], until_us, limits.least(room, _free_of_queue(tx, queue)) or 0, slots
        )
        due.start.extend(found.start)
        due.cancel.extend(found.cancel)
        room -= len(found.start)
    return due


def _open_queues(tx: Transaction, pool: Row, names: list[str] | None) -> list[Row]:
    """The queues that are not paused, in their order. Empty if the pool is paused."""
    if pool["is_paused"]:
        return []
    queues = queue_rows(tx, pool["id"])
    return [queue for queue in queues if not queue["is_paused"] and (not names or queue["name"] in names)]


def _free_of_pool(tx: Transaction, pool: Row) -> int | None:
    if pool["concurrency_limit"] is None:
        return None
    used = tx.value(
        """SELECT count(*) FROM leases WHERE work_queue_id IN
           (SELECT id FROM work_queues WHERE work_pool_id = :id)""",
        {"id": pool["id"]},
    )
    return limits.free(pool["concurrency_limit"], used)


def _free_of_queue(tx: Transaction, queue: Row) -> int | None:
    if queue["concurrency_limit"] is None:
        return None
    used = tx.value("SELECT count(*) FROM leases WHERE work_queue_id = :id", {"id": queue["id"]})
    return limits.free(queue["concurrency_limit"], used)


def due_of_deployments(tx: Transaction, deployment_ids: list[str], limit: int, lock: bool = False) -> DueRuns:
    """Find the due runs of deployments without a pool that may start within their limits, oldest first."""
    slots, until, room = Slots(tx, lock), lease_clock.wall(tx), min(limit, MOST_AT_ONCE)
    found: list[Row] = []
    cancel: list[str] = []
    for deployment_id in dict.fromkeys(deployment_ids):
        free = limits.least(room, slots.left(deployment_id)) or 0
        cancels = slots.cancels(deployment_id)
        wanted = MOST_AT_ONCE if cancels else free
        if wanted <= 0:
            continue
        rows = tx.all(_SERVED_DUE, {"deployment": deployment_id, "until": until, "room": wanted})
        found.extend(rows[:free])
        if cancels and free < room:
            cancel.extend(row["id"] for row in rows[free:])
    found.sort(key=lambda row: (row["due"], row["id"]))
    return DueRuns([row["id"] for row in found[:room]], cancel)


def next_of_deployments(tx: Transaction, deployment_ids: list[str], after_us: int) -> int | None:
    """When the next future run of deployments without a pool is due. None if they have no future run."""
    coming = [tx.value(_SERVED_NEXT, {"deployment": each, "now": after_us}) for each in deployment_ids]
    return limits.least(*coming) if coming else None
