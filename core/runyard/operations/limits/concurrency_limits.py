"""Limits by name, of everything that takes slots of them: making, changing, deleting and seeing them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.base.quoting import command_of
from runyard.base.texts import counted
from runyard.operations.limits import limit_slots
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Time, check_name, moment
from runyard.store.database import Row, Transaction

_PAGE = 200
# What is shown until somebody has said how long slots are held.
_UNKNOWN_OCCUPANCY_SECONDS = 2.0
# Of a faster one every slot is free again at once.
_MOST_DECAY = 1e9
_NEW = """INSERT INTO concurrency_limits (id, created, updated, name, "limit", active,
        slot_decay_per_second, denied_slots, taken, taken_at)
    VALUES (:id, :now, :now, :name, :limit, :active, :decay, 0, 0, :now)
    ON CONFLICT (name) DO NOTHING RETURNING *"""


class ConcurrencyLimit(Model):
    """A limit. `active_slots`: how many are taken; with `slot_decay_per_second` they come back alone."""

    id: str
    created: Time
    updated: Time
    active: bool = True
    name: str
    limit: int
    active_slots: int = 0
    denied_slots: int = 0
    slot_decay_per_second: float = 0.0
    avg_slot_occupancy_seconds: float = _UNKNOWN_OCCUPANCY_SECONDS


class ConcurrencyLimitCreate(Input):
    """A limit to make. `active_slots`: how many count as taken from the start."""

    active: bool = True
    name: str
    limit: int = Field(ge=0)
    active_slots: int = Field(default=0, ge=0)
    denied_slots: int = Field(default=0, ge=0)
    slot_decay_per_second: float = Field(default=0.0, ge=0, le=_MOST_DECAY)


class ConcurrencyLimitUpdate(Input):
    """Changes to a limit; `active_slots` says how many are taken, whoever holds them now."""

    active: bool | None = None
    name: str | None = None
    limit: int | None = Field(default=None, ge=0)
    active_slots: int | None = Field(default=None, ge=0)
    denied_slots: int | None = Field(default=None, ge=0)
    slot_decay_per_second: float | None = Field(default=None, ge=0, le=_MOST_DECAY)


class LimitListing(Input):
    """Which limits to list, by name: `limit` (at most and by default 200) from `offset` on."""

    limit: int | None = Field(default=None, ge=0, le=_PAGE)
    offset: int = Field(default=0, ge=0)


def limit_row(tx: Transaction, id_or_name: str) -> Row:
    """The row of a limit.

    Raises:
        NotFound: no limit has that id or name.
    """
    row = tx.one("SELECT * FROM concurrency_limits WHERE id = :given OR name = :given", {"given": id_or_name})
    if row is None:
        raise NotFound(
            f"no limit is named {id_or_name!r}; "
            f"run: {command_of('runyard global-concurrency-limit create', id_or_name, options='--limit N')}"
        )
    return row


def make(tx: Transaction, name: str, limit: int, active: bool = True, decay: float = 0.0) -> Row | None:
    """Make a limit; its row, or None when there is one of that name."""
    values = {"id": ids.new_id(), "now": clock.now_us(), "name": name, "limit": limit}
    return tx.one(_NEW, {**values, "active": int(active), "decay": decay})


def change(tx: Transaction, limit_id: str, changes: dict[str, Any]) -> None:
    """Write columns of a limit."""
    changes = {**changes, "updated": clock.now_us()}
    marks = ", ".join(f'"{column}" = :{column}' for column in changes)
    tx.execute(f"UPDATE concurrency_limits SET {marks} WHERE id = :id", {**changes, "id": limit_id})  # noqa: S608  # our names


def page(tx: Transaction, listing: LimitListing, where: str, values: dict[str, Any]) -> list[Row]:
    """A page of limits by name, those for which the SQL `where` is true."""
    size = _PAGE if listing.limit is None else listing.limit
    sql = f"SELECT * FROM concurrency_limits WHERE {where} ORDER BY name LIMIT :size OFFSET :offset"  # noqa: S608  # fixed
    return tx.all(sql, {**values, "size": size, "offset": listing.offset})


def _to_model(tx: Transaction, row: Row) -> ConcurrencyLimit:
    return ConcurrencyLimit.model_validate(
        {
            **{name: row[name] for name in ("id", "name", "limit", "denied_slots", "slot_decay_per_second")},
            "created": moment(row["created"]),
            "updated": moment(row["updated"]),
            "active": bool(row["active"]),
            "active_slots": int(limit_slots.in_use(tx, row)),
            "avg_slot_occupancy_seconds": row["occupancy_seconds"] or _UNKNOWN_OCCUPANCY_SECONDS,
        }
    )


def _check_taken(name: str, taken: int, limit: int) -> None:
    if taken > limit:
        raise InvalidInput(f"limit {name!r} has {counted(limit, 'slot')}, of which {taken} cannot be taken")


@operation("POST", "/v2/concurrency_limits/", status=201)
def create_concurrency_limit(tx: Transaction, body: ConcurrencyLimitCreate) -> ConcurrencyLimit:
    """Make a limit.

    Raises:
        Conflict: there is one of that name.
        InvalidInput: the name is wrong, or more slots are taken than there are.
    """
    check_name("limit", body.name)
    _check_taken(body.name, body.active_slots, body.limit)
    row = make(tx, body.name, body.limit, body.active, body.slot_decay_per_second)
    if row is None:
        raise Conflict(f"there is a limit named {body.name!r} already")
    if body.active_slots:
        limit_slots.override(tx, row, body.active_slots)
    return _to_model(tx, limit_row(tx, row["id"]))


@operation("GET", "/v2/concurrency_limits/{id_or_name}")
def read_concurrency_limit(tx: Transaction, id_or_name: str) -> ConcurrencyLimit:
    """One limit.

    Raises:
        NotFound: there is no such limit.
    """
    return _to_model(tx, limit_row(tx, id_or_name))


@operation("POST", "/v2/concurrency_limits/filter")
def filter_concurrency_limits(tx: Transaction, body: LimitListing) -> list[ConcurrencyLimit]:
    """All limits, also those of tags, by name."""
    return [_to_model(tx, row) for row in page(tx, body, "1 = 1", {})]


@operation("PATCH", "/v2/concurrency_limits/{id_or_name}", status=204)
def update_concurrency_limit(tx: Transaction, id_or_name: str, body: ConcurrencyLimitUpdate) -> None:
    """Change a limit; only the fields that are given change.

    Raises:
        NotFound: there is no such limit.
        Conflict: there is another one of the new name.
        InvalidInput: more slots are taken than there are.
    """
    found = limit_row(tx, id_or_name)
    row = limit_slots.named(tx, [found["name"]], lock=True)[0]
    given = {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}
    taken = given.pop("active_slots", None)
    _check_taken(row["name"], taken or 0, row["limit"] if body.limit is None else body.limit)
    if given.get("name", row["name"]) != row["name"]:
        check_name("limit", given["name"])
        if limit_slots.named(tx, [given["name"]]):
            raise Conflict(f"there is a limit named {given['name']!r} already")
    if "active" in given:
        given["active"] = int(given["active"])
    if "slot_decay_per_second" in given and taken is None:
        # What is taken stays so, and comes back by the new rate from now on.
        limit_slots.set_taken(tx, row["id"], limit_slots.in_use(tx, row))
    if given:
        change(tx, row["id"], given)
    if taken is not None:
        limit_slots.override(tx, row, taken)


@operation("DELETE", "/v2/concurrency_limits/{id_or_name}", status=204)
def delete_concurrency_limit(tx: Transaction, id_or_name: str) -> None:
    """Delete a limit; who holds slots of it goes on.

    Raises:
        NotFound: there is no such limit.
    """
    tx.execute("DELETE FROM concurrency_limits WHERE id = :id", limit_row(tx, id_or_name))
