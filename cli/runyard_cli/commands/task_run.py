"""`runyard task-run`: the task runs inside flow runs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.logs import Head, Level, NumLogs, Reverse, Tail, log_line, select
from runyard_cli.shared.lookup import find_flow_run, find_task_run
from runyard_cli.shared.options import Limit, Output, argument, many, option
from runyard_cli.shared.run_lists import no_runs, state_filter, when

task_run = App("task-run", "See task runs and their logs.", "runyard task-run ls --flow-run calm-otter")


@task_run.command("ls", example="runyard task-run ls --flow-run calm-otter --state Failed")
def ls(
    task_run_name: Annotated[list[str], many("--task-run-name", help="Only those of this name.")],
    state: Annotated[list[str], many("--state", help="Only those in this state.")],
    state_type: Annotated[list[str], many("--state-type", help="Only those in a state of this type.")],
    flow_run: Annotated[str | None, option("--flow-run", help="Only those of this flow run.")] = None,
    limit: Limit = 15,
    output: Output = None,
) -> None:
    """List task runs, the newest first."""
    from runyard.operations.task_runs import task_runs

    client = connect()
    criteria = state_filter(state, state_type)
    if flow_run:
        criteria["flow_run_id"] = {"any_": [find_flow_run(client, flow_run).id]}
    if task_run_name:
        criteria["name"] = {"any_": list(task_run_name)}
    fields: dict[str, Any] = {"task_runs": criteria} if criteria else {}
    runs = list(
        listed(client, task_runs.filter_task_runs, limit=limit, sort="EXPECTED_START_TIME_DESC", **fields)
    )
    if output:
        out.print_data(runs, output)
        return
    rows = [[run.id, run.task_key, run.name, run.state_name, when(run)] for run in runs]
    out.table("Task runs", ["ID", "Task", "Name", "State", "When"], rows, no_runs("task runs", state))


@task_run.command("inspect", example="runyard task-run inspect 0193c5a2")
def inspect(reference: Annotated[str, argument("RUN")], output: Output = None) -> None:
    """Show one task run."""
    out.show(find_task_run(connect(), reference), output)


@task_run.command("logs", example="runyard task-run logs 0193c5a2 --tail")
def logs(
    reference: Annotated[str, argument("RUN")],
    output: Output = None,
    level: Level = None,
    reverse: Reverse = False,
    num_logs: NumLogs = None,
    tail: Tail = False,
    head: Head = False,
) -> None:
    """Show the log records of a task run."""
    chosen: dict[str, Any] = {"head": head, "tail": tail, "num_logs": num_logs, "reverse": reverse}
    client = connect()
    run = find_task_run(client, reference)
    records = select(client, {"task_run_id": {"any_": [run.id]}}, level=level, **chosen)
    if output:
        out.print_data(records, output)
    else:
        for record in records:
            typer.echo(log_line(record, f"Task run '{run.name}'"))
