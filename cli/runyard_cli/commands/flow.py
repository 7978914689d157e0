"""`runyard flow`: the flows that were deployed or run, and serving one."""

from __future__ import annotations

from typing import Annotated, Any

from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.lists import Column, Listing, Page, View, show_list
from runyard_cli.shared.options import (
    Columns,
    Limit,
    ListOutput,
    Sort,
    Watch,
    argument,
    many,
    option,
    whole,
)

flow = App(
    "flow",
    "See flows, and serve one.",
    "runyard flow ls",
    instead={
        "run": "runyard run FILE.py:FLOW",
        "deploy": "runyard deploy FILE.py:FLOW",
        "inspect": "runyard deployment ls FLOW",
        "logs": "runyard flow-run logs RUN",
    },
)

_COLUMNS = (
    Column("Name", lambda each: each.name, "name"),
    Column("Created", lambda each: each.created, "time"),
    Column("Tags", lambda each: ", ".join(each.tags), wide=True),
    Column("ID", lambda each: each.id, "id"),
)
_FLOWS = Listing(
    "Flows", _COLUMNS, "No flows yet; run one (runyard run FILE.py:FLOW) or deploy it (runyard deploy)."
)


@flow.command("ls", example="runyard flow ls --limit 50")
def ls(
    limit: Limit = 15,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List flows, the newest first."""
    from runyard.operations.deployments.known_flows import count_flows, filter_flows

    client = connect()
    order = {"name": "NAME_ASC", "-name": "NAME_DESC"}.get(sort or "", "CREATED_DESC")

    def read() -> Page:
        rows = list(listed(client, filter_flows, limit=limit or None, sort=order))
        more = limit and len(rows) == limit
        return Page(rows, client.call(count_flows, body=body(count_flows)) if more else len(rows))

    show_list(_FLOWS, read, View(output, columns, sort, watch), client)


@flow.command("serve", example="runyard flow serve flows.py:etl --name daily --cron '0 6 * * *'")
def serve(
    entrypoint: Annotated[str, argument("FILE.py:FLOW")],
    tag: Annotated[list[str], many("-t", "--tag", help="A label of its runs.")],
    cron: Annotated[list[str], many("--cron", help="A schedule: a cron expression.")],
    interval: Annotated[
        list[str],
        many("--interval", metavar="DURATION", help="A schedule: run at this interval: seconds, or 10m."),
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

    from runyard_cli.shared import values

    timings: list[tuple[str, Any]] = [("cron", each) for each in cron]
    timings += [("interval", values.duration(each, "--interval").total_seconds()) for each in interval]
    timings += [("rrule", each) for each in rrule]
    schedules: list[dict[str, Any]] = [
        {kind: value, **({"timezone": timezone} if timezone else {})} for kind, value in timings
    ]
    if anchor_date:
        from runyard.domain.schedules.time_zones import zone

        anchor = values.moment(anchor_date, zone=zone(timezone) if timezone else None)
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
