"""`runyard variable`: JSON values by name that all flows share."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.options import Output, Yes, argument, many, option, whole

variable = App(
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
def set_(
    name: Annotated[str, argument("NAME")],
    value: Annotated[str, argument("VALUE")],
    tag: Annotated[list[str], many("--tag", help="A label; may be given several times.")],
    overwrite: Annotated[bool, option("--overwrite", help="Replace an existing one.")] = False,
) -> None:
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
def get(name: Annotated[str, argument("NAME")]) -> None:
    """Print a variable's value: a text as it is, anything else as JSON."""
    from runyard.operations.records import stored_variables

    value = connect().call(stored_variables.read_variable_by_name, name).value
    text = value if isinstance(value, str) else json.dumps(value)
    typer.echo(visible(text) if out.on_terminal() else text)


@variable.command("inspect", example="runyard variable inspect threshold")
def inspect(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Show a variable."""
    from runyard.operations.records import stored_variables

    out.show(connect().call(stored_variables.read_variable_by_name, name), output)


@variable.command("ls", example="runyard variable ls")
def ls(
    limit: Annotated[int, whole("-l", "--limit", help="How many at most.", least=1, show_default=True)] = 100,
    output: Output = None,
) -> None:
    """List the variables."""
    from runyard.operations.records import stored_variables

    found = list(listed(connect(), stored_variables.filter_variables, limit=limit))
    if output:
        out.print_data(found, output)
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
def unset(names: Annotated[list[str], argument("NAME")], yes: Yes = False) -> None:
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
