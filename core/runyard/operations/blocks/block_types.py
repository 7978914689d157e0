"""Block types and the schemas of their fields."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from runyard.base import clock, ids
from runyard.base.errors import Conflict, NotAllowed, NotFound
from runyard.operations.filters.criteria import Criteria, limits_of
from runyard.operations.operation import Answer, operation
from runyard.operations.schemas import Input, Model, Query, Time, dump, load
from runyard.store.database import Row, Transaction

# The version of a schema whose class does not declare one.
DEFAULT_BLOCK_SCHEMA_VERSION = "non-versioned"


class BlockType(Model):
    """A block type."""

    id: str
    created: Time
    updated: Time
    name: str
    slug: str
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None
    is_protected: bool = False


class BlockTypeCreate(Input):
    """A block type to create."""

    name: str = Field(min_length=1)
    slug: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None


class BlockTypeUpdate(Input):
    """Changes to the description of a block type."""

    logo_url: str | None = None
    documentation_url: str | None = None
    description: str | None = None
    code_example: str | None = None


class BlockSchema(Model):
    """The fields of a block type, as its code declared them when it was registered."""

    id: str
    created: Time
    updated: Time
    checksum: str
    fields: dict[str, Any] = Field(default_factory=dict)
    block_type_id: str
    block_type: BlockType | None = None
    capabilities: list[str] = Field(default_factory=list)
    version: str = "non-versioned"


class BlockSchemaCreate(Input):
    """A schema to create. Equal fields are stored once."""

    fields: dict[str, Any] = Field(default_factory=dict)
    block_type_id: str
    capabilities: list[str] = Field(default_factory=list)
    version: str = "non-versioned"


class BlockListing(Query):
    """Which blocks, schemas or types to list: filters, order and page."""

    block_types: dict[str, Any] | None = None
    block_schemas: dict[str, Any] | None = None
    block_documents: dict[str, Any] | None = None
    include_secrets: bool = False
    limit: int | None = None
    offset: int | None = None
    sort: str | None = None


def type_of_row(row: Row) -> BlockType:
    """Convert a row of `block_types` to its model."""
    fields = {name: row[name] for name in BlockType.model_fields if name in row}
    fields["created"], fields["updated"] = clock.from_us(row["created"]), clock.from_us(row["updated"])
    fields["is_protected"] = bool(row["is_protected"])
    return BlockType(**fields)


def _type_row(tx: Transaction, column: str, value: str) -> Row:
    row = tx.one(f"SELECT * FROM block_types WHERE {column} = :value", {"value": value})  # noqa: S608  # id, slug
    if row is None:
        raise NotFound(f"block type {value!r} not found; see: runyard block type ls")
    return row


def schema_of_row(tx: Transaction, row: Row) -> BlockSchema:
    """Convert a row of `block_schemas` to its model, with its block type."""
    return BlockSchema(
        id=row["id"],
        created=clock.from_us(row["created"]),
        updated=clock.from_us(row["updated"]),
        checksum=row["checksum"],
        fields=load(row["fields"], {}),
        block_type_id=row["block_type_id"],
        block_type=type_of_row(_type_row(tx, "id", row["block_type_id"])),
        capabilities=load(row["capabilities"], []),
        version=row["version"],
    )


@operation("POST", "/block_types/", status=201)
def create_block_type(tx: Transaction, body: BlockTypeCreate) -> BlockType:
    """Create a block type.

    Raises:
        Conflict: a block type with that slug exists already.
    """
    row = tx.one(
        """INSERT INTO block_types (id, created, updated, name, slug, logo_url, documentation_url,
               description, code_example)
           VALUES (:id, :now, :now, :name, :slug, :logo_url, :documentation_url, :description,
               :code_example)
           ON CONFLICT (slug) DO NOTHING RETURNING *""",
        {"id": ids.new_id(), "now": clock.now_us(), **body.model_dump()},
    )
    if row is None:
        raise Conflict(f"a block type {body.slug!r} exists already")
    return type_of_row(row)


@operation("GET", "/block_types/slug/{slug}")
def read_block_type_by_slug(tx: Transaction, slug: str) -> BlockType:
    """Read a block type by its slug.

    Raises:
        NotFound: the block type is not found.
    """
    return type_of_row(_type_row(tx, "slug", slug))


@operation("GET", "/block_types/{block_type_id}")
def read_block_type(tx: Transaction, block_type_id: str) -> BlockType:
    """Read a block type.

    Raises:
        NotFound: the block type is not found.
    """
    return type_of_row(_type_row(tx, "id", block_type_id))


@operation("PATCH", "/block_types/{block_type_id}", status=204)
def update_block_type(tx: Transaction, block_type_id: str, body: BlockTypeUpdate) -> None:
    """Update the description of a block type. Only the given fields change.

    Raises:
        NotFound: the block type is not found.
    """
    row = _type_row(tx, "id", block_type_id)
    tx.execute(
        """UPDATE block_types SET updated = :now, logo_url = :logo_url,
               documentation_url = :documentation_url, description = :description,
               code_example = :code_example
           WHERE id = :id""",
        {
            **{name: row[name] for name in BlockTypeUpdate.model_fields},
            **body.model_dump(exclude_unset=True),
            "id": row["id"],
            "now": clock.now_us(),
        },
    )


@operation("DELETE", "/block_types/{block_type_id}", status=204)
def delete_block_type(tx: Transaction, block_type_id: str) -> None:
    """Delete a block type with its schemas and saved blocks.

    Raises:
        NotFound: the block type is not found.
        NotAllowed: the block type is protected.
    """
    row = _type_row(tx, "id", block_type_id)
    if row["is_protected"]:
        raise NotAllowed(f"the block type {row['slug']!r} is protected and cannot be deleted")
    for table in ("block_documents", "block_schemas"):
        tx.execute(f"DELETE FROM {table} WHERE block_type_id = :id", {"id": row["id"]})  # noqa: S608  # two tables
    tx.execute("DELETE FROM block_types WHERE id = :id", {"id": row["id"]})


@operation("POST", "/block_types/filter")
def filter_block_types(tx: Transaction, body: BlockListing) -> list[BlockType]:
    """List block types, sorted by name.

    Raises:
        InvalidInput: a filter is invalid, or a limit is out of range.
    """
    found = Criteria(body.block_types, "block_types").like("name", "name").any_of("slug", "slug")
    rows = tx.all(
        f"SELECT * FROM block_types WHERE {found.where()} ORDER BY name, id LIMIT :limit OFFSET :offset",  # noqa: S608  # bound
        {**found.values, **limits_of(body.limit, body.offset)},
    )
    return [type_of_row(row) for row in rows]


@operation("POST", "/block_schemas/", status=201)
def create_block_schema(tx: Transaction, body: BlockSchemaCreate) -> Answer[BlockSchema]:
    """Create the schema of a block type's fields, or return the one that exists.

    Raises:
        NotFound: the block type is not found.
    """
    _type_row(tx, "id", body.block_type_id)
    checksum = checksum_of(body.fields)
    row = tx.one(
        """INSERT INTO block_schemas (id, created, updated, checksum, fields, block_type_id, capabilities,
               version)
           VALUES (:id, :now, :now, :checksum, :fields, :block_type_id, :capabilities, :version)
           ON CONFLICT (checksum, version) DO NOTHING RETURNING *""",
        {
            "id": ids.new_id(),
            "now": clock.now_us(),
            "checksum": checksum,
            "fields": dump(body.fields),
            "block_type_id": body.block_type_id,
            "capabilities": dump(sorted(body.capabilities)),
            "version": body.version,
        },
    )
    created = row is not None
    if row is None:
        row = _schema_row(tx, "checksum = :value AND version = :version", checksum, body.version)
    return Answer(schema_of_row(tx, row), 201 if created else 200)


def checksum_of(fields: dict[str, Any]) -> str:
    """The checksum of the fields: `sha256:` and a digest. Equal fields have equal checksums."""
    import hashlib
    import json

    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _schema_row(tx: Transaction, condition: str, value: str, version: str | None = None) -> Row:
    row = tx.one(
        f"SELECT * FROM block_schemas WHERE {condition} ORDER BY created DESC LIMIT 1",  # noqa: S608  # constants
        {"value": value, "version": version},
    )
    if row is None:
        raise NotFound(f"no block schema {value!r}")
    return row


@operation("GET", "/block_schemas/checksum/{checksum}")
def read_block_schema_by_checksum(tx: Transaction, checksum: str, version: str | None = None) -> BlockSchema:
    """Read a schema by its checksum: the latest version, unless a version is given.

    Raises:
        NotFound: the schema is not found.
    """
    condition = "checksum = :value" + (" AND version = :version" if version else "")
    return schema_of_row(tx, _schema_row(tx, condition, checksum, version))


@operation("GET", "/block_schemas/{block_schema_id}")
def read_block_schema(tx: Transaction, block_schema_id: str) -> BlockSchema:
    """Read a schema.

    Raises:
        NotFound: the schema is not found.
    """
    return schema_of_row(tx, _schema_row(tx, "id = :value", block_schema_id))


@operation("DELETE", "/block_schemas/{block_schema_id}", status=204)
def delete_block_schema(tx: Transaction, block_schema_id: str) -> None:
    """Delete a schema with its saved blocks.

    Raises:
        NotFound: the schema is not found.
    """
    row = _schema_row(tx, "id = :value", block_schema_id)
    tx.execute("DELETE FROM block_documents WHERE block_schema_id = :id", {"id": row["id"]})
    tx.execute("DELETE FROM block_schemas WHERE id = :id", {"id": row["id"]})


@operation("POST", "/block_schemas/filter")
def filter_block_schemas(tx: Transaction, body: BlockListing) -> list[BlockSchema]:
    """List schemas, newest first.

    Raises:
        InvalidInput: a filter is invalid, or a limit is out of range.
    """
    found = Criteria(body.block_schemas, "block_schemas").any_of("id", "id")
    found.any_of("block_type_id", "block_type_id").any_of("version", "version")
    where = found.also("block_capabilities", "all_").where()
    rows = tx.all(
        f"SELECT * FROM block_schemas WHERE {where} ORDER BY created DESC, id LIMIT :limit OFFSET :offset",  # noqa: S608
        {**found.values, **limits_of(body.limit, body.offset)},
    )
    schemas = [schema_of_row(tx, row) for row in rows]
    wanted = ((body.block_schemas or {}).get("block_capabilities") or {}).get("all_") or []
    return [schema for schema in schemas if set(wanted) <= set(schema.capabilities)]


@operation("GET", "/block_capabilities/")
def read_block_capabilities(tx: Transaction) -> list[str]:
    """List the capabilities of all schemas."""
    rows = tx.all("SELECT DISTINCT capabilities FROM block_schemas", {})
    return sorted({name for row in rows for name in load(row["capabilities"], [])})
