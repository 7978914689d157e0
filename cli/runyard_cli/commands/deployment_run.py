"""`runyard deployment run`: make a run of a deployment, and follow it if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared import times, values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.lookup import deployment_reference
from runyard_cli.shared.options import Output, argument, many, option, seconds
from runyard_cli.shared.watch import watched

if TYPE_CHECKING:
    from datetime import datetime

    from runyard.client import Client

run = App()


@run.command(
    "run",
    example="""runyard deployment run 'my-etl-flow/daily-etl' --param date=2026-11-22 --watch
        runyard deployment run daily-etl --start-in 1h30m""",
)
def _run(
    context: typer.Context,
    param: Annotated[
        list[str], many("-p", "--param", help="A parameter; the value is JSON or text.", metavar="KEY=VALUE")
    ],
    tag: Annotated[list[str], many("-t", "--tag", help="A tag of the run, besides the deployment's.")],
    job_variable: Annotated[
        list[str], many("-jv", "--job-variable", help="Overrides a job variable.", metavar="KEY=VALUE")
    ],
    reference: Annotated[str | None, argument("DEPLOYMENT")] = None,
    deployment_id: Annotated[
        str | None, option("--id", help="The deployment's id instead of its name.", metavar="ID")
    ] = None,
    params: Annotated[
        str | None,
        option("--params", help="All parameters as a JSON object; - reads standard input.", metavar="JSON"),
    ] = None,
    start_in: Annotated[
        str | None, option("--start-in", help="Start later: 90s, 10m, 1h30m.", metavar="DURATION")
    ] = None,
    start_at: Annotated[
        str | None,
        option("--start-at", help="Start then: 06:00, 'tomorrow 9am', an ISO time.", metavar="TIME"),
    ] = None,
    flow_run_name: Annotated[
        str | None, option("--flow-run-name", help="The run's name; {parameter} is replaced.")
    ] = None,
    watch: Annotated[
        bool, option("--watch", help="Follow states and logs; exit code 0 only if it completes.")
    ] = False,
    watch_interval: Annotated[
        float | None, seconds("--watch-interval", help="Not needed: changes are seen at once.", hidden=True)
    ] = None,
    watch_timeout: Annotated[
        float | None, seconds("--watch-timeout", help="Stop following after so many seconds.")
    ] = None,
    output: Output = None,
) -> None:
    """Create a run of a deployment; a worker of its pool starts it."""
    from runyard.deployments.project import job_variable_warnings
    from runyard.operations.flow_runs.create_deployment_run import run_deployment

    due = _due(start_in, start_at)
    fields: dict[str, Any] = {
        "deployment": deployment_reference(reference, deployment_id),
        "parameter_texts": values.typed(param),
        "parameters_text": values.whole_text(params),
        "name_template": flow_run_name,
        "tags": list(tag),
        "strict": True,
    }
    if due:
        fields["state"] = _scheduled(due)
    if job_variable:
        fields["job_variables"] = values.job_variables(job_variable)
    client = connect()
    answer = client.call(run_deployment, body(run_deployment, **fields))
    made, name = answer.flow_run, answer.deployment
    for warning in job_variable_warnings.warnings(name, fields.get("job_variables") or {}):
        out.progress(warning)
    if output and not watch:
        out.print_data(made, output)
    elif not output:
        out.done(f"Created flow run '{made.name}' of '{name}'.")
        out.facts(
            [
                ("ID", made.id),
                ("Parameters", made.parameters),
                ("Job variables", made.job_variables),
                ("Starts", times.both(due) if due else "as soon as a worker takes it"),
            ]
        )
        _warn_of_pool(client, made)
    if watch:
        context.exit(watched(client, made, watch_timeout, output))
    if output:
        return
    if due:
        out.hint(f"See it: {command_of('runyard flow-run inspect', made.id)}")
        out.hint(f"Cancel it: {command_of('runyard flow-run cancel', made.id)}")
    else:
        out.hint(f"Follow it with: runyard flow-run logs {made.id} --follow")


def _warn_of_pool(client: Client, made: Any) -> None:
    """Say that no worker would start the run, with the command that mends it."""
    from runyard.domain.job_templates import worker_command
    from runyard.operations.work_pools.list_work_pools import list_work_pools

    if made.work_pool_name is None:
        return
    pool = next((each for each in client.call(list_work_pools) if each["name"] == made.work_pool_name), None)
    if pool is None:
        return
    if pool["status"] == "PAUSED":
        command = command_of("runyard work-pool resume", pool["name"])
        out.progress(f"The work pool '{pool['name']}' is paused; resume it: {command}")
    elif not pool["workers_online"]:
        command = worker_command(pool["name"], pool["type"])
        out.progress(f"No worker is online for '{pool['name']}'; start one: {command}")


def _due(start_in: str | None, start_at: str | None) -> datetime | None:
    if start_in and start_at:
        raise WrongUsage("--start-in and --start-at exclude each other.")
    if start_in:
        return values.later(start_in)
    return values.start_time(start_at, "--start-at") if start_at else None


def _scheduled(due: datetime) -> dict[str, Any]:
    from runyard.base import clock

    return {"type": "SCHEDULED", "state_details": {"scheduled_time": clock.format_time(due)}}
