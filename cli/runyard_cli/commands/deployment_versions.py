"""`runyard deployment versions` and `rollback`: what a deployment was, and going back."""

from __future__ import annotations

from typing import Any

import click

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Command, Count, output_option
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.lookup import find_deployment


@click.command(
    "versions",
    cls=Command,
    example="""runyard deployment versions my-etl-flow/daily-etl
        runyard deployment versions daily-etl --number 3""",
)
@click.argument("reference", metavar="DEPLOYMENT")
@click.option("--number", type=Count(1), help="Show this version as a whole.")
@output_option
def versions(reference: str, number: int | None, output: str | None) -> None:
    """List the versions of a deployment, the newest first: what changed in each, and who declared it.

    A redeploy that changes nothing creates no version. The newest 100 are kept.
    """
    from runyard.operations.deployments.deployment_versions import read_deployment_versions

    client = connect()
    found = find_deployment(client, reference)
    known = client.call(read_deployment_versions, found.id)
    if number is not None:
        known = [each for each in known if each.number == number]
        if not known:
            from runyard.base.errors import NotFound

            raise NotFound(
                f"deployment '{found.name}' has no version {number}, or it was deleted as one of the oldest"
            )
        if not output:
            out.facts((out.heading(name), value) for name, value in known[0].content.items())
            return
    if output:
        out.print_json(known)
        return
    rows = [
        [each.number, out.local(each.created)[:19], each.version, each.owner, _changed(each)]
        for each in known
    ]
    out.table("Versions", ["Number", "Created", "Version", "Declared by", "Changed"], rows, "No versions.")


def _changed(version: Any) -> str:
    if version.number == 1:
        return "created"
    return ", ".join(change.field for change in version.changes)


@click.command(
    "rollback",
    cls=Command,
    example="""runyard deployment rollback my-etl-flow/daily-etl --plan
        runyard deployment rollback daily-etl --to 3""",
)
@click.argument("reference", metavar="DEPLOYMENT")
@click.option("--to", "number", type=Count(1), help="This version; by default the one before.")
@click.option("--plan", is_flag=True, help="Only show what would change; exit code 2 if anything would.")
@output_option
@click.pass_context
def rollback(
    context: click.Context, reference: str, number: int | None, plan: bool, output: str | None
) -> None:
    """Go back to an earlier version of a deployment, with its schedules.

    A rollback creates a new version, so that it can itself be rolled back. Schedules that an operator added,
    and pauses, stay.
    """
    from runyard.operations.deployments.deployment_versions import roll_back_deployment

    from runyard_cli.commands.deploy_show import brief

    client = connect()
    found = find_deployment(client, reference)
    request = body(roll_back_deployment, number=number, dry_run=plan)
    done = client.call(roll_back_deployment, found.id, body=request)
    if output:
        out.print_json(done)
    elif not done.changes:
        out.say(f"Deployment '{found.name}' already matches version {done.number}; nothing changed.")
    else:
        verb = "would go" if plan else "went"
        out.done(f"Deployment '{found.name}' {verb} back to version {done.number}.")
        for change in done.changes:
            out.say(f"    {change.field}: {brief(change.before)} -> {brief(change.after)}")
    context.exit(2 if plan and done.changes else 0)
