"""`runyard block`: configuration saved by name."""

from __future__ import annotations

import os
import re
import sys
from typing import Annotated, Any

from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.commands.block_type import block_type, type_called
from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.block_fields import block_of, given_fields, unknown_type
from runyard_cli.shared.client import connect
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
    option,
    words,
)
from runyard_cli.shared.saved_blocks import saved_blocks, slug_of

block = App(
    "block",
    "Save configuration by name, see it, and register types of it. A block is named TYPE/NAME.",
    "runyard block ls",
    aliases={"types": "type", "rm": "delete"},
)
block.add_typer(block_type)
_ID = re.compile(r"[0-9a-f-]{4,36}", re.IGNORECASE)


def document_of(client: Any, reference: str) -> Any:
    """The saved block that TYPE/NAME, an id or the beginning of an id means, its secrets hidden."""
    from runyard.operations.blocks.find_block_document import find_block_document

    if "/" not in reference and not _ID.fullmatch(reference):
        raise WrongUsage(f"invalid block name {reference!r}; write TYPE/NAME, such as secret/{reference}.")
    return client.call(find_block_document, reference=reference)


BLOCKS = Listing(
    "Blocks",
    (
        Column("Name", slug_of, "name"),
        Column("Type", lambda each: each.block_type.name),
        Column("Updated", lambda each: each.updated, "time"),
        Column("Created", lambda each: each.created, "time", wide=True),
        Column("ID", lambda each: each.id, "id"),
    ),
    "No blocks; save one with: runyard block create TYPE --name NAME FIELD=VALUE",
)


@block.command(
    "ls",
    example="""runyard block ls
        runyard block ls --type secret -o json""",
)
def ls(
    everything: Annotated[bool, option("--all", help="Show blocks without a name too.")] = False,
    kind: Annotated[
        str | None, option("-t", "--type", metavar="TYPE", help="Only blocks of this type.")
    ] = None,
    limit: Limit = 100,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the saved blocks."""
    client = connect()
    if kind is not None:
        type_called(client, kind)

    def read() -> Page:
        return cut(saved_blocks(client, everything, kind), limit)

    show_list(BLOCKS, read, View(output, columns, sort, watch), client)


@block.command("inspect", example="runyard block inspect json/settings")
def inspect(reference: Annotated[str, argument("TYPE/NAME")], output: Output = None) -> None:
    """Show one block; secrets are hidden."""
    found = document_of(connect(), reference)
    if output:
        out.print_data(found, output)
        return
    facts = [
        ("Type", found.block_type_name),
        ("Description", found.block_type.description),
        ("Created", found.created),
        ("Updated", found.updated),
        ("ID", found.id),
    ]
    values = {name: value for name, value in sorted(found.data.items()) if value is not None}
    show_details(f"Block {slug_of(found)}", [Section("Details", facts), Section("Values", data=values)])


@block.command("create", example="runyard block create json --name settings value='{\"retries\": 3}'")
def create(
    kind: Annotated[str, argument("TYPE")],
    fields: Annotated[list[str], words("FIELD=VALUE")],
    name: Annotated[str, option("-n", "--name", help="Lowercase letters, digits and hyphens.")],
    overwrite: Annotated[bool, option("--overwrite", help="Replace a block saved by that name.")] = False,
    output: Output = None,
) -> None:
    """Save a block. Each value is JSON or text; a secret value that is left out is asked for."""
    from runyard.base.errors import Conflict
    from runyard.blocks.core import block_class

    found = block_class(kind)
    if found is None:
        raise unknown_type(kind)
    made = block_of(found, given_fields(found, fields))
    verb = "Created"
    try:
        made.save(name, _sync=True)
    except Conflict:
        if not overwrite:
            raise Conflict(f"block '{kind}/{name}' exists already; use --overwrite to replace it") from None
        made.save(name, overwrite=True, _sync=True)
        verb = "Updated"
    if output:
        out.print_data(document_of(connect(), f"{kind}/{name}"), output)
        return
    out.done(f"{verb} block '{kind}/{name}'.")
    out.hint(f"See it with: {command_of('runyard block inspect', f'{kind}/{name}')}")


@block.command(
    "delete",
    example="""runyard block delete json/settings
        runyard block delete --all --dry-run""",
)
def delete(
    references: Annotated[list[str], words("[TYPE/NAME|ID]")],
    everything: Annotated[
        bool, option("--all", help="All blocks, including secrets and blocks without a name.")
    ] = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Delete blocks. No key is needed: blocks that cannot be decrypted can be deleted too."""
    from runyard.operations.blocks import block_documents

    if bool(references) == everything:
        raise WrongUsage("Name the blocks, or give --all.")
    client = connect()
    if everything:
        found = saved_blocks(client, everything=True)
    else:
        found = [document_of(client, reference) for reference in dict.fromkeys(references)]
    names = [slug_of(each) for each in found]
    if not names and not output:
        out.say("There are no blocks.")
        return
    if not dry_run:
        what = f"block '{names[0]}'" if len(names) == 1 else f"{len(names)} blocks: {', '.join(names)}"
        out.confirm(f"Delete {what}?", yes)
    for each, name in zip(found, names, strict=True):
        if not dry_run:
            client.call(block_documents.delete_block_document, each.id)
        if not output:
            out.done(f"{'Would delete' if dry_run else 'Deleted'} block '{name}'.")
    if output:
        out.print_data(found, output)


@block.command("register", example="runyard block register -m my_project.blocks")
def register(
    module: Annotated[str | None, option("-m", "--module", help="A module that declares blocks.")] = None,
    path: Annotated[str | None, option("-f", "--file", help="A Python file that declares blocks.")] = None,
    output: Output = None,
) -> None:
    """Register the block types of a module or a file."""
    if (module is None) == (path is None):
        raise WrongUsage("Give --module or --file, one of them.")
    found = _declared_in(module, path)
    if not found:
        from runyard.base.errors import NotFound

        raise NotFound(f"no blocks found in {module or path}")
    for each in found:
        each.register_type_and_schema(_sync=True)
    rows = [[each.get_block_type_name(), each.get_block_type_slug()] for each in found]
    if output:
        out.print_data([{"name": name, "slug": slug} for name, slug in rows], output)
        return
    out.done(f"Registered {counted(len(rows), 'block type')}: {', '.join(slug for _, slug in rows)}.")
    out.hint(f"See its fields with: {command_of('runyard block type inspect', rows[0][1])}")


def _declared_in(module: str | None, path: str | None) -> list[Any]:
    import inspect as inspection
    from importlib import import_module

    from runyard.base.errors import EntrypointError
    from runyard.blocks.core import Block
    from runyard.compat import imports
    from runyard.compat.module_table import target

    imports.install()
    try:
        if module is not None:
            here = os.getcwd()
            if here not in sys.path:
                sys.path.insert(0, here)
            loaded = import_module(target(module))
        else:
            from runyard.deployments.loading.loading import load_file

            loaded = load_file(str(path))
    except ImportError as error:
        raise EntrypointError(f"{module or path} cannot be imported: {error}") from None
    return [
        each
        for _name, each in inspection.getmembers(loaded)
        if Block.is_block_class(each)
        and each.__module__ == loaded.__name__
        and not inspection.isabstract(each)
    ]
