"""Variables: JSON values by name that all flows share."""

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
    """A variable to make."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=255)
    value: Value
    tags: list[str] | None = None


class VariableUpdate(Input):
    """Changes of a variable; only what is given changes."""

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$", max_length=255)
    value: Value = None
    tags: list[str] | None = None


class VariableFilter(Query):
    """What to search: a filter of the API's reference."""

    variables: dict[str, Any] | None = None


class VariableListing(VariableFilter):
    """What to list: a filter, and which part of what it finds."""

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
        raise NotFound(f"no variable {value!r}; see: runyard variable ls")
    return row


@operation("POST", "/variables/", status=201)
def create_variable(tx: Transaction, body: VariableCreate) -> Variable:
    """Make a variable.

    Raises:
        Conflict: its name is taken.
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
        raise Conflict(f"there is a variable {body.name!r} already; use overwrite to replace it")
    return _variable(row)


@operation("GET", "/variables/name/{name}")
def read_variable_by_name(tx: Transaction, name: str) -> Variable:
    """The variable of that name.

    Raises:
        NotFound: there is none.
    """
    return _variable(_row(tx, "name", name))


@operation("GET", "/variables/{variable_id}")
def read_variable(tx: Transaction, variable_id: str) -> Variable:
    """One variable.

    Raises:
        NotFound: there is none.
    """
    return _variable(_row(tx, "id", variable_id))


def _update(tx: Transaction, row: Row, body: VariableUpdate) -> None:
    given = body.model_dump(exclude_unset=True)
    name = given.get("name") or row["name"]
    taken = tx.value(
        "SELECT id FROM variables WHERE name = :name AND id <> :id", {"name": name, "id": row["id"]}
    )
    if taken is not None:
        raise Conflict(f"there is a variable {name!r} already")
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
    """Change the variable of that name.

    Raises:
        NotFound: there is none.
        Conflict: its new name is taken.
    """
    _update(tx, _row(tx, "name", name), body)


@operation("PATCH", "/variables/{variable_id}", status=204)
def update_variable(tx: Transaction, variable_id: str, body: VariableUpdate) -> None:
    """Change a variable.

    Raises:
        NotFound: there is none.
        Conflict: its new name is taken.
    """
    _update(tx, _row(tx, "id", variable_id), body)


@operation("DELETE", "/variables/name/{name}", status=204)
def delete_variable_by_name(tx: Transaction, name: str) -> None:
    """Delete the variable of that name.

    Raises:
        NotFound: there is none.
    """
    tx.execute("DELETE FROM variables WHERE id = :id", {"id": _row(tx, "name", name)["id"]})


@operation("DELETE", "/variables/{variable_id}", status=204)
def delete_variable(tx: Transaction, variable_id: str) -> None:
    """Delete a variable.

    Raises:
        NotFound: there is none.
    """
    tx.execute("DELETE FROM variables WHERE id = :id", {"id": _row(tx, "id", variable_id)["id"]})


@operation("POST", "/variables/filter")
def filter_variables(tx: Transaction, body: VariableListing) -> list[Variable]:
    """List variables, by name unless `sort` says otherwise.

    Raises:
        InvalidInput: a filter or sort is malformed, or a limit out of range.
    """
    return [_variable(row) for row in query.search(tx, "variables", body.model_dump())]


@operation("POST", "/variables/count")
def count_variables(tx: Transaction, body: VariableFilter) -> int:
    """How many variables a filter finds."""
    return query.count(tx, "variables", body.model_dump())
