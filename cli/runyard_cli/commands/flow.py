"""`runyard flow`: the flows that were deployed or run, and serving one."""

from __future__ import annotations

from typing import Annotated, Any

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.coercion import number
from runyard_cli.shared.options import Limit, Output, argument, many, option, whole

flow = App("flow", "See flows, and serve one.", "runyard flow ls")


@flow.command("ls", example="runyard flow ls --limit 50")
def ls(limit: Limit = 15, output: Output = None) -> None:
    """List flows, the newest first."""
    from runyard.operations.deployments import known_flows

    found = list(listed(connect(), known_flows.filter_flows, limit=limit, sort="CREATED_DESC"))
    if output:
        out.print_data(found, output)
        return
    rows = [[each.id, each.name, out.ago(each.created)] for each in found]
    out.table("Flows", ["ID", "Name", "Created"], rows, "No flows yet; run or deploy one.")


@flow.command("serve", example="runyard flow serve flows.py:etl --name daily --cron '0 6 * * *'")
def serve(
    entrypoint: Annotated[str, argument("FILE.py:FLOW")],
    tag: Annotated[list[str], many("-t", "--tag", help="A label of its runs.")],
    cron: Annotated[list[str], many("--cron", help="A schedule: a cron expression.")],
    interval: Annotated[
        list[float],
        many("--interval", metavar="SECONDS", parser=number, help="A schedule: run every so many seconds."),
    ],
    rrule: Annotated[list[str], many("--rrule", help="A schedule: an RFC 5545 recurrence rule.")],
    name: Annotated[
        str | None, option("-n", "--name", help="The deployment's name; by default the flow's.")
    ] = None,
    description: Annotated[
        str | None, option("-d", "--description", help="A description of the deployment.")
    ] = None,
    version: Annotated[
        str | None, option("-v", "--version", help="The deployment's version: free text.")
    ] = None,
    anchor_date: Annotated[
        str | None, option("--anchor-date", help="The time from which intervals are counted.", metavar="TIME")
    ] = None,
    timezone: Annotated[
        str | None, option("--timezone", help="Time zone of the schedules, such as Europe/Berlin.")
    ] = None,
    pause_on_shutdown: Annotated[
        bool, option("--pause-on-shutdown/--no-pause-on-shutdown", help="Pause the schedules when it stops.")
    ] = True,
    limit: Annotated[int | None, whole("-l", "--limit", help="How many runs at once.", least=1)] = None,
    global_limit: Annotated[
        int | None, whole("--global-limit", help="How many runs of the deployment at once, on all machines.")
    ] = None,
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
