"""Tag limits: how many task runs with a tag run at once. The limit of a tag is named `tag:TAG`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import ids
from runyard.base.errors import InvalidInput, NotFound
from runyard.base.quoting import command_of
from runyard.operations import lease_clock
from runyard.operations.limits import limit_slots
from runyard.operations.limits.concurrency_limits import LimitListing, change, make, meant, page
from runyard.operations.limits.limit_slots import TAG_PREFIX
from runyard.operations.operation import Answer, operation
from runyard.operations.schemas import Input, Model, Time, dump, load, moment
from runyard.store.database import Row, Transaction

_TASK_RUN = "task_run"


class TagLimit(Model):
    """Read the limit of a tag. `active_slots` lists the ids of the task runs that hold its slots."""

    id: str
    created: Time
    updated: Time
    tag: str
    concurrency_limit: int
    active_slots: list[str] = Field(default_factory=list)


class TagLimitCreate(Input):
    """The limit to set for a tag."""

    tag: str = Field(min_length=1, max_length=200)
    concurrency_limit: int = Field(ge=0)


class SlotsReset(Input):
    """The task runs that hold slots after the reset; default: none."""

    slot_override: list[str] | None = None


class TagSlots(Input):
    """Tags, and the task run that acquires or releases a slot of each."""

    names: list[str] = Field(min_length=1)
    task_run_id: str


def _row(tx: Transaction, column: str, value: str) -> Row:
    sql = f"SELECT * FROM concurrency_limits WHERE {column} = :value AND name LIKE :pattern"  # noqa: S608  # ours
    row = tx.one(sql, {"value": value, "pattern": f"{TAG_PREFIX}%"})
    if row is None:
        tag = value.removeprefix(TAG_PREFIX)
        command = command_of("runyard concurrency-limit create", tag, "N")
        tags = tx.all(
            "SELECT name FROM concurrency_limits WHERE name LIKE :pattern LIMIT 1000",
            {"pattern": f"{TAG_PREFIX}%"},
        )
        known = [each["name"].removeprefix(TAG_PREFIX) for each in tags]
        raise NotFound(f"the tag {tag!r} has no limit{meant(tag, known, command)}")
    return row


def _holders(tx: Transaction, limit_id: str) -> list[tuple[str, str]]:
    """The leases and ids of the task runs that hold slots of a limit, oldest first."""
    rows = tx.all(
        """SELECT lease_id, holder FROM limit_slots
           WHERE limit_id = :id AND slots > 0 AND (expires IS NULL OR expires > :now)
           ORDER BY acquired, lease_id""",
        {"id": limit_id, "now": lease_clock.now(tx)},
    )
    held = [(row["lease_id"], load(row["holder"]) or {}) for row in rows]
    return [(lease, str(who.get("id"))) for lease, who in held if who.get("type") == _TASK_RUN]


def _to_model(tx: Transaction, row: Row) -> TagLimit:
    return TagLimit.model_validate(
        {
            "id": row["id"],
            "created": moment(row["created"]),
            "updated": moment(row["updated"]),
            "tag": row["name"].removeprefix(TAG_PREFIX),
            "concurrency_limit": row["limit"],
            "active_slots": [run_id for _, run_id in _holders(tx, row["id"])],
        }
    )


@operation("POST", "/concurrency_limits/", status=201)
def create_tag_limit(tx: Transaction, body: TagLimitCreate) -> Answer[TagLimit]:
    """Create the limit of a tag, or update it if it exists."""
    if not body.tag.isprintable() or not body.tag.strip():
        raise InvalidInput(f"invalid tag {body.tag!r}")
    name = f"{TAG_PREFIX}{body.tag}"
    made = make(tx, name, body.concurrency_limit) is not None
    if not made:
        change(tx, _row(tx, "name", name)["id"], {"limit": body.concurrency_limit, "active": 1})
    return Answer(_to_model(tx, _row(tx, "name", name)), 201 if made else 200)


@operation("POST", "/concurrency_limits/filter")
def filter_tag_limits(tx: Transaction, body: LimitListing) -> list[TagLimit]:
    """List the limits of tags, sorted by tag."""
    rows = page(tx, body, "name LIKE :pattern", {"pattern": f"{TAG_PREFIX}%"})
    return [_to_model(tx, row) for row in rows]


@operation("GET", "/concurrency_limits/{concurrency_limit_id}")
def read_tag_limit(tx: Transaction, concurrency_limit_id: str) -> TagLimit:
    """Read a tag limit by its id.

    Raises:
        NotFound: the limit is not found.
    """
    return _to_model(tx, _row(tx, "id", concurrency_limit_id))


@operation("GET", "/concurrency_limits/tag/{tag}")
def read_limit_of_tag(tx: Transaction, tag: str) -> TagLimit:
    """Read the limit of a tag.

    Raises:
        NotFound: the tag has no limit.
    """
    return _to_model(tx, _row(tx, "name", f"{TAG_PREFIX}{tag}"))


@operation("DELETE", "/concurrency_limits/{concurrency_limit_id}")
def delete_tag_limit(tx: Transaction, concurrency_limit_id: str) -> None:
    """Delete a tag limit by its id. Task runs that hold its slots continue.

    Raises:
        NotFound: the limit is not found.
    """
    tx.execute("DELETE FROM concurrency_limits WHERE id = :id", _row(tx, "id", concurrency_limit_id))


@operation("DELETE", "/concurrency_limits/tag/{tag}")
def delete_limit_of_tag(tx: Transaction, tag: str) -> None:
    """Delete the limit of a tag. Task runs that hold its slots continue.

    Raises:
        NotFound: the tag has no limit.
    """
    delete_tag_limit(tx, _row(tx, "name", f"{TAG_PREFIX}{tag}")["id"])


@operation("POST", "/concurrency_limits/tag/{tag}/reset")
def reset_limit_of_tag(tx: Transaction, tag: str, body: SlotsReset) -> None:
    """Release all slots of a tag limit, or set which task runs hold them.

    Raises:
        NotFound: the tag has no limit.
    """
    row = limit_slots.named(tx, [_row(tx, "name", f"{TAG_PREFIX}{tag}")["name"]], lock=True)[0]
    limit_slots.override(tx, row, 0)
    for run_id in dict.fromkeys(body.slot_override or ()):
        _hold(tx, row["id"], run_id)


def _hold(tx: Transaction, limit_id: str, run_id: str) -> None:
    holder = dump({"type": _TASK_RUN, "id": run_id})
    limit_slots.hold(tx, ids.new_id(), limit_id, 1, holder, None, lease_clock.now(tx))


@operation("POST", "/concurrency_limits/increment")
def increment_tag_slots(tx: Transaction, body: TagSlots) -> list[dict[str, Any]]:
    """Acquire a slot of the limit of each tag that has one. The slots stay in use until they are released.

    Raises:
        Locked: a limit has no free slot.
    """
    names = [f"{TAG_PREFIX}{tag}" for tag in body.names]
    holder = dump({"type": _TASK_RUN, "id": body.task_run_id})
    return _shown(limit_slots.take(tx, names, 1, "concurrency", ids.new_id(), None, holder))


@operation("POST", "/concurrency_limits/decrement")
def decrement_tag_slots(tx: Transaction, body: TagSlots) -> list[dict[str, Any]]:
    """Release the slots of tag limits that a task run holds."""
    limits = limit_slots.named(tx, [f"{TAG_PREFIX}{tag}" for tag in body.names])
    for limit in limits:
        for lease_id, run_id in _holders(tx, limit["id"]):
            if run_id == body.task_run_id:
                limit_slots.give_back(tx, lease_id)
    return _shown(limits)


def _shown(limits: list[Row]) -> list[dict[str, Any]]:
    return [
        {"id": row["id"], "name": row["name"].removeprefix(TAG_PREFIX), "limit": row["limit"]}
        for row in limits
    ]
