"""Flows: the functions that flow runs execute. Each flow has a unique name."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import NotFound
from runyard.operations.filters import query
from runyard.operations.operation import Answer, operation
from runyard.operations.runs import removal
from runyard.operations.schemas import (
    MOST_AT_ONCE,
    AtOnce,
    BulkDelete,
    Filter,
    Input,
    Listing,
    Model,
    Page,
    Paging,
    Query,
    Time,
    check_name,
    dump,
    load,
)
from runyard.store.database import Row, Transaction


class Flow(Model):
    """A flow."""

    id: str
    created: Time
    updated: Time
    name: str
    tags: list[str] = Field(default_factory=list)
    labels: dict[str, Any] = Field(default_factory=dict)


class FlowCreate(Input):
    """A flow to create. An existing flow of the same name does not change."""

    name: str
    tags: list[str] = Field(default_factory=list)
    labels: dict[str, Any] | None = None


class FlowPage(Page):
    """A page of flows."""

    results: list[Flow]


class FlowBulkDelete(Query):
    """Which flows to delete: a filter; `limit`: the most of this call, default and maximum 50."""

    flows: dict[str, Any] | None = None
    limit: AtOnce | None = None


class FlowUpdate(Input):
    """Changes to a flow. Only the given fields change."""

    tags: list[str] | None = None


def _flow(row: Row) -> Flow:
    return Flow(
        id=row["id"],
        created=clock.from_us(row["created"]),
        updated=clock.from_us(row["updated"]),
        name=row["name"],
        tags=load(row["tags"], []),
        labels=load(row["labels"], {}),
    )


def ensure_flow(
    tx: Transaction, name: str, tags: list[str] | None = None, labels: dict[str, Any] | None = None
) -> tuple[Row, bool]:
    """The row of the flow with that name, and whether it is new. A missing flow is created.

    Raises:
        InvalidInput: the name is invalid.
    """
    check_name("flow", name)
    row = tx.one(
        """INSERT INTO flows (id, created, updated, name, tags, labels)
           VALUES (:id, :now, :now, :name, :tags, :labels)
           ON CONFLICT (name) DO NOTHING RETURNING *""",
        {
            "id": ids.new_id(),
            "now": clock.now_us(),
            "name": name,
            "tags": dump(tags or []),
            "labels": dump(labels or {}),
        },
    )
    if row is not None:
        return row, True
    return _row(tx, "name", name), False


def _row(tx: Transaction, column: str, value: str) -> Row:
    row = tx.one(f"SELECT * FROM flows WHERE {column} = :value", {"value": value})  # noqa: S608  # id or name
    if row is None:
        raise NotFound(f"no flow {value!r}; see: runyard flow ls")
    return row


@operation("POST", "/flows/", status=201)
def create_flow(tx: Transaction, body: FlowCreate) -> Answer[Flow]:
    """Create a flow, or return the one with that name.

    Raises:
        InvalidInput: the name is invalid.
    """
    row, created = ensure_flow(tx, body.name, body.tags, body.labels)
    return Answer(_flow(row), 201 if created else 200)


@operation("GET", "/flows/{flow_id}")
def read_flow(tx: Transaction, flow_id: str) -> Flow:
    """Read a flow.

    Raises:
        NotFound: the flow is not found.
    """
    return _flow(_row(tx, "id", flow_id))


@operation("GET", "/flows/name/{name}")
def read_flow_by_name(tx: Transaction, name: str) -> Flow:
    """Read a flow by its name.

    Raises:
        NotFound: the flow is not found.
    """
    return _flow(_row(tx, "name", name))


@operation("POST", "/flows/filter")
def filter_flows(tx: Transaction, body: Listing) -> list[Flow]:
    """List flows, sorted by name unless `sort` is given.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or a limit is out of range.
    """
    return [_flow(row) for row in query.search(tx, "flows", body.model_dump())]


@operation("POST", "/flows/paginate")
def paginate_flows(tx: Transaction, body: Paging) -> FlowPage:
    """List a page of flows, with the number of all that match.

    Raises:
        InvalidInput: a filter, an operator or `sort` is unknown, or `limit` or `page` is out of range.
    """
    rows, place = query.paginate(tx, "flows", body.model_dump())
    return FlowPage(results=[_flow(row) for row in rows], **place)


@operation("POST", "/flows/count")
def count_flows(tx: Transaction, body: Filter) -> int:
    """Count the flows that a filter matches.

    Raises:
        InvalidInput: a filter or an operator is unknown.
    """
    return query.count(tx, "flows", body.model_dump())


@operation("PATCH", "/flows/{flow_id}", status=204)
def update_flow(tx: Transaction, flow_id: str, body: FlowUpdate) -> None:
    """Replace the tags of a flow.

    Raises:
        NotFound: the flow is not found.
    """
    row = _row(tx, "id", flow_id)
    if body.tags is not None:
        tx.execute(
            "UPDATE flows SET tags = :tags, updated = :now WHERE id = :id",
            {"id": row["id"], "tags": dump(body.tags), "now": clock.now_us()},
        )


@operation("DELETE", "/flows/{flow_id}", status=204)
def delete_flow(tx: Transaction, flow_id: str) -> None:
    """Delete a flow with its deployments and all its runs.

    Raises:
        NotFound: the flow is not found.
    """
    _row(tx, "id", flow_id)
    _delete(tx, flow_id)


@operation("POST", "/flows/bulk_delete")
def bulk_delete_flows(tx: Transaction, body: FlowBulkDelete) -> BulkDelete:
    """Delete the first flows that a filter matches, by name, with their deployments and all their runs.

    Raises:
        InvalidInput: a filter or an operator is unknown, or `limit` is out of range.
    """
    asked = {"flows": body.flows, "limit": body.limit or MOST_AT_ONCE}
    found = [row["id"] for row in query.search(tx, "flows", asked, "f.id")]
    for flow_id in found:
        _delete(tx, flow_id)
    return BulkDelete(deleted=found)


def _delete(tx: Transaction, flow_id: str) -> None:
    while found := tx.all("SELECT id FROM flow_runs WHERE flow_id = :id LIMIT 500", {"id": flow_id}):
        ids = removal.with_subflows(tx, [row["id"] for row in found])
        removal.remove_runs(tx, ids, (), clock.now_us())
    tx.execute("DELETE FROM flows WHERE id = :id", {"id": flow_id})
