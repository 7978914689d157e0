"""Variables: named JSON values that all flows share."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from runyard.base import clock, ids
from runyard.base.errors import Conflict, NotFound
from runyard.operations.filters import query
from runyard.operations.json_columns import shallow
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Query, Time, dump, load
from runyard.store.database import Row, Transaction

_LONGEST = 5_000


def _fits(value: Any) -> Any:
    if len(shallow(value, lambda: json.dumps(value))) > _LONGEST:
        raise ValueError(f"a variable holds at most {_LONGEST} characters of JSON; keep more in a JSON block")
    return value


Value = Annotated[Any, AfterValidator(_fits)]


class Variable(Model):
    """A variable."""

    id: str
    created: Time
    updated: Time
    name: str
    value: Any = None
    tags: list[str] = Field(default_factory=list)


class VariableCreate(Input):
    """A variable to create."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=255)
    value: Value
    tags: list[str] | None = None


class VariableUpdate(Input):
    """Changes to a variable. Only the given fields change."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$", max_length=255)
    value: Value = None
    tags: list[str] | None = None


class VariableFilter(Query):
    """A filter of variables."""

    variables: dict[str, Any] | None = None


class VariableListing(VariableFilter):
    """Which variables to list: a filter, order and page."""

    limit: int | None = None
    offset: int | None = None
    sort: str | None = None


def _variable(row: Row) -> Variable:
    return Variable(
        id=row["id"],
        created=clock.from_us(row["created"]),
        updated=clock.from_us(row["updated"]),
        name=row["name"],
        value=load(row["value"]),
        tags=load(row["tags"], []),
    )


def _row(tx: Transaction, column: str, value: str) -> Row:
    row = tx.one(f"SELECT * FROM variables WHERE {column} = :value", {"value": value})  # noqa: S608  # id or name
    if row is None:
        raise NotFound(f"variable {value!r} not found; see: runyard variable ls")
    return row


@operation("POST", "/variables/", status=201)
def create_variable(tx: Transaction, body: VariableCreate) -> Variable:
    """Create a variable.

    Raises:
        Conflict: a variable of that name exists already.
    """
    row = tx.one(
        """INSERT INTO variables (id, created, updated, name, value, tags)
           VALUES (:id, :now, :now, :name, :value, :tags)
           ON CONFLICT (name) DO NOTHING RETURNING *""",
        {
            "id": ids.new_id(),
            "now": clock.now_us(),
            "name": body.name,
            "value": dump(body.value),
            "tags": dump(body.tags or []),
        },
    )
    if row is None:
        raise Conflict(f"variable {body.name!r} exists already; use overwrite to replace it")
    return _variable(row)


@operation("GET", "/variables/name/{name}")
def read_variable_by_name(tx: Transaction, name: str) -> Variable:
    """Read a variable by its name.

    Raises:
        NotFound: the variable is not found.
    """
    return _variable(_row(tx, "name", name))


@operation("GET", "/variables/{variable_id}")
def read_variable(tx: Transaction, variable_id: str) -> Variable:
    """Read a variable.

    Raises:
        NotFound: the variable is not found.
    """
    return _variable(_row(tx, "id", variable_id))


def _update(tx: Transaction, row: Row, body: VariableUpdate) -> None:
    given = body.model_dump(exclude_unset=True)
    name = given.get("name") or row["name"]
    taken = tx.value(
        "SELECT id FROM variables WHERE name = :name AND id <> :id", {"name": name, "id": row["id"]}
    )
    if taken is not None:
        raise Conflict(f"variable {name!r} exists already")
    tx.execute(
        "UPDATE variables SET name = :name, value = :value, tags = :tags, updated = :now WHERE id = :id",
        {
            "id": row["id"],
            "now": clock.now_us(),
            "name": name,
            "value": dump(given["value"]) if "value" in given else row["value"],
            "tags": dump(given["tags"] or []) if "tags" in given else row["tags"],
        },
    )


@operation("PATCH", "/variables/name/{name}", status=204)
def update_variable_by_name(tx: Transaction, name: str, body: VariableUpdate) -> None:
    """Update a variable by its name. Only the given fields change.

    Raises:
        NotFound: the variable is not found.
        Conflict: another variable has the new name.
    """
    _update(tx, _row(tx, "name", name), body)


@operation("PATCH", "/variables/{variable_id}", status=204)
def update_variable(tx: Transaction, variable_id: str, body: VariableUpdate) -> None:
    """Update a variable. Only the given fields change.

    Raises:
        NotFound: the variable is not found.
        Conflict: another variable has the new name.
    """
    _update(tx, _row(tx, "id", variable_id), body)


@operation("DELETE", "/variables/name/{name}", status=204)
def delete_variable_by_name(tx: Transaction, name: str) -> None:
    """Delete a variable by its name.

    Raises:
        NotFound: the variable is not found.
    """
    tx.execute("DELETE FROM variables WHERE id = :id", {"id": _row(tx, "name", name)["id"]})


@operation("DELETE", "/variables/{variable_id}", status=204)
def delete_variable(tx: Transaction, variable_id: str) -> None:
    """Delete a variable.

    Raises:
        NotFound: the variable is not found.
    """
    tx.execute("DELETE FROM variables WHERE id = :id", {"id": _row(tx, "id", variable_id)["id"]})


@operation("POST", "/variables/filter")
def filter_variables(tx: Transaction, body: VariableListing) -> list[Variable]:
    """List variables, sorted by name unless `sort` is given.

    Raises:
        InvalidInput: a filter or `sort` is invalid, or a limit is out of range.
    """
    return [_variable(row) for row in query.search(tx, "variables", body.model_dump())]


@operation("POST", "/variables/count")
def count_variables(tx: Transaction, body: VariableFilter) -> int:
    """Count the variables that a filter matches."""
    return query.count(tx, "variables", body.model_dump())
