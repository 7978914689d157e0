"""`runyard variable`: JSON values by name that all flows share."""

from __future__ import annotations

import json
from typing import Any

import click
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Count, group, output_option, yes_option
from runyard_cli.shared.client import connect, listed

variable = group(
    "variable",
    "Set and see variables: JSON values by name that flows read by Variable.get(NAME).",
    "runyard variable set threshold 42",
)
_WIDEST = 50


@variable.command(
    "set",
    example="""runyard variable set threshold 42
        runyard variable set regions '["eu", "us"]' --overwrite --tag production""",
)
@click.argument("name")
@click.argument("value")
@click.option("--overwrite", is_flag=True, help="Replace an existing one.")
@click.option("--tag", multiple=True, help="A label; may be given several times.")
def set_(name: str, value: str, overwrite: bool, tag: tuple[str, ...]) -> None:
    """Set a variable; VALUE is JSON, or else text."""
    from runyard.sdk.variables import Variable

    Variable.set(name, _value(value), list(tag) or None, overwrite, _sync=True)
    out.done(f"Variable '{name}' is set.")


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@variable.command("get", example="runyard variable get threshold")
@click.argument("name")
def get(name: str) -> None:
    """Print a variable's value: a text as it is, anything else as JSON."""
    from runyard.operations.records import stored_variables

    value = connect().call(stored_variables.read_variable_by_name, name).value
    text = value if isinstance(value, str) else json.dumps(value)
    click.echo(visible(text) if out.on_terminal() else text)


@variable.command("inspect", example="runyard variable inspect threshold")
@click.argument("name")
@output_option
def inspect(name: str, output: str | None) -> None:
    """Show a variable."""
    from runyard.operations.records import stored_variables

    out.show(connect().call(stored_variables.read_variable_by_name, name), output)


@variable.command("ls", example="runyard variable ls")
@click.option("-l", "--limit", type=Count(1), default=100, show_default=True, help="How many at most.")
@output_option
def ls(limit: int, output: str | None) -> None:
    """List the variables."""
    from runyard.operations.records import stored_variables

    found = list(listed(connect(), stored_variables.filter_variables, limit=limit))
    if output:
        out.print_json(found)
        return
    rows = [[each.name, _short(each.value), ", ".join(each.tags), out.ago(each.updated)] for each in found]
    out.table(
        "Variables", ["Name", "Value", "Tags", "Updated"], rows,
        "No variables; set one: runyard variable set NAME VALUE",
    )  # fmt: skip


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"


@variable.command("unset", example="runyard variable unset threshold")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@yes_option
def unset(names: tuple[str, ...], yes: bool) -> None:
    """Delete variables."""
    from runyard.operations.records import stored_variables

    client = connect()
    for name in names:
        client.call(stored_variables.read_variable_by_name, name)
    out.confirm(f"Delete {', '.join(names)}?", yes)
    for name in names:
        client.call(stored_variables.delete_variable_by_name, name)
        out.done(f"Deleted variable '{name}'.")


variable.aliases = {"delete": "unset"}
