"""`runyard secret`: secret values by name, encrypted; never given on a command line."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.options import Output, Yes, argument, option

secret = App(
    "secret",
    "Keep secret values by name; flows read them by Secret.load(NAME).get().",
    "runyard secret set my-api-key",
)


def ask(what: str) -> str:
    """A secret, asked for without echo on a terminal, else all of standard input.

    Raises:
        WrongUsage: standard input is empty.
    """
    if out.at_keyboard():
        value: str = typer.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
        return value
    value = sys.stdin.read().removesuffix("\n")
    if not value:
        raise WrongUsage(f"{what} is read from standard input, which is empty.")
    return value


@secret.command(
    "set",
    example="""runyard secret set my-api-key
        runyard secret set my-api-key < key.txt""",
)
def set_(name: Annotated[str, argument("NAME")]) -> None:
    """Save a secret; an earlier one of that name is replaced.

    It is asked for without echo, or read from standard input.
    """
    from runyard.blocks.system import Secret

    given: Any = ask(f"Value of {name}")
    Secret(value=given).save(name, overwrite=True, _sync=True)
    out.done(f"Secret '{name}' is set.")


def _all(client: Any) -> list[Any]:
    from runyard.operations.blocks import block_documents

    found: list[Any] = client.call(block_documents.read_block_documents_of_type, "secret")
    return found


@secret.command("ls", example="runyard secret ls")
def ls(output: Output = None) -> None:
    """List the names of the secrets."""
    found = _all(connect())
    if output:
        out.print_data(found, output)
        return
    rows = [[each.name, out.ago(each.created), out.ago(each.updated)] for each in found]
    out.table(
        "Secrets", ["Name", "Created", "Updated"], rows, "No secrets; keep one: runyard secret set NAME"
    )


@secret.command("inspect", example="runyard secret inspect my-api-key")
def inspect(
    name: Annotated[str, argument("NAME")],
    show: Annotated[bool, option("--show", help="Print the value itself.")] = False,
    output: Output = None,
) -> None:
    """Show a secret; its value only with --show."""
    from runyard.operations.blocks import block_documents

    found = connect().call(block_documents.read_block_document_by_name, "secret", name, include_secrets=show)
    if output:
        out.print_data(found, output)
        return
    value = found.data.get("value")
    known = [("Name", name), ("Value", value), ("Updated", out.local(found.updated)), ("ID", found.id)]
    out.facts(known, secrets=show)


@secret.command("delete", example="runyard secret delete my-api-key")
def delete(names: Annotated[list[str], argument("NAME")], yes: Yes = False) -> None:
    """Delete secrets."""
    from runyard.operations.blocks import block_documents

    client = connect()
    found = [client.call(block_documents.read_block_document_by_name, "secret", name) for name in names]
    out.confirm(f"Delete the secret{'s' if len(names) > 1 else ''} {', '.join(names)}?", yes)
    for each in found:
        client.call(block_documents.delete_block_document, each.id)
        out.done(f"Deleted secret '{each.name}'.")


@secret.command("rotate", example="runyard secret rotate")
def rotate() -> None:
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
    out.done(f"Encrypted {count} saved block{'s' if count != 1 else ''} with the new key.")
