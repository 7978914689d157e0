"""`runyard flow-run`: the executions of flows: `ls` and `why`, and the group of all its commands."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

from runyard_cli.shared import output as out
from runyard_cli.shared import run_filters as filters
from runyard_cli.shared import times
from runyard_cli.shared.app import App
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.lists import Column, Listing, Page, View, in_order, show_list
from runyard_cli.shared.lookup import deployment_names, find_flow_run, flow_names
from runyard_cli.shared.options import Columns, Limit, ListOutput, Output, Sort, Watch, argument
from runyard_cli.shared.run_filters import RunFilter
from runyard_cli.shared.run_lists import no_runs, run_time, started

flow_run = App(
    "flow-run",
    "See flow runs and their logs, cancel them, and see why they wait. "
    "A run is named by its id, the beginning of its id, or its name; - is the last one outside schedules.",
    """runyard flow-run ls --state Failed
        runyard flow-run inspect -""",
    aliases={
        "list": "ls", "ps": "ls", "get": "inspect", "show": "inspect", "describe": "inspect", "rm": "delete",
        "log": "logs", "rerun": "retry", "stop": "cancel", "follow": "watch",
    },
    instead={"create": "runyard deployment run DEPLOYMENT", "pause": "runyard flow-run suspend RUN"},
)  # fmt: skip

# The orders of the database. The other columns are sorted here.
_SORTS = {
    None: "START_TIME_DESC",
    "start": "START_TIME_ASC",
    "-start": "START_TIME_DESC",
    "name": "NAME_ASC",
    "-name": "NAME_DESC",
}
_EXPECTED = "EXPECTED_START_TIME_DESC"
_SORTED_HERE = 5_000


def _listing(empty: str, flows: dict[str, str], deployments: dict[str, str]) -> Listing:
    return Listing(
        "Flow runs",
        (
            Column("Name", lambda run: run.name, "name"),
            Column("Flow", lambda run: flows.get(run.flow_id)),
            Column("State", lambda run: run.state_name, "state"),
            Column("Start", started, "time"),
            Column("Took", run_time, "short", wide=True, order=lambda run: run.estimated_run_time),
            Column("Deployment", lambda run: deployments.get(run.deployment_id), wide=True),
            Column("Work pool", lambda run: run.work_pool_name, wide=True),
            Column("Due", lambda run: run.next_scheduled_start_time, "time", wide=True),
            Column("Ended", lambda run: run.end_time, "time", wide=True),
            Column("Tags", lambda run: ", ".join(run.tags) or None, wide=True),
            Column("Tries", lambda run: run.run_count, wide=True),
            Column("ID", lambda run: run.id, "id"),
        ),
        empty,
    )


@flow_run.command(
    "ls",
    example="""runyard flow-run ls --flow-name my-etl-flow --state Failed
        runyard flow-run ls --deployment daily-etl --tag nightly --since yesterday
        runyard flow-run ls --sort -took --columns name,took""",
)
def ls(
    flow_name: filters.FlowName,
    state: filters.States,
    state_type: filters.StateTypes,
    tag: filters.Tags,
    deployment: filters.Deployment = None,
    pool: filters.Pool = None,
    name: filters.Name = None,
    since: filters.Since = None,
    until: filters.Until = None,
    limit: Limit = 15,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List flow runs, the newest first.

    Start is when a run began, or when it is due: --since and --until compare that.
    """
    from runyard.operations.flow_runs import flow_runs

    client = connect()
    wanted = RunFilter(
        flow_name,
        state,
        state_type,
        tag,
        deployment=deployment,
        pool=pool,
        name=name,
        since=since,
        until=until,
    )
    fields = wanted.fields(client)
    order = _SORTS.get(sort)
    flows: dict[str, str] = {}
    deployments: dict[str, str] = {}
    empty = no_runs("flow runs", state, bool(wanted), "runyard deployment run DEPLOYMENT")
    listing = _listing(empty, flows, deployments)

    def read() -> Page:
        most = limit if order else _SORTED_HERE
        found = listed(
            client,
            flow_runs.filter_flow_runs,
            limit=most + 1 if most else None,
            # The runs of a flow or a deployment are indexed by their expected start, nearly the same.
            sort=_EXPECTED if sort is None and (deployment or flow_name) else order or _SORTS[None],
            **fields,
        )
        runs = list(islice(found, most or None))
        total = None if next(found, None) else len(runs)
        if sort is None:
            runs.sort(key=lambda run: started(run) or run.created, reverse=True)
        if order:
            return Page(runs, total)
        return Page(in_order(listing, runs, sort)[: limit or None], total)

    def read_with_names() -> Page:
        page = read()
        if output not in ("json", "yaml", "name"):
            flows.update(flow_names(client, {run.flow_id for run in page.rows} - flows.keys()))
        if output == "wide" or "deployment" in (columns or ""):
            ids = {run.deployment_id for run in page.rows if run.deployment_id}
            deployments.update(deployment_names(client, ids - deployments.keys()))
        return page

    view = View(output, columns, None if order else sort, watch)
    show_list(listing, read_with_names, view, client)


@flow_run.command("why", example="runyard flow-run why calm-otter")
def why(reference: Annotated[str, argument("RUN")], output: Output = None) -> None:
    """Explain why a run waits or how it failed, and which command would change that."""
    from runyard.operations.flow_runs import explain

    client = connect()
    told = client.call(explain.explain_flow_run, find_flow_run(client, reference).id)
    if output:
        out.print_data(told, output)
        return
    out.say(times.texts_in_zone(told.summary))
    print_reasons(told.reasons)


def print_reasons(reasons: list[Any]) -> None:
    """Print reasons, each with the command that changes it."""
    for reason in reasons:
        out.say(f"- {times.texts_in_zone(reason.text)}")
        if reason.command:
            out.hint(f"  {reason.command}")


flow_run.later(
    "flow_run_inspect", "inspect", inspect="Show one flow run, the runs inside it, and its artifacts."
)
flow_run.later("flow_run_logs", "logs", logs="Show the log records of a flow run and of its task runs.")
flow_run.later(
    "flow_run_logs", "watch", watch="Follow a run's states and logs; exit code 0 only if it completes."
)
flow_run.later(
    "flow_run_change", "cancel", cancel="Cancel runs; a run that has not started is cancelled at once."
)
flow_run.later(
    "flow_run_change",
    "retry",
    retry="Run ended runs again; tasks whose results were kept do not run again.",
)
flow_run.later(
    "flow_run_execute",
    "execute",
    execute="Run a deployment's run here and now, as containers do; no worker is needed.",
)
flow_run.later("flow_run_change", "delete", delete="Delete runs with their task runs, states and logs.")
flow_run.later(
    "flow_run_pause",
    "suspend",
    suspend="Suspend a running run of a deployment: its process is stopped until the run is resumed.",
)
flow_run.later("flow_run_pause", "resume", resume="Resume a paused or suspended run.")
