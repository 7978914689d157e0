"""`runyard deployment run`: make a run of a deployment, and follow it if asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from runyard_cli.shared import output as out
from runyard_cli.shared import times, values
from runyard_cli.shared.click_classes import Command, Number, output_option
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.lookup import deployment_reference
from runyard_cli.shared.watch import watched


@click.command(
    "run",
    cls=Command,
    example="""runyard deployment run 'my-etl-flow/daily-etl' --param date=2026-11-22 --watch
        runyard deployment run daily-etl --start-in 1h30m""",
)
@click.argument("reference", metavar="[DEPLOYMENT]", required=False)
@click.option("--id", "deployment_id", metavar="ID", help="The deployment's id instead of its name.")
@click.option(
    "-p", "--param", multiple=True, metavar="KEY=VALUE", help="A parameter; the value is JSON or text."
)
@click.option("--params", metavar="JSON", help="All parameters as a JSON object; - reads standard input.")
@click.option("--start-in", metavar="DURATION", help="Start later: 90s, 10m, 1h30m.")
@click.option("--start-at", metavar="TIME", help="Start then: 06:00, 'tomorrow 9am', an ISO time.")
@click.option("-t", "--tag", multiple=True, help="A tag of the run, besides the deployment's.")
@click.option("-jv", "--job-variable", multiple=True, metavar="KEY=VALUE", help="Overrides a job variable.")
@click.option("--flow-run-name", help="The run's name; {parameter} is replaced.")
@click.option("--watch", is_flag=True, help="Follow states and logs; exit code 0 only if it completes.")
@click.option("--watch-interval", type=Number(), hidden=True, help="Not needed: changes are seen at once.")
@click.option("--watch-timeout", type=Number(), help="Stop following after so many seconds.")
@output_option
@click.pass_context
def run(
    context: click.Context,
    reference: str | None,
    deployment_id: str | None,
    param: tuple[str, ...],
    params: str | None,
    start_in: str | None,
    start_at: str | None,
    tag: tuple[str, ...],
    job_variable: tuple[str, ...],
    flow_run_name: str | None,
    watch: bool,
    watch_interval: float | None,
    watch_timeout: float | None,
    output: str | None,
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
    if output:
        out.print_json(made)
    else:
        out.done(f"Created flow run '{made.name}' of '{name}'.")
        out.facts(
            [
                ("ID", made.id),
                ("Parameters", made.parameters),
                ("Job variables", made.job_variables),
                ("Starts", times.both(due) if due else "now"),
            ]
        )
    if watch:
        context.exit(watched(client, made, watch_timeout))
    if not output:
        out.hint(f"Follow it with: runyard flow-run logs {made.id} --follow")


def _due(start_in: str | None, start_at: str | None) -> datetime | None:
    if start_in and start_at:
        raise click.UsageError("--start-in and --start-at exclude each other.")
    if start_in:
        return values.later(start_in)
    return values.start_time(start_at, "--start-at") if start_at else None


def _scheduled(due: datetime) -> dict[str, Any]:
    from runyard.base import clock

    return {"type": "SCHEDULED", "state_details": {"scheduled_time": clock.format_time(due)}}
