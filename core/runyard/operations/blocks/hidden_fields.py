"""Which fields of a saved block are secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.operations.schemas import load

if TYPE_CHECKING:
    from runyard.store.database import Transaction


def hidden_fields(tx: Transaction, slug: str, name: str) -> list[str] | None:
    """The secret fields of a saved block. None if the block does not exist."""
    row = tx.one(
        """SELECT s.fields FROM block_documents d JOIN block_types t ON t.id = d.block_type_id
           JOIN block_schemas s ON s.id = d.block_schema_id WHERE t.slug = :slug AND d.name = :name""",
        {"slug": slug, "name": name},
    )
    return None if row is None else list(load(row["fields"], {}).get("secret_fields") or [])
