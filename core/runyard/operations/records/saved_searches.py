"""Saved searches: filters that people keep by name in a dashboard."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import NotFound
from runyard.operations.filters import query
from runyard.operations.operation import Answer, operation
from runyard.operations.schemas import Input, Model, Query, Time, dump, load
from runyard.store.database import Row, Transaction


class SearchFilter(Input):
    """A condition of a search. The dashboard gives it a meaning; here it is only kept."""

    object: str
    property: str
    type: str
    operation: str
    value: Any


class SavedSearch(Model):
    """A saved search."""

    id: str
    created: Time
    updated: Time
    name: str
    filters: list[dict[str, Any]] = Field(default_factory=list)


class SavedSearchCreate(Input):
    """A search to save. One of the same name is replaced."""

    name: str = Field(min_length=1, max_length=250)
    filters: list[SearchFilter] = Field(default_factory=list)


class SavedSearchListing(Query):
    """Which saved searches to list: `limit` (default and maximum 200) and `offset`."""

    limit: int | None = None
    offset: int | None = None


def _search(row: Row) -> SavedSearch:
    return SavedSearch(
        id=row["id"],
        created=clock.from_us(row["created"]),
        updated=clock.from_us(row["updated"]),
        name=row["name"],
        filters=load(row["filters"], []),
    )


def _missing(saved_search_id: str) -> NotFound:
    return NotFound(f"saved search {saved_search_id} not found; see: POST /saved_searches/filter")


@operation("PUT", "/saved_searches/", status=201)
def save_search(tx: Transaction, body: SavedSearchCreate) -> Answer[SavedSearch]:
    """Save a search, or replace the filters of the one with that name."""
    new_id = ids.new_id()
    row = tx.one(
        """INSERT INTO saved_searches (id, created, updated, name, filters)
           VALUES (:id, :now, :now, :name, :filters)
           ON CONFLICT (name) DO UPDATE SET filters = excluded.filters, updated = excluded.updated
           RETURNING *""",
        {
            "id": new_id,
            "now": clock.now_us(),
            "name": body.name,
            "filters": dump([dict(each) for each in body.filters]),
        },
    )
    if row is None:
        raise AssertionError("an INSERT with RETURNING returns its row")
    return Answer(_search(row), 201 if row["id"] == new_id else 200)


@operation("GET", "/saved_searches/{saved_search_id}")
def read_saved_search(tx: Transaction, saved_search_id: str) -> SavedSearch:
    """Read a saved search.

    Raises:
        NotFound: the saved search is not found.
    """
    row = tx.one("SELECT * FROM saved_searches WHERE id = :id", {"id": saved_search_id})
    if row is None:
        raise _missing(saved_search_id)
    return _search(row)


@operation("POST", "/saved_searches/filter")
def filter_saved_searches(tx: Transaction, body: SavedSearchListing) -> list[SavedSearch]:
    """List saved searches by name.

    Raises:
        InvalidInput: a limit is out of range.
    """
    limit, offset = query.page(body.model_dump())
    rows = tx.all(
        "SELECT * FROM saved_searches ORDER BY name LIMIT :limit OFFSET :offset",
        {"limit": limit, "offset": offset},
    )
    return [_search(row) for row in rows]


@operation("DELETE", "/saved_searches/{saved_search_id}", status=204)
def delete_saved_search(tx: Transaction, saved_search_id: str) -> None:
    """Delete a saved search.

    Raises:
        NotFound: the saved search is not found.
    """
    if not tx.execute("DELETE FROM saved_searches WHERE id = :id", {"id": saved_search_id}):
        raise _missing(saved_search_id)
