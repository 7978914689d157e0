"""`runyard deployment versions` and `rollback`: what a deployment was, and going back."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.lookup import find_deployment
from runyard_cli.shared.options import (
    Columns,
    Limit,
    ListOutput,
    Output,
    Sort,
    Watch,
    argument,
    option,
    whole,
)

# Fields of a version that are shown elsewhere, or say nothing to people.
_NOT_SHOWN = frozenset(("version", "parameter_openapi_schema", "enforce_parameter_schema", "schedules"))

versions = App()


@versions.command(
    "versions",
    example="""runyard deployment versions my-etl-flow/daily-etl
        runyard deployment versions daily-etl --number 3""",
)
def _versions(
    reference: Annotated[str, argument("DEPLOYMENT")],
    number: Annotated[int | None, whole("--number", help="Show this version as a whole.", least=1)] = None,
    limit: Limit = 15,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the versions of a deployment, the newest first: what changed in each, and who did it.

    A redeploy that changes nothing creates no version. The newest 100 are kept.
    """
    from runyard.operations.deployments.deployment_versions import read_deployment_versions

    client = connect()
    found = find_deployment(client, reference)
    if number is not None:
        _show_one(found, client.call(read_deployment_versions, found.id), number, output)
        return
    name = f"{found.flow_name}/{found.name}"
    listing = Listing(f"Versions of {name}", _COLUMNS, f"No versions of '{name}' are kept.")
    view = View(output, columns, sort, watch)

    def read() -> Page:
        known: list[Any] = client.call(read_deployment_versions, found.id)
        return cut(known, limit)

    show_list(listing, read, view, client)
    if output in (None, "wide") and out.on_terminal():
        out.hint(
            f"Go back to one: {command_of('runyard deployment rollback', name, options='--to NUMBER --plan')}"
        )


def _changed(version: Any) -> str:
    if version.number == 1:
        return "created"
    return ", ".join(change.field for change in version.changes)


_COLUMNS = (
    Column("Number", lambda each: each.number, "name"),
    Column("Created", lambda each: each.created, "time"),
    Column("Version", lambda each: each.version),
    Column("Changed", _changed),
    Column("Declared by", lambda each: each.owner),
)


def _show_one(found: Any, known: list[Any], number: int, output: str | None) -> None:
    from runyard.base.errors import NotFound

    chosen = [each for each in known if each.number == number]
    if not chosen:
        kept = f"kept are {known[-1].number} to {known[0].number}" if known else "none is kept"
        raise NotFound(f"deployment '{found.name}' has no version {number}; {kept}")
    if output in ("json", "yaml"):
        out.print_data(chosen, output)
        return
    (one,) = chosen
    name = f"{found.flow_name}/{found.name}"
    content = {
        key: value
        for key, value in one.content.items()
        if key not in _NOT_SHOWN and value not in (None, "", [], {})
    }
    sections = [
        Section("What", [("Created", one.created), ("Version", one.version), ("Declared by", one.owner)]),
        Section("Changes", lines=[line for change in one.changes for line in change_lines(change)]),
        Section("Schedules", lines=[_schedule(each) for each in one.content.get("schedules") or []]),
        Section("Content", data=content),
    ]
    show_details(f"Version {number} of {name}", sections)
    if one is not known[0]:
        typer.echo()
        out.hint(
            f"Go back to it: {command_of('runyard deployment rollback', name, options=f'--to {number}')}"
        )


def change_lines(change: Any) -> list[str]:
    """A change of a field in lines; schedules one by one, in words.

    Args:
        change: a field, and its values before and after.
    """
    from runyard_cli.commands.deploy_show import brief

    if (
        change.field == "schedules"
        and isinstance(change.before or [], list)
        and isinstance(change.after or [], list)
    ):
        before, after = (list(map(_schedule, value or [])) for value in (change.before, change.after))
        gone = [f"schedules: {each} -> none" for each in before if each not in after]
        return [*gone, *(f"schedules: none -> {each}" for each in after if each not in before)]
    return [f"{change.field}: {brief(change.before)} -> {brief(change.after)}"]


def _schedule(fields: dict[str, Any]) -> str:
    from runyard_cli.shared.schedule_texts import describe_schedule

    words = [f"{fields['slug']}:"] if fields.get("slug") else []
    words.append(describe_schedule(fields["schedule"]))
    if not fields.get("active", True):
        words.append("(paused)")
    if fields.get("parameters"):
        words.append(out.json_text(fields["parameters"]))
    words += [
        f"{name}={fields[name]}"
        for name, usual in (("catchup", "skip"), ("overlap", "allow"))
        if fields.get(name, usual) != usual
    ]
    return " ".join(words)


rollback = App()


@rollback.command(
    "rollback",
    example="""runyard deployment rollback my-etl-flow/daily-etl --plan
        runyard deployment rollback daily-etl --to 3""",
)
def _rollback(
    context: typer.Context,
    reference: Annotated[str, argument("DEPLOYMENT")],
    number: Annotated[
        int | None, whole("--to", help="This version; by default the one before.", least=1)
    ] = None,
    plan: Annotated[
        bool,
        option("--plan", "--dry-run", help="Only show what would change; exit code 2 if anything would."),
    ] = False,
    output: Output = None,
) -> None:
    """Go back to an earlier version of a deployment, with its schedules.

    A rollback creates a new version, so that it can itself be rolled back. Schedules that an operator added,
    and pauses, stay.
    """
    from runyard.operations.deployments.deployment_versions import roll_back_deployment

    client = connect()
    found = find_deployment(client, reference)
    name = f"{found.flow_name}/{found.name}"
    request = body(roll_back_deployment, number=number, dry_run=plan)
    done = client.call(roll_back_deployment, found.id, body=request)
    if output:
        out.print_data(done, output)
    elif not done.changes:
        out.say(f"Deployment '{name}' already matches version {done.number}; nothing changed.")
    else:
        if plan:
            out.say(f"~ {name}", "yellow")
        else:
            out.done(f"Deployment '{name}' went back to version {done.number}.")
        for change in done.changes:
            for line in change_lines(change):
                out.say(f"    {line}")
        if plan:
            out.say(f"It would go back to version {done.number}.")
            options = f"--to {done.number}"
            out.hint(f"Do it: {command_of('runyard deployment rollback', name, options=options)}")
        else:
            out.hint(f"Undo it: {command_of('runyard deployment rollback', name)}")
    context.exit(2 if plan and done.changes else 0)
