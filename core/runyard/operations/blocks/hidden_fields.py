"""Which fields of a saved block are secret, and stars in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.redaction import STARS
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


def obfuscate(data: Any, path: list[str]) -> None:
    """Replace the values at a path such as `credentials.*` by stars."""
    head, *rest = path
    if isinstance(data, list):
        for item in data:
            obfuscate(item, path)
    elif isinstance(data, dict):
        names = list(data) if head == "*" else [head] if head in data else []
        for name in names:
            if data[name] is None:
                continue
            if rest and isinstance(data[name], (dict, list)):
                obfuscate(data[name], rest)
            else:
                data[name] = STARS


def obfuscate_inner(tx: Transaction, data: Any) -> None:
    """Replace the secrets of blocks inside the data, also where the field does not declare their type."""
    if isinstance(data, list):
        for item in data:
            obfuscate_inner(tx, item)
    elif isinstance(data, dict):
        if isinstance(data.get("block_type_slug"), str):
            schema = tx.one(
                """SELECT s.fields FROM block_schemas s JOIN block_types t ON t.id = s.block_type_id
                   WHERE t.slug = :slug ORDER BY s.created DESC LIMIT 1""",
                {"slug": data["block_type_slug"]},
            )
            for path in load(schema["fields"], {}).get("secret_fields") or () if schema else ():
                obfuscate(data, path.split("."))
        for item in data.values():
            obfuscate_inner(tx, item)
