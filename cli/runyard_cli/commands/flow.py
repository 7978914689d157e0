"""`runyard flow`: the flows that were deployed or run, and serving one."""

from __future__ import annotations

from typing import Any

import click

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Count, Number, group, limit_option, output_option
from runyard_cli.shared.client import connect, listed

flow = group("flow", "See flows, and serve one.", "runyard flow ls")


@flow.command("ls", example="runyard flow ls --limit 50")
@limit_option
@output_option
def ls(limit: int, output: str | None) -> None:
    """List flows, the newest first."""
    from runyard.operations.deployments import known_flows

    found = list(listed(connect(), known_flows.filter_flows, limit=limit, sort="CREATED_DESC"))
    if output:
        out.print_json(found)
        return
    rows = [[each.id, each.name, out.ago(each.created)] for each in found]
    out.table("Flows", ["ID", "Name", "Created"], rows, "No flows yet; run or deploy one.")


@flow.command("serve", example="runyard flow serve flows.py:etl --name daily --cron '0 6 * * *'")
@click.argument("entrypoint", metavar="FILE.py:FLOW")
@click.option("-n", "--name", help="The deployment's name; by default the flow's.")
@click.option("-d", "--description", help="A description of the deployment.")
@click.option("-v", "--version", help="The deployment's version: free text.")
@click.option("-t", "--tag", multiple=True, help="A label of its runs.")
@click.option("--cron", multiple=True, help="A schedule: a cron expression.")
@click.option("--interval", multiple=True, type=Number(), help="A schedule: run every so many seconds.")
@click.option("--rrule", multiple=True, help="A schedule: an RFC 5545 recurrence rule.")
@click.option("--anchor-date", metavar="TIME", help="The time from which intervals are counted.")
@click.option("--timezone", help="Time zone of the schedules, such as Europe/Berlin.")
@click.option(
    "--pause-on-shutdown/--no-pause-on-shutdown", default=True, help="Pause the schedules when it stops."
)
@click.option("-l", "--limit", type=Count(1), help="How many runs at once.")
@click.option(
    "--global-limit", type=Count(0), help="How many runs of the deployment at once, on all machines."
)
def serve(
    entrypoint: str,
    name: str | None,
    description: str | None,
    version: str | None,
    tag: tuple[str, ...],
    cron: tuple[str, ...],
    interval: tuple[float, ...],
    rrule: tuple[str, ...],
    anchor_date: str | None,
    timezone: str | None,
    pause_on_shutdown: bool,
    limit: int | None,
    global_limit: int | None,
) -> None:
    """Create a deployment of a flow and run it in this process, without pool and worker, until Ctrl-C."""
    from runyard.deployments.deploy_from_python import RunnerDeployment
    from runyard.workers.serve_from_python import serve as serve_deployments

    timings = [*(("cron", each) for each in cron), *(("interval", each) for each in interval)]
    timings += [("rrule", each) for each in rrule]
    schedules: list[dict[str, Any]] = [
        {kind: value, **({"timezone": timezone} if timezone else {})} for kind, value in timings
    ]
    if anchor_date:
        from runyard_cli.shared import values

        anchor = values.moment(anchor_date)
        schedules = [{**each, "anchor_date": anchor} if "interval" in each else each for each in schedules]
    options: dict[str, Any] = {
        "description": description,
        "version": version,
        "tags": list(tag) or None,
        "schedules": schedules,
        "concurrency_limit": global_limit,
    }
    deployment = RunnerDeployment.from_entrypoint(entrypoint, name, **options)
    serve_deployments(deployment, pause_on_shutdown=pause_on_shutdown, limit=limit)
