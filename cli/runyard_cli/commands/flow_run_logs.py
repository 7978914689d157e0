"""`runyard flow-run logs` and `watch`: what a run writes, once or as it comes."""

from __future__ import annotations

from typing import Annotated

import typer

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.logs import (
    Grep,
    Head,
    Level,
    NumLogs,
    Reverse,
    RunNames,
    Selection,
    SinceTime,
    Tail,
    of_run,
    select,
    task_run_ids,
)
from runyard_cli.shared.lookup import find_flow_run
from runyard_cli.shared.options import Output, argument, option, seconds
from runyard_cli.shared.watch import follow as follow_run
from runyard_cli.shared.watch import watched

logs, watch = App(), App()


@logs.command(
    "logs",
    example="""runyard flow-run logs calm-otter --follow
        runyard flow-run logs - --level error --task fetch
        runyard flow-run logs calm-otter --grep 'page \\d+' --since 10m --tail""",
)
def _logs(
    reference: Annotated[str, argument("RUN")],
    follow: Annotated[bool, option("-f", "--follow", help="Continue until the run has ended.")] = False,
    level: Level = None,
    grep: Grep = None,
    since: SinceTime = None,
    task: Annotated[
        str | None, option("--task", metavar="NAME", help="Only records of this task, or of one task run.")
    ] = None,
    reverse: Reverse = False,
    num_logs: NumLogs = None,
    tail: Tail = False,
    head: Head = False,
    output: Output = None,
) -> None:
    """Show the log records of a flow run and of its task runs."""
    wanted = Selection(head, tail, num_logs, reverse, level, grep, since)
    if follow and (output or head or reverse):
        raise WrongUsage("--follow does not go together with --head, --reverse or -o.")
    client = connect()
    run = find_flow_run(client, reference)
    ids = None if task is None else task_run_ids(client, run, task)
    if follow:
        follow_run(client, run, show_states=False, wanted=wanted, task_run_ids=ids)
        return
    records = select(client, of_run(run, ids), wanted)
    if output:
        out.print_data(records, output)
        return
    for line in RunNames(client, run).lines(records):
        typer.echo(line)
    if not records:
        typer.echo("No log records.", err=True)


@watch.command("watch", example="runyard flow-run watch calm-otter --timeout 600")
def _watch(
    context: typer.Context,
    reference: Annotated[str, argument("RUN")],
    timeout: Annotated[
        float | None, seconds("--timeout", help="Stop following after so many seconds.")
    ] = None,
    output: Output = None,
) -> None:
    """Follow a run's states and logs; exit code 0 only if it completes."""
    client = connect()
    context.exit(watched(client, find_flow_run(client, reference), timeout, output))
