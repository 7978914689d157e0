"""`runyard deployment versions` and `rollback`: what a deployment was, and going back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.lookup import find_deployment
from runyard_cli.shared.options import Output, argument, option, whole

versions = App()


@versions.command(
    "versions",
    example="""runyard deployment versions my-etl-flow/daily-etl
        runyard deployment versions daily-etl --number 3""",
)
def _versions(
    reference: Annotated[str, argument("DEPLOYMENT")],
    number: Annotated[int | None, whole("--number", help="Show this version as a whole.", least=1)] = None,
    output: Output = None,
) -> None:
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
        out.print_data(known, output)
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
        bool, option("--plan", help="Only show what would change; exit code 2 if anything would.")
    ] = False,
    output: Output = None,
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
        out.print_data(done, output)
    elif not done.changes:
        out.say(f"Deployment '{found.name}' already matches version {done.number}; nothing changed.")
    else:
        verb = "would go" if plan else "went"
        out.done(f"Deployment '{found.name}' {verb} back to version {done.number}.")
        for change in done.changes:
            out.say(f"    {change.field}: {brief(change.before)} -> {brief(change.after)}")
    context.exit(2 if plan and done.changes else 0)
