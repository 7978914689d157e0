"""`runyard secret`: secret values by name, encrypted; never given on a command line."""

from __future__ import annotations

import re
from typing import Annotated, Any

from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import connect
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import (
    Columns,
    Limit,
    ListOutput,
    Output,
    Sort,
    Watch,
    Yes,
    argument,
    option,
)
from runyard_cli.shared.secrets import ask_secret
from runyard_cli.shared.suggesting import suggesting

secret = App(
    "secret",
    "Keep secret values by name; flows read them by Secret.load(NAME).get().",
    "runyard secret set my-api-key",
    aliases={"create": "set", "unset": "delete", "rm": "delete"},
    instead={"get": "runyard secret inspect NAME --show"},
)
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")


@secret.command(
    "set",
    example="""runyard secret set my-api-key
        runyard secret set my-api-key < key.txt""",
)
def set_(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Save a secret; an earlier one of that name is replaced.

    It is asked for without echo, or read from standard input.
    """
    from runyard.base.errors import InvalidInput, NotFound
    from runyard.blocks.system import Secret

    if not _NAME.fullmatch(name):
        raise InvalidInput(f"invalid name {name!r}: use lowercase letters, digits and -")
    given: Any = ask_secret(f"Value of {name}")
    client = connect()
    try:
        _read(client, name)
        verb = "Updated"
    except NotFound:
        verb = "Created"
    Secret(value=given).save(name, overwrite=True, _sync=True)
    if output:
        out.print_data(_read(client, name), output)
        return
    out.done(f"{verb} secret '{name}'.")
    out.hint(f'Read it in a flow with: Secret.load("{name}").get()')


def _read(client: Any, name: str, show: bool = False) -> Any:
    from runyard.operations.blocks import block_documents

    return client.call(block_documents.read_block_document_by_name, "secret", name, include_secrets=show)


SECRETS = Listing(
    "Secrets",
    (
        Column("Name", lambda each: each.name, "name"),
        Column("Created", lambda each: each.created, "time"),
        Column("Updated", lambda each: each.updated, "time"),
        Column("ID", lambda each: each.id, "id", wide=True),
    ),
    "No secrets; save one with: runyard secret set NAME",
)


@secret.command("ls", example="runyard secret ls")
def ls(
    limit: Limit = 100,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the names of the secrets."""
    from runyard.operations.blocks import block_documents

    client = connect()

    def read() -> Page:
        found: list[Any] = client.call(block_documents.read_block_documents_of_type, "secret")
        return cut(found, limit)

    show_list(SECRETS, read, View(output, columns, sort, watch), client)


@secret.command(
    "inspect",
    example="""runyard secret inspect my-api-key
        runyard secret inspect my-api-key --show""",
)
def inspect(
    name: Annotated[str, argument("NAME")],
    show: Annotated[bool, option("--show", help="Print the value itself.")] = False,
    output: Output = None,
) -> None:
    """Show a secret; its value only with --show."""
    client = connect()
    with suggesting(client, "secrets", name, "runyard secret ls"):
        found = _read(client, name, show)
    if output:
        out.print_data(found, output)
        return
    facts = [
        ("Value", found.data.get("value")),
        ("Created", found.created),
        ("Updated", found.updated),
        ("ID", found.id),
    ]
    show_details(f"Secret {name}", [Section("Details", facts)])
    if not show:
        out.hint(f"Show its value with: {command_of('runyard secret inspect', name, options='--show')}")


@secret.command("delete", example="runyard secret delete my-api-key")
def delete(names: Annotated[list[str], argument("NAME")], yes: Yes = False, output: Output = None) -> None:
    """Delete secrets."""
    from runyard.operations.blocks import block_documents

    client = connect()
    found = []
    for name in dict.fromkeys(names):
        with suggesting(client, "secrets", name, "runyard secret ls"):
            found.append(_read(client, name))
    what = f"secret '{found[0].name}'" if len(found) == 1 else f"{len(found)} secrets: {', '.join(names)}"
    out.confirm(f"Delete {what}?", yes)
    for each in found:
        client.call(block_documents.delete_block_document, each.id)
        if not output:
            out.done(f"Deleted secret '{each.name}'.")
    if output:
        out.print_data(found, output)


@secret.command("rotate", example="runyard secret rotate")
def rotate(output: Output = None) -> None:
    """Encrypt every saved block with a new key.

    With a key file, a new key is created. With RUNYARD_ENCRYPTION_KEY, put the new key in front of the old
    one first, separated by a comma; when this is done the old one can go.
    """
    from runyard import settings
    from runyard.base.errors import InvalidInput, SettingError
    from runyard.operations.blocks import block_documents
    from runyard.settings import encryption

    if settings.get("api_url"):
        raise InvalidInput("keys belong to the server; rotate them on its machine, without RUNYARD_API_URL")
    client = connect()
    if settings.get("encryption_key"):
        count = client.call(block_documents.rotate_encryption)
    else:
        with encryption.changing_keys():
            before = encryption.keys()
            new = encryption.new_key()
            # Old and new are in the file until everything is encrypted anew: a crash loses nothing.
            encryption.write_keys([new, *before])
            try:
                count = client.call(block_documents.rotate_encryption)
            except SettingError:  # nothing was encrypted with the new key
                encryption.write_keys(before)
                raise
            encryption.write_keys([new])
    if output:
        out.print_data({"rotated": count}, output)
        return
    out.done(f"Encrypted {counted(count, 'saved block')} with the new key.")
    out.hint("Backups need the old key; make a new one with: runyard database backup FILE")
