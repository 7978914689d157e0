"""`runyard variable`: JSON values by name that all flows share."""

from __future__ import annotations

import json
from typing import Annotated, Any

from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect, listed
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
    many,
    option,
)
from runyard_cli.shared.suggesting import suggesting
from runyard_cli.shared.values import parse

variable = App(
    "variable",
    "Set and see variables: JSON values by name that flows read by Variable.get(NAME).",
    "runyard variable set threshold 42",
    aliases={"delete": "unset", "create": "set", "rm": "unset"},
)
_WIDEST = 40
_LS = "runyard variable ls"


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
    output: Output = None,
) -> None:
    """Set a variable; VALUE is JSON, or else text."""
    from runyard.base.errors import Conflict
    from runyard.operations.records import stored_variables
    from runyard.sdk.variables import Variable

    given: Any = (name, parse(value), list(tag) or None)
    verb = "Created"
    try:
        Variable.set(*given, _sync=True)
    except Conflict:
        if not overwrite:
            raise Conflict(f"variable {name!r} exists already; use --overwrite to replace it") from None
        Variable.set(*given, overwrite=True, _sync=True)
        verb = "Updated"
    if output:
        out.print_data(connect().call(stored_variables.read_variable_by_name, name), output)
        return
    out.done(f"{verb} variable '{name}'.")
    out.hint(f"Read it with: {command_of('runyard variable get', name)}")


@variable.command("get", example="runyard variable get threshold")
def get(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Print a variable's value: a text as it is, anything else as JSON."""
    from runyard.operations.records import stored_variables

    client = connect()
    with suggesting(client, "variables", name, _LS):
        value = client.call(stored_variables.read_variable_by_name, name).value
    if output:
        out.print_data(value, output)
        return
    text = value if isinstance(value, str) else json.dumps(value)
    out.say_exactly(text)


@variable.command("inspect", example="runyard variable inspect threshold")
def inspect(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Show a variable."""
    from runyard.operations.records import stored_variables

    client = connect()
    with suggesting(client, "variables", name, _LS):
        found = client.call(stored_variables.read_variable_by_name, name)
    if output:
        out.print_data(found, output)
        return
    plain = not isinstance(found.value, (dict, list))
    facts = [
        ("Value", json.dumps(found.value, ensure_ascii=False) if plain else None),
        ("Tags", found.tags),
        ("Created", found.created),
        ("Updated", found.updated),
        ("ID", found.id),
    ]
    sections = [Section("Details", facts), Section("Value", data=None if plain else found.value)]
    show_details(f"Variable {found.name}", sections)


VARIABLES = Listing(
    "Variables",
    (
        Column("Name", lambda each: each.name, "name"),
        Column("Value", lambda each: _short(each.value)),
        Column("Tags", lambda each: ", ".join(each.tags)),
        Column("Updated", lambda each: each.updated, "time"),
        Column("Created", lambda each: each.created, "time", wide=True),
        Column("ID", lambda each: each.id, "id", wide=True),
    ),
    "No variables; set one with: runyard variable set NAME VALUE",
)


@variable.command(
    "ls",
    example="""runyard variable ls
        runyard variable ls --tag production -o json""",
)
def ls(
    tag: Annotated[list[str], many("--tag", help="Only those with this label; may be given several times.")],
    limit: Limit = 100,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the variables."""
    from runyard.operations.records import stored_variables

    client = connect()
    wanted: dict[str, Any] = {"variables": {"tags": {"all_": list(tag)}}} if tag else {}

    def read() -> Page:
        if sort:
            return cut(list(listed(client, stored_variables.filter_variables, **wanted)), limit)
        found = list(listed(client, stored_variables.filter_variables, limit=limit or None, **wanted))
        counted = body(stored_variables.count_variables, **wanted)
        return Page(found, client.call(stored_variables.count_variables, body=counted))

    show_list(VARIABLES, read, View(output, columns, sort, watch), client)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _WIDEST or not out.on_terminal() else text[: _WIDEST - 1] + "…"


@variable.command("unset", example="runyard variable unset threshold")
def unset(names: Annotated[list[str], argument("NAME")], yes: Yes = False, output: Output = None) -> None:
    """Delete variables."""
    from runyard.operations.records import stored_variables

    client = connect()
    found = []
    for name in dict.fromkeys(names):
        with suggesting(client, "variables", name, _LS):
            found.append(client.call(stored_variables.read_variable_by_name, name))
    what = f"variable '{names[0]}'" if len(found) == 1 else f"{len(found)} variables: {', '.join(names)}"
    out.confirm(f"Delete {what}?", yes)
    for each in found:
        client.call(stored_variables.delete_variable_by_name, each.name)
        if not output:
            out.done(f"Deleted variable '{each.name}'.")
    if output:
        out.print_data(found, output)
