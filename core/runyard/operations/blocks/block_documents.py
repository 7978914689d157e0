"""Saved blocks: named configuration, encrypted at rest. Secrets are shown only on request."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from runyard.base import clock, ids, texts
from runyard.base.errors import Conflict, InvalidInput, NotFound, SettingError
from runyard.base.redaction import STARS
from runyard.operations.blocks.block_types import (
    BlockListing,
    BlockSchema,
    BlockType,
    schema_of_row,
    type_of_row,
)
from runyard.operations.blocks.hidden_fields import obfuscate, obfuscate_inner
from runyard.operations.filters.criteria import Criteria, limits_of
from runyard.operations.json_columns import shallow
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, Model, Time
from runyard.settings import encryption
from runyard.store.database import Row, Transaction

# The most references that one response resolves: blocks that refer to others twice would grow without end.
_MOST_REFERENCES = 1000


class BlockDocument(Model):
    """A saved block."""

    id: str
    created: Time
    updated: Time
    name: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)
    block_schema_id: str
    block_schema: BlockSchema | None = None
    block_type_id: str
    block_type_name: str | None = None
    block_type: BlockType | None = None
    block_document_references: dict[str, Any] = Field(default_factory=dict)
    is_anonymous: bool = False


class BlockDocumentCreate(Input):
    """A block to save. An anonymous block gets a generated name and is not listed."""

    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]*$")
    data: dict[str, Any] = Field(default_factory=dict)
    block_schema_id: str
    block_type_id: str
    is_anonymous: bool = False


class BlockDocumentUpdate(Input):
    """Changes to a saved block. A secret that is given as stars keeps its value."""

    data: dict[str, Any] | None = None
    block_schema_id: str | None = None
    merge_existing_data: bool = True


@dataclass
class _Walk:
    """The state of resolving the references of one response.

    Args:
        left: how many more references may be resolved.
        above: the ids of the blocks that contain the present block.
        circle: whether a block contains itself.
        rows: the rows of the blocks read so far, by id: hundreds of references may name one block.
        kinds: the schemas and types read so far, by the schema's id.
    """

    left: int = _MOST_REFERENCES
    above: list[str] = field(default_factory=list)
    circle: bool = False
    rows: dict[str, Row | None] = field(default_factory=dict)
    kinds: dict[str, tuple[BlockSchema, BlockType]] = field(default_factory=dict)


BY_NAME = """SELECT d.* FROM block_documents d JOIN block_types t ON t.id = d.block_type_id
    WHERE t.slug = :slug AND d.name = :name"""
_BY_ID = "SELECT * FROM block_documents WHERE id = :value"


def row_of(tx: Transaction, document_id: str) -> Row:
    """The row of a saved block.

    Raises:
        NotFound: the saved block is not found.
    """
    row = tx.one(_BY_ID, {"value": document_id})
    if row is None:
        raise NotFound(f"saved block {document_id} not found; see: runyard block ls")
    return row


def _data(row: Row) -> dict[str, Any]:
    text = encryption.decrypt(row["data"])
    found: dict[str, Any] = texts.with_storable_keys(json.loads(text), text)
    return found


def _encrypted(tx: Transaction, data: dict[str, Any]) -> str:
    """The data of a block, encrypted with the key that the other saved blocks use."""
    beside = tx.value("SELECT data FROM block_documents LIMIT 1")
    return encryption.encrypt(shallow(data, lambda: json.dumps(data)), beside)


def document_of_row(
    tx: Transaction, row: Row, include_secrets: bool, walk: _Walk | None = None
) -> BlockDocument:
    """A saved block, with the blocks that it refers to.

    Args:
        include_secrets: False replaces its secrets by stars.
        walk: of the response that this is a part of.
    """
    walk = walk or _Walk()
    schema, kind = _kind_of(tx, row, walk)
    secrets = schema.fields.get("secret_fields") or ()
    try:
        data = _data(row)
    except SettingError:
        if include_secrets:
            raise
        # A block whose key is missing can still be listed and deleted.
        data = {path.partition(".")[0]: STARS for path in secrets}
    if not include_secrets:
        for path in secrets:
            obfuscate(data, path.split("."))
        obfuscate_inner(tx, data)
    references: dict[str, Any] = {}
    walk.above.append(row["id"])
    data = _resolved(tx, data, include_secrets, references, walk)
    walk.above.pop()
    return BlockDocument(
        id=row["id"],
        created=clock.from_us(row["created"]),
        updated=clock.from_us(row["updated"]),
        name=row["name"],
        data=data,
        block_schema_id=row["block_schema_id"],
        block_schema=schema,
        block_type_id=row["block_type_id"],
        block_type_name=kind.name,
        block_type=kind,
        block_document_references=references,
        is_anonymous=bool(row["is_anonymous"]),
    )


def _kind_of(tx: Transaction, row: Row, walk: _Walk) -> tuple[BlockSchema, BlockType]:
    """The schema and the type of a saved block."""
    schema_id = row["block_schema_id"]
    if schema_id not in walk.kinds:
        schema = tx.one("SELECT * FROM block_schemas WHERE id = :id", {"id": schema_id})
        kind = tx.one("SELECT * FROM block_types WHERE id = :id", {"id": row["block_type_id"]})
        if schema is None or kind is None:
            raise NotFound(f"the type of the saved block {row['name']!r} was deleted")
        walk.kinds[schema_id] = schema_of_row(tx, schema), type_of_row(kind)
    return walk.kinds[schema_id]


def _resolved(
    tx: Transaction,
    value: Any,
    include_secrets: bool,
    references: dict[str, Any],
    walk: _Walk,
    path: str = "",
) -> Any:
    """The data with every reference to another saved block replaced by that block's data.

    Each replaced block is added to `references` under its path, such as `credentials` or `steps.0`. A
    reference to a deleted block stays. So does a reference to a block that contains this one.
    """

    def inside(name: Any, item: Any) -> Any:
        below = f"{path}.{name}" if path else str(name)
        return _resolved(tx, item, include_secrets, references, walk, below)

    if isinstance(value, list):
        return [inside(at, item) for at, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if not isinstance(reference, dict) or "block_document_id" not in reference:
        return {name: inside(name, item) for name, item in value.items()}
    row = _referred(tx, reference["block_document_id"], walk)
    if row is None:
        return value
    inner = document_of_row(tx, row, include_secrets, walk)
    references[path] = {
        "block_document": {
            "id": inner.id,
            "name": inner.name,
            "block_type": inner.block_type,
            "is_anonymous": inner.is_anonymous,
            "block_document_references": inner.block_document_references,
        }
    }
    return {**inner.data, "block_type_slug": inner.block_type.slug if inner.block_type is not None else None}


def _referred(tx: Transaction, document_id: Any, walk: _Walk) -> Row | None:
    if not isinstance(document_id, str) or walk.left <= 0:
        return None
    if document_id in walk.above:
        walk.circle = True
        return None
    walk.left -= 1
    if document_id not in walk.rows:
        walk.rows[document_id] = tx.one(_BY_ID, {"value": document_id})
    return walk.rows[document_id]


@operation("POST", "/block_documents/", status=201)
def create_block_document(tx: Transaction, body: BlockDocumentCreate) -> BlockDocument:
    """Save a block.

    Raises:
        Conflict: a block of that type and name exists already.
        InvalidInput: the name is missing, or the schema belongs to another block type.
        NotFound: the schema is not found.
    """
    schema = tx.one("SELECT * FROM block_schemas WHERE id = :id", {"id": body.block_schema_id})
    if schema is None:
        raise NotFound(f"no block schema {body.block_schema_id}")
    if schema["block_type_id"] != body.block_type_id:
        raise InvalidInput("the schema is of another block type")
    document_id = ids.new_id()
    name = body.name
    if name is None:
        if not body.is_anonymous:
            raise InvalidInput("a saved block needs a name, unless it is anonymous")
        name = f"anonymous-{document_id}"
    now = clock.now_us()
    row = tx.one(
        """INSERT INTO block_documents (id, created, updated, name, data, block_schema_id, block_type_id,
               is_anonymous)
           VALUES (:id, :now, :now, :name, :data, :block_schema_id, :block_type_id, :is_anonymous)
           ON CONFLICT (block_type_id, name) DO NOTHING RETURNING *""",
        {
            "id": document_id,
            "now": now,
            "name": name,
            "data": _encrypted(tx, body.data),
            "block_schema_id": body.block_schema_id,
            "block_type_id": body.block_type_id,
            "is_anonymous": int(body.is_anonymous),
        },
    )
    if row is None:
        raise Conflict(f"a block of that type is already saved as {name!r}; use overwrite to replace it")
    return document_of_row(tx, row, include_secrets=False)


@operation("GET", "/block_documents/{block_document_id}")
def read_block_document(
    tx: Transaction, block_document_id: str, include_secrets: bool = False
) -> BlockDocument:
    """Read a saved block.

    Raises:
        NotFound: the saved block is not found.
    """
    return document_of_row(tx, row_of(tx, block_document_id), include_secrets)


@operation("GET", "/block_types/slug/{slug}/block_documents")
def read_block_documents_of_type(
    tx: Transaction, slug: str, include_secrets: bool = False
) -> list[BlockDocument]:
    """List the saved blocks of a type, sorted by name."""
    rows = tx.all(
        """SELECT d.* FROM block_documents d JOIN block_types t ON t.id = d.block_type_id
           WHERE t.slug = :slug AND d.is_anonymous = 0 ORDER BY d.name""",
        {"slug": slug},
    )
    return [document_of_row(tx, row, include_secrets) for row in rows]


@operation("GET", "/block_types/slug/{slug}/block_documents/name/{block_document_name}")
def read_block_document_by_name(
    tx: Transaction, slug: str, block_document_name: str, include_secrets: bool = False
) -> BlockDocument:
    """Read a saved block by its type and name.

    Raises:
        NotFound: the saved block is not found.
    """
    row = tx.one(BY_NAME, {"slug": slug, "name": block_document_name})
    if row is None:
        raise NotFound(f"saved block {slug}/{block_document_name} not found; see: runyard block ls")
    return document_of_row(tx, row, include_secrets)


@operation("PATCH", "/block_documents/{block_document_id}", status=204)
def update_block_document(tx: Transaction, block_document_id: str, body: BlockDocumentUpdate) -> None:
    """Update a saved block. The new data is merged into the present data, or replaces it.

    Raises:
        NotFound: the saved block is not found.
        InvalidInput: the new schema belongs to another block type, or the block would contain itself.
    """
    row = row_of(tx, block_document_id)
    before = _data(row)
    data = before
    if body.data is not None:
        data = {name: _kept(before.get(name), value) for name, value in body.data.items()}
        if body.merge_existing_data:
            data = {**before, **data}
    if body.block_schema_id is not None:
        schema = tx.one("SELECT * FROM block_schemas WHERE id = :id", {"id": body.block_schema_id})
        if schema is None or schema["block_type_id"] != row["block_type_id"]:
            raise InvalidInput("the schema is of another block type")
    tx.execute(
        """UPDATE block_documents SET updated = :now, data = :data, block_schema_id = :schema
           WHERE id = :id""",
        {
            "id": row["id"],
            "now": clock.now_us(),
            "data": _encrypted(tx, data),
            "schema": body.block_schema_id or row["block_schema_id"],
        },
    )
    walk = _Walk()
    document_of_row(tx, row_of(tx, row["id"]), include_secrets=False, walk=walk)
    if walk.circle:
        raise InvalidInput("saved blocks may not refer to each other in a circle")


def _kept(before: Any, value: Any) -> Any:
    """The new value. Where it is stars, the secret that was saved before."""
    if value == STARS and isinstance(before, str):
        return before
    if isinstance(value, dict) and isinstance(before, dict):
        return {name: _kept(before.get(name), item) for name, item in value.items()}
    return value


@operation("DELETE", "/block_documents/{block_document_id}", status=204)
def delete_block_document(tx: Transaction, block_document_id: str) -> None:
    """Delete a saved block.

    Raises:
        NotFound: the saved block is not found.
    """
    tx.execute("DELETE FROM block_documents WHERE id = :id", {"id": row_of(tx, block_document_id)["id"]})


_SORTS = {
    None: "t.name, d.name",
    "NAME_ASC": "d.name",
    "NAME_DESC": "d.name DESC",
    "BLOCK_TYPE_AND_NAME_ASC": "t.name, d.name",
}


def _search(body: BlockListing) -> tuple[str, dict[str, Any]]:
    found = Criteria(body.block_documents, "block_documents").any_of("id", "d.id")
    found.any_of("block_type_id", "d.block_type_id").any_of("name", "d.name").like("name", "d.name")
    found.equal("is_anonymous", "d.is_anonymous")
    if "is_anonymous" not in (body.block_documents or {}):
        found.sql.append("d.is_anonymous = 0")
    types = Criteria(body.block_types, "block_types").any_of("slug", "t.slug").like("name", "t.name")
    where = f"{found.where()} AND {types.where()}"
    sql = f"FROM block_documents d JOIN block_types t ON t.id = d.block_type_id WHERE {where}"
    return sql, {**found.values, **types.values}


@operation("POST", "/block_documents/filter")
def filter_block_documents(tx: Transaction, body: BlockListing) -> list[BlockDocument]:
    """List saved blocks, sorted by type and name unless `sort` is given.

    Raises:
        InvalidInput: a filter or `sort` is invalid, or a limit is out of range.
    """
    if body.sort not in _SORTS:
        known = ", ".join(name for name in _SORTS if name)
        raise InvalidInput(f"cannot sort block_documents by {body.sort!r}; valid are {known}")
    sql, values = _search(body)
    rows = tx.all(
        f"SELECT d.* {sql} ORDER BY {_SORTS[body.sort]}, d.id LIMIT :limit OFFSET :offset",  # bound
        {**values, **limits_of(body.limit, body.offset)},
    )
    return [document_of_row(tx, row, body.include_secrets) for row in rows]


@operation("POST", "/block_documents/count")
def count_block_documents(tx: Transaction, body: BlockListing) -> int:
    """Count the saved blocks that a filter matches."""
    sql, values = _search(body)
    return int(tx.value(f"SELECT count(*) {sql}", values))


@operation("POST", "/runyard/block_documents/rotate")
def rotate_encryption(tx: Transaction) -> int:
    """Encrypt every saved block again with the newest key. Returns the number of blocks.

    Raises:
        SettingError: the key of a block is unknown. Then no block changes.
    """
    rows = tx.all("SELECT id, data FROM block_documents", {})
    for row in rows:
        tx.execute(
            "UPDATE block_documents SET data = :data WHERE id = :id",
            {"id": row["id"], "data": encryption.encrypt(encryption.decrypt(row["data"]), row["data"])},
        )
    return len(rows)
