"""Which runs hold the slots of a limit, and which wait for them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from runyard.base import clock
from runyard.domain.states import TERMINAL
from runyard.operations import lease_clock
from runyard.operations.limits.concurrency_limits import limit_row
from runyard.operations.limits.slot_waits import PREFIX
from runyard.operations.operation import operation
from runyard.operations.schemas import Model, Time, load
from runyard.store.database import Row, Transaction

_MOST = 200
_USES = """SELECT s.lease_id, s.slots, s.holder, s.acquired, s.run_id, c.name AS limit_name
    FROM limit_slots s JOIN concurrency_limits c ON c.id = s.limit_id
    WHERE {which} AND (s.expires IS NULL OR s.expires > :now)
    ORDER BY s.acquired, s.lease_id LIMIT :most"""
_HELD, _WAITS = "s.slots > 0", f"s.slots = 0 AND substr(s.lease_id, 1, {len(PREFIX)}) = '{PREFIX}'"


class SlotUse(Model):
    """A holder of slots, or a request that waits for them. `type` is task_run, flow_run, or a user's word.

    `id` and `name` are those of the task run or flow run; null if the holder is unknown. `flow_run_id` is the
    run in whose process it is.
    """

    limit: str
    slots: int
    since: Time
    type: str | None = None
    id: str | None = None
    name: str | None = None
    flow_run_id: str | None = None
    flow_run_name: str | None = None


class LimitUses(Model):
    """The holders of a limit's slots and the requests that wait for them, at most 200 each, oldest first."""

    holders: list[SlotUse] = Field(default_factory=list)
    waiting: list[SlotUse] = Field(default_factory=list)


@operation("GET", "/runyard/concurrency_limits/{id_or_name}/holders")
def read_limit_holders(tx: Transaction, id_or_name: str) -> LimitUses:
    """Read which runs hold the slots of a limit, and which wait for them.

    Raises:
        NotFound: the limit is not found.
    """
    values = {"limit_id": limit_row(tx, id_or_name)["id"]}
    return LimitUses(
        holders=_uses(tx, f"s.limit_id = :limit_id AND {_HELD}", values),
        waiting=_uses(tx, f"s.limit_id = :limit_id AND {_WAITS}", values),
    )


def waits_of_run(tx: Transaction, run_id: str) -> list[SlotUse]:
    """The requests for slots that wait in the process of a run, the oldest first."""
    return _uses(tx, f"s.run_id = :run_id AND {_WAITS}", {"run_id": run_id})


def _uses(tx: Transaction, which: str, values: dict[str, Any]) -> list[SlotUse]:
    now, present = lease_clock.now(tx), clock.now()
    rows = tx.all(_USES.format(which=which), {**values, "now": now, "most": _MOST})
    found = []
    for row in rows:
        use = _use(tx, row)
        if use is not None:
            # Only differences of lease clock times are meaningful.
            use.since = present - timedelta(microseconds=max(0, now - row["acquired"]))
            found.append(use)
    return found


def _use(tx: Transaction, row: Row) -> SlotUse | None:
    """A use of slots with the names of its runs. None for a wait whose run has ended."""
    holder = load(row["holder"]) or {}
    kind, own_id = holder.get("type"), holder.get("id")
    use = SlotUse(
        limit=row["limit_name"],
        slots=row["slots"] or int(holder.get("slots") or 1),
        since=clock.now(),
        type=kind,
        id=own_id,
        flow_run_id=row["run_id"],
    )
    if kind in ("task_run", "flow_run"):
        sql = f"SELECT name FROM {kind}s WHERE id = :id"  # noqa: S608  # two tables
        use.name = tx.value(sql, {"id": own_id})
    run = tx.one("SELECT name, state_type FROM flow_runs WHERE id = :id", {"id": row["run_id"] or own_id})
    if run is not None:
        use.flow_run_id, use.flow_run_name = row["run_id"] or own_id, run["name"]
        if not row["slots"] and run["state_type"] in TERMINAL:
            return None
    return use
