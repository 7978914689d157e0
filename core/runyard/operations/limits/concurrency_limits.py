"""Global concurrency limits: create, read, update and delete."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import Conflict, InvalidInput, NotFound
from runyard.base.quoting import command_of
from runyard.base.suggestions import did_you_mean
from runyard.base.texts import counted
from runyard.operations.limits import limit_slots
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Time, check_name, moment
from runyard.store.database import Row, Transaction

_PAGE = 200
# The value until a client reports how long it held slots.
_UNKNOWN_OCCUPANCY_SECONDS = 2.0
# With a faster decay every slot would be free again at once.
_MOST_DECAY = 1e9
_NEW = """INSERT INTO concurrency_limits (id, created, updated, name, "limit", active,
        slot_decay_per_second, denied_slots, taken, taken_at)
    VALUES (:id, :now, :now, :name, :limit, :active, :decay, 0, 0, :now)
    ON CONFLICT (name) DO NOTHING RETURNING *"""


class ConcurrencyLimit(Model):
    """A limit. `active_slots`: slots in use. With `slot_decay_per_second` they become free by themselves."""

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
    """A limit to create. `active_slots`: how many slots are in use from the start."""

    active: bool = True
    name: str
    limit: int = Field(ge=0)
    active_slots: int = Field(default=0, ge=0)
    denied_slots: int = Field(default=0, ge=0)
    slot_decay_per_second: float = Field(default=0.0, ge=0, le=_MOST_DECAY)


class ConcurrencyLimitUpdate(Input):
    """Changes to a limit. `active_slots` sets the number of slots in use and ends the present leases."""

    active: bool | None = None
    name: str | None = None
    limit: int | None = Field(default=None, ge=0)
    active_slots: int | None = Field(default=None, ge=0)
    denied_slots: int | None = Field(default=None, ge=0)
    slot_decay_per_second: float | None = Field(default=None, ge=0, le=_MOST_DECAY)


class LimitListing(Input):
    """Which limits to list, sorted by name: `limit` (default and maximum 200) and `offset`."""

    limit: int | None = Field(default=None, ge=0, le=_PAGE)
    offset: int = Field(default=0, ge=0)


def limit_row(tx: Transaction, id_or_name: str) -> Row:
    """Read the row of a limit.

    Raises:
        NotFound: the limit is not found.
    """
    row = tx.one("SELECT * FROM concurrency_limits WHERE id = :given OR name = :given", {"given": id_or_name})
    if row is None:
        known = [row["name"] for row in tx.all("SELECT name FROM concurrency_limits LIMIT 1000")]
        command = command_of("runyard global-concurrency-limit create", id_or_name, options="--limit N")
        raise NotFound(f"limit {id_or_name!r} not found{meant(id_or_name, known, command)}")
    return row


def meant(name: str, known: Sequence[str], command: str) -> str:
    """The end of an error about an unknown limit: the limit that was probably meant, and how to create one.

    Args:
        name: the unknown name.
        known: the names of the limits.
        command: creates the limit.
    """
    close = did_you_mean(name, known)
    return f"{close} To create it: {command}" if close else f"; create it: {command}"


def make(tx: Transaction, name: str, limit: int, active: bool = True, decay: float = 0.0) -> Row | None:
    """Create a limit. Returns its row, or None if a limit of that name exists."""
    values = {"id": ids.new_id(), "now": clock.now_us(), "name": name, "limit": limit}
    return tx.one(_NEW, {**values, "active": int(active), "decay": decay})


def change(tx: Transaction, limit_id: str, changes: dict[str, Any]) -> None:
    """Update columns of a limit."""
    changes = {**changes, "updated": clock.now_us()}
    marks = ", ".join(f'"{column}" = :{column}' for column in changes)
    tx.execute(f"UPDATE concurrency_limits SET {marks} WHERE id = :id", {**changes, "id": limit_id})  # noqa: S608  # our names


def page(tx: Transaction, listing: LimitListing, where: str, values: dict[str, Any]) -> list[Row]:
    """Read a page of the limits that match the SQL `where`, sorted by name."""
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
        raise InvalidInput(f"limit {name!r} has {counted(limit, 'slot')}; {taken} cannot be in use")


@operation("POST", "/v2/concurrency_limits/", status=201)
def create_concurrency_limit(tx: Transaction, body: ConcurrencyLimitCreate) -> ConcurrencyLimit:
    """Create a limit.

    Raises:
        Conflict: a limit of that name exists already.
        InvalidInput: the name is invalid, or `active_slots` is larger than `limit`.
    """
    check_name("limit", body.name)
    _check_taken(body.name, body.active_slots, body.limit)
    row = make(tx, body.name, body.limit, body.active, body.slot_decay_per_second)
    if row is None:
        raise Conflict(f"a limit named {body.name!r} exists already")
    if body.active_slots:
        limit_slots.override(tx, row, body.active_slots)
    return _to_model(tx, limit_row(tx, row["id"]))


@operation("GET", "/v2/concurrency_limits/{id_or_name}")
def read_concurrency_limit(tx: Transaction, id_or_name: str) -> ConcurrencyLimit:
    """Read a limit by its id or name.

    Raises:
        NotFound: the limit is not found.
    """
    return _to_model(tx, limit_row(tx, id_or_name))


@operation("POST", "/v2/concurrency_limits/filter")
def filter_concurrency_limits(tx: Transaction, body: LimitListing) -> list[ConcurrencyLimit]:
    """List all limits, including limits of tags, sorted by name."""
    return [_to_model(tx, row) for row in page(tx, body, "1 = 1", {})]


@operation("PATCH", "/v2/concurrency_limits/{id_or_name}", status=204)
def update_concurrency_limit(tx: Transaction, id_or_name: str, body: ConcurrencyLimitUpdate) -> None:
    """Update a limit. Only the given fields change.

    Raises:
        NotFound: the limit is not found.
        Conflict: another limit has the new name.
        InvalidInput: `active_slots` is larger than `limit`.
    """
    found = limit_row(tx, id_or_name)
    row = limit_slots.named(tx, [found["name"]], lock=True)[0]
    given = {name: value for name in body.model_fields_set if (value := getattr(body, name)) is not None}
    taken = given.pop("active_slots", None)
    _check_taken(row["name"], taken or 0, row["limit"] if body.limit is None else body.limit)
    if given.get("name", row["name"]) != row["name"]:
        check_name("limit", given["name"])
        if limit_slots.named(tx, [given["name"]]):
            raise Conflict(f"a limit named {given['name']!r} exists already")
    if "active" in given:
        given["active"] = int(given["active"])
    if "slot_decay_per_second" in given and taken is None:
        # Slots in use stay in use, and decay at the new rate from now on.
        limit_slots.set_taken(tx, row["id"], limit_slots.in_use(tx, row))
    if given:
        change(tx, row["id"], given)
    if taken is not None:
        limit_slots.override(tx, row, taken)


@operation("DELETE", "/v2/concurrency_limits/{id_or_name}", status=204)
def delete_concurrency_limit(tx: Transaction, id_or_name: str) -> None:
    """Delete a limit. Runs that hold its slots continue.

    Raises:
        NotFound: the limit is not found.
    """
    tx.execute("DELETE FROM concurrency_limits WHERE id = :id", limit_row(tx, id_or_name))
