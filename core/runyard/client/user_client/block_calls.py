"""The client's methods for blocks, block types and block schemas."""

from __future__ import annotations

from typing import Any

from runyard.client.user_client.calling import Caller, given
from runyard.operations.blocks import block_documents, block_types


class Blocks(Caller):
    """Methods for blocks."""

    def create_block_type(self, block_type: Any) -> block_types.BlockType:
        """Create a block type from a BlockTypeCreate."""
        return self._call(block_types.create_block_type, block_type)

    def read_block_types(self) -> list[block_types.BlockType]:
        """The block types."""
        return self._call(block_types.filter_block_types, block_types.BlockListing())

    def read_block_type_by_slug(self, slug: str) -> block_types.BlockType:
        """A block type by its slug."""
        return self._call(block_types.read_block_type_by_slug, slug)

    def update_block_type(self, block_type_id: Any, block_type: Any) -> None:
        """Update a block type from a BlockTypeUpdate."""
        self._call(block_types.update_block_type, str(block_type_id), block_type)

    def delete_block_type(self, block_type_id: Any) -> None:
        """Delete a block type and all its saved blocks."""
        self._call(block_types.delete_block_type, str(block_type_id))

    def create_block_schema(self, block_schema: Any) -> block_types.BlockSchema:
        """Create a schema of a block type from a BlockSchemaCreate."""
        return self._call(block_types.create_block_schema, block_schema)

    def read_block_schemas(self) -> list[block_types.BlockSchema]:
        """The schemas of all block types."""
        return self._call(block_types.filter_block_schemas, block_types.BlockListing())

    def read_block_schema_by_checksum(
        self, checksum: str, version: str | None = None
    ) -> block_types.BlockSchema:
        """The schema with that checksum."""
        return self._call(block_types.read_block_schema_by_checksum, checksum, **given(version=version))

    def get_most_recent_block_schema_for_block_type(
        self, block_type_id: Any
    ) -> block_types.BlockSchema | None:
        """The latest schema of a block type; None if it does not have a schema."""
        wanted = block_types.BlockListing(
            block_schemas={"block_type_id": {"any_": [str(block_type_id)]}}, limit=1
        )
        return next(iter(self._call(block_types.filter_block_schemas, wanted)), None)

    def create_block_document(
        self, block_document: Any, include_secrets: bool = True
    ) -> block_documents.BlockDocument:
        """Save a block from a BlockDocumentCreate."""
        saved = self._call(block_documents.create_block_document, block_document)
        return saved if include_secrets else self.read_block_document(saved.id, include_secrets=False)

    def read_block_documents(
        self,
        block_schema_type: str | None = None,
        offset: int | None = None,
        limit: int | None = None,
        include_secrets: bool = True,
    ) -> list[block_documents.BlockDocument]:
        """The saved blocks."""
        fields = given(offset=offset, limit=limit, include_secrets=include_secrets)
        return self._call(block_documents.filter_block_documents, block_types.BlockListing(**fields))

    def read_block_documents_by_type(
        self,
        block_type_slug: str,
        offset: int | None = None,
        limit: int | None = None,
        include_secrets: bool = True,
    ) -> list[block_documents.BlockDocument]:
        """The saved blocks of a type."""
        operation = block_documents.read_block_documents_of_type
        found = self._call(operation, block_type_slug, include_secrets=include_secrets)
        start = offset or 0
        return found[start : None if limit is None else start + limit]

    def read_block_document_by_name(
        self, name: str, block_type_slug: str, include_secrets: bool = True
    ) -> block_documents.BlockDocument:
        """A saved block by its name and the slug of its type."""
        operation = block_documents.read_block_document_by_name
        return self._call(operation, block_type_slug, name, include_secrets=include_secrets)

    def read_block_document(
        self, block_document_id: Any, include_secrets: bool = True
    ) -> block_documents.BlockDocument:
        """A saved block by its id."""
        operation = block_documents.read_block_document
        return self._call(operation, str(block_document_id), include_secrets=include_secrets)

    def delete_block_document(self, block_document_id: Any) -> None:
        """Delete a saved block."""
        self._call(block_documents.delete_block_document, str(block_document_id))

    def update_block_document(self, block_document_id: Any, block_document: Any) -> None:
        """Update a saved block from a BlockDocumentUpdate."""
        self._call(block_documents.update_block_document, str(block_document_id), block_document)
