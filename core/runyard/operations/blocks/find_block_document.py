"""Find a saved block by what people type."""

from __future__ import annotations

from runyard.base.errors import NotFound
from runyard.base.suggestions import did_you_mean
from runyard.operations.blocks.block_documents import BY_NAME, BlockDocument, document_of_row, row_of
from runyard.operations.operation import operation
from runyard.operations.references import of_beginning
from runyard.store.database import Transaction


@operation("GET", "/runyard/block_documents/find")
def find_block_document(tx: Transaction, reference: str = "") -> BlockDocument:
    """Find a saved block; its secrets are hidden.

    Args:
        reference: `type/name`, the id, or its first 4 or more characters.

    Raises:
        NotFound: the saved block is not found. The message names a similar one.
        Conflict: several ids start with it. The message lists them.
    """
    slug, _, name = reference.partition("/")
    row = tx.one(BY_NAME, {"slug": slug, "name": name}) if name else None
    if row is None:
        found = of_beginning(tx, "block_documents", reference, "saved block")
        row = row_of(tx, found) if found is not None else None
    if row is None:
        known = tx.all(
            """SELECT t.slug, d.name FROM block_documents d JOIN block_types t ON t.id = d.block_type_id
               WHERE d.is_anonymous = 0 ORDER BY t.slug, d.name LIMIT 1000"""
        )
        names = [f"{each['slug']}/{each['name']}" for each in known]
        hint = did_you_mean(reference, names, "see: runyard block ls")
        raise NotFound(f"block {reference!r} not found{hint}")
    return document_of_row(tx, row, include_secrets=False)
