"""`runyard task-run`: the task runs inside flow runs."""

from __future__ import annotations

from itertools import islice
from typing import Annotated, Any

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, in_order, show_list
from runyard_cli.shared.logs import (
    Grep,
    Head,
    Level,
    NumLogs,
    Reverse,
    Selection,
    SinceTime,
    Tail,
    log_line,
    select,
)
from runyard_cli.shared.lookup import find_flow_run, find_task_run
from runyard_cli.shared.options import Columns, Limit, ListOutput, Output, Sort, Watch, argument, many, option
from runyard_cli.shared.run_lists import no_runs, run_time, started, state_filter

task_run = App(
    "task-run",
    "See task runs and their logs. A run is named by its id, the beginning of its id, or its name.",
    "runyard task-run ls calm-otter",
    aliases={"list": "ls", "get": "inspect", "show": "inspect", "describe": "inspect", "log": "logs"},
)

_SORTS = {
    None: "EXPECTED_START_TIME_DESC",
    "start": "EXPECTED_START_TIME_ASC",
    "-start": "EXPECTED_START_TIME_DESC",
    "name": "NAME_ASC",
    "-name": "NAME_DESC",
}
_SORTED_HERE = 5_000


def _task(run: Any) -> str:
    """The name of the task's function, without what makes its key unique."""
    return str(run.task_key).rpartition(".")[2].partition("-")[0]


def _listing(empty: str) -> Listing:
    return Listing(
        "Task runs",
        (
            Column("Name", lambda run: run.name, "name"),
            Column("State", lambda run: run.state_name, "state"),
            Column("Start", started, "time"),
            Column("Took", run_time, "short", order=lambda run: run.estimated_run_time),
            Column("Task", _task, wide=True),
            Column("Ended", lambda run: run.end_time, "time", wide=True),
            Column("Tags", lambda run: ", ".join(run.tags) or None, wide=True),
            Column("Tries", lambda run: run.run_count, wide=True),
            Column("Flow run", lambda run: run.flow_run_id, wide=True),
            Column("ID", lambda run: run.id, "id"),
        ),
        empty,
    )


@task_run.command(
    "ls",
    example="""runyard task-run ls calm-otter --state Failed
        runyard task-run ls - --sort -took --limit 5""",
)
def ls(
    task_run_name: Annotated[list[str], many("--task-run-name", help="Only those of this name.")],
    state: Annotated[list[str], many("--state", help="Only those in this state.")],
    state_type: Annotated[list[str], many("--state-type", help="Only those in a state of this type.")],
    reference: Annotated[str | None, argument("RUN", help="Only those of this flow run.")] = None,
    flow_run: Annotated[str | None, option("--flow-run", help="Only those of this flow run.")] = None,
    limit: Limit = 15,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List task runs, the newest first."""
    from runyard.operations.task_runs import task_runs

    if reference and flow_run:
        raise WrongUsage("RUN and --flow-run name the same; give one of them.")
    client = connect()
    criteria = state_filter(state, state_type)
    if given := reference or flow_run:
        criteria["flow_run_id"] = {"any_": [find_flow_run(client, given).id]}
    if task_run_name:
        criteria["name"] = {"any_": list(task_run_name)}
    fields: dict[str, Any] = {"task_runs": criteria} if criteria else {}
    order = _SORTS.get(sort)
    listing = _listing(no_runs("task runs", state, bool(criteria), "runyard deployment run DEPLOYMENT"))

    def read() -> Page:
        most = limit if order else _SORTED_HERE
        found = listed(
            client,
            task_runs.filter_task_runs,
            limit=most + 1 if most else None,
            sort=order or _SORTS[None],
            **fields,
        )
        runs = list(islice(found, most or None))
        total = None if next(found, None) else len(runs)
        if order:
            return Page(runs, total)
        return Page(in_order(listing, runs, sort)[: limit or None], total)

    show_list(listing, read, View(output, columns, None if order else sort, watch), client)


@task_run.command("inspect", example="runyard task-run inspect 0193c5a2")
def inspect(reference: Annotated[str, argument("RUN")], output: Output = None) -> None:
    """Show one task run."""
    client = connect()
    run = find_task_run(client, reference)
    if output:
        out.print_data(run, output)
        return
    message = run.state.message if run.state is not None else None
    upstream = [
        f"{name}: {each.get('id')}"
        for name, given in run.task_inputs.items()
        for each in given
        if each.get("input_type") == "task_run" and not name.startswith("__")
    ]
    retries = run.empirical_policy.retries
    sections = [
        Section(
            "What",
            [
                ("Task", _task(run)),
                ("Flow run", run.flow_run_id),
                ("Tags", run.tags),
                ("ID", run.id),
            ],
        ),
        Section("Why", lines=message.splitlines() if message else []),
        Section(
            "When",
            [
                ("Expected", run.expected_start_time if run.start_time is None else None),
                ("Started", run.start_time),
                ("Ended", run.end_time),
                ("Took", run_time(run)),
                ("Tries", run.run_count if run.run_count > 1 else None),
                ("Retries", retries),
                ("Cached until", run.cache_expiration),
            ],
        ),
        Section("Inputs from other runs", lines=upstream),
    ]
    show_details(f"Task run {run.name}", sections, state=run.state_name)
    out.hint(f"\nIts log: runyard task-run logs {run.id}")


@task_run.command("logs", example="runyard task-run logs 0193c5a2 --tail")
def logs(
    reference: Annotated[str, argument("RUN")],
    level: Level = None,
    grep: Grep = None,
    since: SinceTime = None,
    reverse: Reverse = False,
    num_logs: NumLogs = None,
    tail: Tail = False,
    head: Head = False,
    output: Output = None,
) -> None:
    """Show the log records of a task run."""
    wanted = Selection(head, tail, num_logs, reverse, level, grep, since)
    client = connect()
    run = find_task_run(client, reference)
    records = select(client, {"task_run_id": {"any_": [run.id]}}, wanted)
    if output:
        out.print_data(records, output)
        return
    for record in records:
        typer.echo(log_line(record, f"Task run '{run.name}'"))
    if not records:
        typer.echo("No log records.", err=True)
