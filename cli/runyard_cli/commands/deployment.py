"""`runyard deployment`: what was deployed; run it, pause it, delete it."""

from __future__ import annotations

from typing import Annotated, Any

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.lists import Column, Listing, Page, View, show_list
from runyard_cli.shared.lookup import deployment_filters
from runyard_cli.shared.options import Columns, Limit, ListOutput, Sort, Watch, many, option, words
from runyard_cli.shared.schedule_texts import first_schedule, next_due, summary

deployment = App(
    "deployment",
    "See, run, pause and delete deployments. A deployment is named by flow/name, by its own name "
    "where it is unique, or by its id or the beginning of it.",
    "runyard deployment run 'my-etl-flow/daily-etl' --watch",
    instead={"create": "runyard deploy", "update": "runyard deploy", "build": "runyard deploy"},
)


@deployment.command(
    "ls",
    example="""runyard deployment ls my-etl-flow
        runyard deployment ls --tag prod --sort next""",
)
def ls(
    flow: Annotated[list[str], words("FLOW")],
    tag: Annotated[list[str], many("-t", "--tag", help="Only those with this tag.")],
    pool: Annotated[
        str | None, option("-p", "--pool", help="Only those of this work pool.", metavar="POOL")
    ] = None,
    paused: Annotated[
        bool | None, option("--paused/--active", help="Only those that are, or are not, paused.")
    ] = None,
    by_created: Annotated[bool, option("--by-created", help="The newest first instead of by name.")] = False,
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List deployments, of all flows or of the FLOWs named: when each runs, and where."""
    from runyard.operations.deployments.deployments import count_deployments, filter_deployments

    client = connect()
    wanted = deployment_filters(client, tag, pool)
    if flow:
        wanted["flows"] = {"name": {"any_": flow}}
    if paused is not None:
        wanted["deployments"] = {**wanted.get("deployments", {}), "paused": {"eq_": paused}}
    order = {"next": "NEXT_DUE_ASC"}.get(sort or "", "CREATED_DESC" if by_created else "FLOW_NAME_ASC")

    def read() -> Page:
        rows = list(listed(client, filter_deployments, limit=limit or None, sort=order, **wanted))
        total = len(rows)
        if limit and total == limit:
            total = client.call(count_deployments, body=body(count_deployments, **wanted))
        return Page(rows, total)

    empty = "No deployments; create one with: runyard deploy"
    if flow:
        empty = f"No deployments of {' or '.join(map(repr, flow))}; see all: runyard deployment ls"
    elif wanted:
        empty = "No deployments match; see all: runyard deployment ls"
    short = out.on_terminal() and output != "wide"
    schedule = Column("Schedule", lambda each: summary(each.schedules, short))
    listing = Listing("Deployments", [_NAME, schedule, *_COLUMNS], empty)
    show_list(listing, read, View(output, columns, sort, watch), client)


def _zone(found: Any) -> str:
    first = first_schedule(found.schedules)
    return getattr(first.schedule, "timezone", None) or "UTC" if first else "UTC"


_NAME = Column("Name", lambda each: f"{each.flow_name}/{each.name}", "name")
_COLUMNS = (
    Column("Next", lambda each: next_due(each.schedules), "time", zone=_zone),
    Column("Pool", lambda each: each.work_pool_name),
    Column("Status", lambda each: "PAUSED" if each.paused else str(each.status), "state"),
    Column("Tags", lambda each: ", ".join(each.tags), wide=True),
    Column("Version", lambda each: each.version, wide=True),
    Column("Entrypoint", lambda each: each.entrypoint, wide=True),
    Column("Queue", lambda each: each.work_queue_name, wide=True),
    Column("Created", lambda each: each.created, "time", wide=True),
    Column("Updated", lambda each: each.updated, "time", wide=True),
    Column("ID", lambda each: each.id, "id", wide=True),
)

deployment.later(
    "deployment_backfill",
    "backfill",
    backfill="Create a run for each past time at which the deployment's schedules were due.",
)
deployment.later(
    "deployment_inspect",
    "inspect",
    inspect="Show one deployment: where and when it runs, its parameters, its next and its last runs.",
)
deployment.later(
    "deployment_pause",
    "pausing",
    pause="Pause deployments: their schedules create no more runs.",
    resume="Resume paused deployments: their schedules create runs again.",
    delete="Delete deployments with their schedules and waiting runs; other runs stay.",
)
deployment.later(
    "deployment_versions",
    "rollback",
    rollback="Go back to an earlier version of a deployment, with its schedules.",
)
deployment.later("deployment_run", "run", run="Create a run of a deployment; a worker of its pool starts it.")
deployment.later(
    "deployment_schedule",
    "schedule",
    schedule="See, add, pause and delete the schedules of a deployment. A pause survives a redeploy.",
)
deployment.later(
    "deployment_versions",
    "versions",
    versions="List the versions of a deployment, the newest first: what changed in each, and who did it.",
)
