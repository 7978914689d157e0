"""Saved blocks as the commands list them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard_cli.shared.client import listed

if TYPE_CHECKING:
    from runyard.client import Client


def saved_blocks(client: Client, everything: bool, kind: str | None = None) -> list[Any]:
    """The saved blocks, sorted by type and name, their secrets hidden.

    Args:
        everything: also those without a name.
        kind: only blocks of the type with this slug.
    """
    from runyard.operations.blocks import block_documents

    fields: dict[str, Any] = {"block_documents": {"is_anonymous": None}} if everything else {}
    if kind is not None:
        fields["block_types"] = {"slug": {"any_": [kind]}}
    return list(listed(client, block_documents.filter_block_documents, **fields))


def slug_of(document: Any) -> str:
    """`type/name` of a saved block."""
    return f"{document.block_type.slug}/{document.name}"
