"""`runyard block type`: the types that saved blocks have."""

from __future__ import annotations

from typing import Annotated, Any

from runyard.base.quoting import quoted
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.block_fields import unknown_type
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import (
    Columns,
    DryRun,
    Limit,
    ListOutput,
    Output,
    Sort,
    Watch,
    Yes,
    argument,
)
from runyard_cli.shared.saved_blocks import saved_blocks

block_type = App("type", "See and delete block types.", "runyard block type ls", aliases={"rm": "delete"})


TYPES = Listing(
    "Block types",
    (
        Column("Slug", lambda each: each.slug, "name"),
        Column("Name", lambda each: each.name),
        Column("Description", lambda each: each.description),
        Column("ID", lambda each: each.id, "id", wide=True),
    ),
    "No block types are registered yet; register some with: runyard block register -m runyard.blocks.system",
)


@block_type.command("ls", example="runyard block type ls")
def type_ls(
    limit: Limit = 100,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the registered block types; a type is registered when a block of it is first saved."""
    from runyard.operations.blocks import block_types

    client = connect()

    def read() -> Page:
        return cut(list(listed(client, block_types.filter_block_types)), limit)

    show_list(TYPES, read, View(output, columns, sort, watch), client)


@block_type.command("inspect", example="runyard block type inspect secret")
def type_inspect(slug: Annotated[str, argument("SLUG")], output: Output = None) -> None:
    """Show a block type and its fields."""
    from runyard.operations.blocks import block_types

    client = connect()
    kind = type_called(client, slug)
    listing = block_types.BlockListing(block_schemas={"block_type_id": {"any_": [kind.id]}}, limit=1)
    schemas = client.call(block_types.filter_block_schemas, listing)
    if output:
        out.print_data({"block_type": kind, "schema": schemas[0] if schemas else None}, output)
        return
    facts = [("Name", kind.name), ("Description", kind.description), ("ID", kind.id)]
    show_details(f"Block type {kind.slug}", [Section("Details", facts)])
    if schemas:
        fields = schemas[0].fields
        secrets = {path.partition(".")[0] for path in fields.get("secret_fields") or ()}
        required = fields.get("required") or ()
        rows = [
            [
                name,
                field.get("type") or "any",
                "yes" if name in required else "",
                "yes" if name in secrets else "",
                field.get("description") or "",
            ]
            for name, field in (fields.get("properties") or {}).items()
        ]
        out.say("")
        out.table("Fields", ["Name", "Type", "Required", "Secret", "Description"], rows, "No fields.")
    given = [quoted(f"{name}=VALUE") for name in required if name not in secrets] if schemas else []
    out.hint(" ".join(["Save one with: runyard block create", quoted(slug), "--name NAME", *given]))


def type_called(client: Any, slug: str) -> Any:
    """A registered type; one that comes with Runyard is registered when it is first asked for."""
    from runyard.base.errors import NotFound
    from runyard.blocks.core import block_class
    from runyard.operations.blocks import block_types

    try:
        return client.call(block_types.read_block_type_by_slug, slug)
    except NotFound:
        found = block_class(slug)
        if found is None:
            raise unknown_type(slug, client) from None
        found.register_type_and_schema(_sync=True)
        return client.call(block_types.read_block_type_by_slug, slug)


@block_type.command("delete", example="runyard block type delete my-type")
def type_delete(
    slug: Annotated[str, argument("SLUG")], yes: Yes = False, dry_run: DryRun = False, output: Output = None
) -> None:
    """Delete a block type with every block saved of it."""
    from runyard.base.errors import NotFound
    from runyard.operations.blocks import block_types

    client = connect()
    try:
        kind = client.call(block_types.read_block_type_by_slug, slug)
    except NotFound:
        raise unknown_type(slug, client) from None
    count = len(saved_blocks(client, everything=True, kind=slug))
    what = f"block type '{slug}' with {counted(count, 'saved block')}"
    if dry_run:
        if output:
            out.print_data(kind, output)
        else:
            out.say(f"Would delete {what}.")
        return
    out.confirm(f"Delete {what}?", yes)
    client.call(block_types.delete_block_type, kind.id)
    if output:
        out.print_data(kind, output)
    else:
        out.done(f"Deleted {what}.")
