"""`runyard task-run`: the task runs inside flow runs."""

from __future__ import annotations

from typing import Any

import click

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import group, limit_option, output_option
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.logs import log_line, log_options, select
from runyard_cli.shared.lookup import find_flow_run, find_task_run
from runyard_cli.shared.run_lists import no_runs, state_filter, when

task_run = group("task-run", "See task runs and their logs.", "runyard task-run ls --flow-run calm-otter")


@task_run.command("ls", example="runyard task-run ls --flow-run calm-otter --state Failed")
@click.option("--flow-run", help="Only those of this flow run.")
@click.option("--task-run-name", multiple=True, help="Only those of this name.")
@click.option("--state", multiple=True, help="Only those in this state.")
@click.option("--state-type", multiple=True, help="Only those in a state of this type.")
@limit_option
@output_option
def ls(
    flow_run: str | None,
    task_run_name: tuple[str, ...],
    state: tuple[str, ...],
    state_type: tuple[str, ...],
    limit: int,
    output: str | None,
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
        out.print_json(runs)
        return
    rows = [[run.id, run.task_key, run.name, run.state_name, when(run)] for run in runs]
    out.table("Task runs", ["ID", "Task", "Name", "State", "When"], rows, no_runs("task runs", state))


@task_run.command("inspect", example="runyard task-run inspect 0193c5a2")
@click.argument("reference", metavar="RUN")
@output_option
def inspect(reference: str, output: str | None) -> None:
    """Show one task run."""
    out.show(find_task_run(connect(), reference), output)


@task_run.command("logs", example="runyard task-run logs 0193c5a2 --tail")
@click.argument("reference", metavar="RUN")
@log_options
@output_option
def logs(reference: str, output: str | None, **chosen: Any) -> None:
    """Show the log records of a task run."""
    client = connect()
    run = find_task_run(client, reference)
    records = select(client, {"task_run_id": {"any_": [run.id]}}, **chosen)
    if output:
        out.print_json(records)
    else:
        for record in records:
            click.echo(log_line(record, f"Task run '{run.name}'"))
