"""`runyard deployment`: what was deployed; run it, pause it, delete it."""

from __future__ import annotations

from typing import Annotated, Any

from runyard_cli.commands.deployment_backfill import backfill
from runyard_cli.commands.deployment_run import run
from runyard_cli.commands.deployment_schedule import schedule
from runyard_cli.commands.deployment_versions import rollback, versions
from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.lookup import find_deployment, flow_names, full_name
from runyard_cli.shared.options import Output, Yes, argument, many, option, words

deployment = App(
    "deployment",
    "See, run, pause and delete deployments. A deployment is named by flow/name, by its own name "
    "where it is unique, or by its id or the beginning of it.",
    "runyard deployment run 'my-etl-flow/daily-etl' --watch",
)


@deployment.command("ls", example="runyard deployment ls my-etl-flow")
def ls(
    flow: Annotated[list[str], words("FLOW")],
    by_created: Annotated[bool, option("--by-created", help="The newest first instead of by name.")] = False,
    output: Output = None,
) -> None:
    """List deployments, of all flows or of the FLOWs named."""
    from runyard.operations.deployments import deployments

    client = connect()
    fields: dict[str, Any] = {"flows": {"name": {"any_": list(flow)}}} if flow else {}
    sort = "CREATED_DESC" if by_created else "NAME_ASC"
    found = list(listed(client, deployments.filter_deployments, sort=sort, **fields))
    if output:
        out.print_data(found, output)
        return
    flows = flow_names(client, {each.flow_id for each in found})
    rows = [
        [f"{flows.get(each.flow_id)}/{each.name}", each.id, each.work_pool_name, _status(each)]
        for each in found
    ]
    if not by_created:
        rows.sort()
    columns = ["Name", "ID", "Work pool", "Status"]
    none = f"No deployments of {' or '.join(map(repr, flow))}; see all: runyard deployment ls"
    out.table(
        "Deployments", columns, rows, none if flow else "No deployments; create one with: runyard deploy"
    )


def _status(found: Any) -> str:
    return "PAUSED" if found.paused else str(found.status or "")


@deployment.command("inspect", example="runyard deployment inspect my-etl-flow/daily-etl")
def inspect(reference: Annotated[str, argument("DEPLOYMENT")], output: Output = None) -> None:
    """Show one deployment."""
    out.show(find_deployment(connect(), reference), output)


@deployment.command("pause", example="runyard deployment pause my-etl-flow/daily-etl")
def pause(references: Annotated[list[str], argument("DEPLOYMENT")]) -> None:
    """Pause deployments: their schedules create no more runs."""
    from runyard.operations.deployments import deployments

    client = connect()
    for found in [find_deployment(client, reference) for reference in references]:
        client.call(deployments.pause_deployment, found.id)
        out.done(f"Paused deployment '{full_name(client, found)}'.")


@deployment.command("resume", example="runyard deployment resume my-etl-flow/daily-etl")
def resume(references: Annotated[list[str], argument("DEPLOYMENT")]) -> None:
    """Resume paused deployments: their schedules create runs again."""
    from runyard.operations.deployments import deployments

    client = connect()
    for found in [find_deployment(client, reference) for reference in references]:
        client.call(deployments.resume_deployment, found.id)
        out.done(f"Resumed deployment '{full_name(client, found)}'.")


@deployment.command("delete", example="runyard deployment delete my-etl-flow/daily-etl")
def delete(
    references: Annotated[list[str], words("DEPLOYMENT")],
    ids: Annotated[list[str], many("--id", help="A deployment's id instead of its name.", metavar="ID")],
    everything: Annotated[bool, option("--all", help="All deployments.")] = False,
    yes: Yes = False,
) -> None:
    """Delete deployments with their schedules and waiting runs; other runs stay."""
    from runyard.operations.deployments import deployments

    if bool(references or ids) == everything:
        raise WrongUsage("Name the deployments, or give --all.")
    client = connect()
    if everything:
        chosen = list(listed(client, deployments.filter_deployments))
    else:
        chosen = [find_deployment(client, reference) for reference in (*references, *ids)]
    names = [full_name(client, found) for found in chosen]
    if names:
        out.confirm(f"Delete {', '.join(names)}?", yes)
    for found, name in zip(chosen, names, strict=True):
        client.call(deployments.delete_deployment, found.id)
        out.done(f"Deleted deployment '{name}'.")


deployment.add_typer(backfill)
deployment.add_typer(rollback)
deployment.add_typer(run)
deployment.add_typer(schedule)
deployment.add_typer(versions)
