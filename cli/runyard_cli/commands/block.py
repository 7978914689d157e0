"""`runyard block`: configuration saved by name, and the types it comes in."""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Annotated, Any

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.options import Output, Yes, argument, option, words

block = App(
    "block",
    "Save configuration by name, see it, and register types of it. A block is named TYPE/NAME.",
    "runyard block ls",
)
block_type = App("type", "See and delete block types.", "runyard block type ls")
block.add_typer(block_type)
block.aliases = {"types": "type"}
_ID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def document_of(client: Any, reference: str) -> Any:
    """The saved block that TYPE/NAME or an id means, its secrets hidden."""
    from runyard.operations.blocks import block_documents

    slug, _, name = reference.partition("/")
    if _ID.fullmatch(reference):
        return client.call(block_documents.read_block_document, reference)
    if not name:
        raise WrongUsage(f"invalid block name {reference!r}; write TYPE/NAME, such as secret/{reference}.")
    return client.call(block_documents.read_block_document_by_name, slug, name)


@block.command("ls", example="runyard block ls")
def ls(
    everything: Annotated[bool, option("--all", help="Show blocks without a name too.")] = False,
    output: Output = None,
) -> None:
    """List the saved blocks."""
    found = _saved(connect(), everything)
    if output:
        out.print_data(found, output)
        return
    rows = [
        [each.id, each.block_type.name, each.name, f"{each.block_type.slug}/{each.name}"] for each in found
    ]
    out.table(
        "Blocks", ["ID", "Type", "Name", "Slug"], rows, "No blocks; save one: runyard block create --help"
    )


def _saved(client: Any, everything: bool) -> list[Any]:
    """The saved blocks; with `everything`, also the anonymous ones."""
    from runyard.operations.blocks import block_documents

    fields: dict[str, Any] = {"block_documents": {"is_anonymous": None}} if everything else {}
    return list(listed(client, block_documents.filter_block_documents, **fields))


@block.command("inspect", example="runyard block inspect json/settings")
def inspect(reference: Annotated[str, argument("TYPE/NAME")], output: Output = None) -> None:
    """Show one block; secrets are hidden."""
    found = document_of(connect(), reference)
    if output:
        out.print_data(found, output)
        return
    out.facts([("Name", reference), ("Type", found.block_type_name), ("ID", found.id)])
    out.facts((name, _shown(value)) for name, value in sorted(found.data.items()))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@block.command("create", example="runyard block create json --name settings value='{\"retries\": 3}'")
def create(
    kind: Annotated[str, argument("TYPE")],
    name: Annotated[str, option("-n", "--name", help="Lowercase letters, digits and hyphens.")],
    fields: Annotated[list[str], words("FIELD=VALUE")],
    overwrite: Annotated[bool, option("--overwrite", help="Replace a block saved by that name.")] = False,
) -> None:
    """Save a block. Each value is JSON or text; a secret value that is left out is asked for."""
    from runyard.base.errors import InvalidInput, NotFound
    from runyard.blocks.core import block_class

    found = block_class(kind)
    if found is None:
        raise NotFound(f"unknown block type {kind!r}; save yours from Python: block.save()")
    given: dict[str, Any] = {}
    for field in fields:
        key, equals, value = field.partition("=")
        if not equals:
            raise WrongUsage(f"{field!r} is not FIELD=VALUE.")
        given[key] = _value(value)
    for secret in found.schema_fields()["secret_fields"]:
        if secret in given:
            raise WrongUsage(
                f"{secret} is a secret, which others could read from a command line; leave it out, and it is "
                "asked for."
            )
        if secret in found.model_json_schema().get("required", ()):
            from runyard_cli.commands.secret import ask

            given[secret] = ask(secret)
    try:
        made = found(**given)
    except ValueError as error:
        from runyard.base.errors import RunyardError

        if isinstance(error, RunyardError):
            raise
        raise InvalidInput(_first_problem(error)) from None
    made.save(name, overwrite=overwrite, _sync=True)
    out.done(f"Saved {kind}/{name}.")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _first_problem(error: Any) -> str:
    details = error.errors()[0] if hasattr(error, "errors") else {"loc": (), "msg": str(error)}
    place = ".".join(str(part) for part in details["loc"])
    return f"{place}: {details['msg']}" if place else str(details["msg"])


@block.command("delete", example="runyard block delete json/settings")
def delete(
    references: Annotated[list[str], words("TYPE/NAME|ID")],
    everything: Annotated[
        bool, option("--all", help="All blocks, including secrets and blocks without a name.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Delete blocks. No key is needed: blocks that cannot be decrypted can be deleted too."""
    from runyard.operations.blocks import block_documents

    if bool(references) == everything:
        raise WrongUsage("Name the blocks, or give --all.")
    client = connect()
    if everything:
        found = _saved(client, everything=True)
    else:
        found = [document_of(client, reference) for reference in references]
    names = [f"{each.block_type.slug}/{each.name}" for each in found]
    if not names:
        out.done("No blocks.")
        return
    out.confirm(f"Delete {', '.join(names)}?", yes)
    for each, name in zip(found, names, strict=True):
        client.call(block_documents.delete_block_document, each.id)
        out.done(f"Deleted {name}.")


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
    out.table("Registered blocks", ["Name", "Slug"], rows, "")
    out.done(f"Registered {len(found)} block type{'s' if len(found) != 1 else ''}.")


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


@block_type.command("ls", example="runyard block type ls")
def type_ls(output: Output = None) -> None:
    """List the registered block types; a type is registered when a block of it is first saved."""
    from runyard.operations.blocks import block_types

    found = list(listed(connect(), block_types.filter_block_types))
    if output:
        out.print_data(found, output)
        return
    rows = [[each.slug, each.name, each.description or ""] for each in found]
    out.table(
        "Block types", ["Slug", "Name", "Description"], rows,
        "No block types are registered yet; register some: runyard block register -m runyard.blocks.system",
    )  # fmt: skip


@block_type.command("inspect", example="runyard block type inspect secret")
def type_inspect(slug: Annotated[str, argument("SLUG")], output: Output = None) -> None:
    """Show a block type and its fields."""
    from runyard.operations.blocks import block_types

    client = connect()
    kind = _kind(client, slug)
    listing = block_types.BlockListing(block_schemas={"block_type_id": {"any_": [kind.id]}}, limit=1)
    schemas = client.call(block_types.filter_block_schemas, listing)
    if output:
        out.print_data({"block_type": kind, "schema": schemas[0] if schemas else None}, output)
        return
    out.facts([("Name", kind.name), ("Slug", kind.slug), ("Description", kind.description), ("ID", kind.id)])
    if schemas:
        fields = schemas[0].fields
        required = fields.get("required") or ()
        rows = [
            [
                name,
                field.get("type") or "any",
                "yes" if name in required else "",
                field.get("description") or "",
            ]
            for name, field in (fields.get("properties") or {}).items()
        ]
        out.table("Fields", ["Name", "Type", "Required", "Description"], rows, "No fields.")


def _kind(client: Any, slug: str) -> Any:
    """A registered type; one that comes with Runyard is registered when it is first asked for."""
    from runyard.base.errors import NotFound
    from runyard.blocks.core import block_class
    from runyard.operations.blocks import block_types

    try:
        return client.call(block_types.read_block_type_by_slug, slug)
    except NotFound:
        found = block_class(slug)
        if found is None:
            raise
        found.register_type_and_schema(_sync=True)
        return client.call(block_types.read_block_type_by_slug, slug)


@block_type.command("delete", example="runyard block type delete my-type")
def type_delete(slug: Annotated[str, argument("SLUG")], yes: Yes = False) -> None:
    """Delete a block type with every block saved of it."""
    from runyard.operations.blocks import block_types

    client = connect()
    kind = client.call(block_types.read_block_type_by_slug, slug)
    out.confirm(f"Delete the block type {slug} and all its blocks?", yes)
    client.call(block_types.delete_block_type, kind.id)
    out.done(f"Deleted block type {slug}.")
