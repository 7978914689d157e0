"""`runyard deployment run`: make a run of a deployment, and follow it if asked."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click
from runyard.base.suggestions import did_you_mean

from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.click_classes import Command, Number, output_option
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.lookup import deployment_reference, find_deployment, full_name
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
    from runyard.deployments.project import job_places
    from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment

    named = deployment_reference(reference, deployment_id)
    due = _due(start_in, start_at)
    client = connect()
    found = find_deployment(client, named)
    given = values.parameters(param, params, found.parameter_openapi_schema)
    _check_names(given, found.parameter_openapi_schema)
    fields: dict[str, Any] = {"parameters": given, "state": _scheduled(due)}
    if tag:
        fields["tags"] = list(tag)
    if job_variable:
        fields["job_variables"] = values.job_variables(job_variable)
        _check_job_variables(client, found.work_pool_name, fields["job_variables"])
        for warning in job_places.warnings(full_name(client, found), fields["job_variables"]):
            out.progress(warning)
    if flow_run_name:
        fields["name"] = _run_name(flow_run_name, {**found.parameters, **given})
    create = create_flow_run_from_deployment
    made = client.call(create, found.id, body=body(create, **fields))
    if output:
        out.print_json(made)
    else:
        out.done(f"Created flow run '{made.name}' of '{full_name(client, found)}'.")
        out.facts(
            [
                ("ID", made.id),
                ("Parameters", made.parameters),
                ("Job variables", made.job_variables),
                ("Starts", f"{out.local(due)} ({out.ago(due)})" if due else "now"),
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
    return values.moment(start_at) if start_at else None


def _scheduled(due: datetime | None) -> dict[str, Any]:
    from runyard.base import clock

    when = clock.format_time(due or clock.now())
    return {"type": "SCHEDULED", "state_details": {"scheduled_time": when}}


def _check_names(given: dict[str, Any], schema: dict[str, Any] | None) -> None:
    from runyard.base.errors import ParameterError

    properties = (schema or {}).get("properties")
    if properties is None:
        return
    for name in given:
        if name not in properties:
            others = f"it has {', '.join(properties)}" if properties else "it has none"
            hint = did_you_mean(name, properties, others)
            raise ParameterError(f"the flow has no parameter '{name}'{hint}")


def _check_job_variables(client: Any, pool: str | None, given: dict[str, Any]) -> None:
    """Refuse variables that nothing would read: they are most often misspelled."""
    from runyard.base.errors import ParameterError
    from runyard.domain.job_variables import unknown
    from runyard.operations.work_pools.work_pools import read_work_pool

    if pool is None:
        return
    template = client.call(read_work_pool, pool).base_job_template
    for name in unknown(given, template):
        known = list(template["variables"]["properties"])
        hint = did_you_mean(name, known, f"it has {', '.join(known)}")
        raise ParameterError(f"work pool '{pool}' has no job variable '{name}'{hint}")


def _run_name(template: str, parameters: dict[str, Any]) -> str:
    from runyard.base.errors import InvalidInput

    try:
        return template.format(**parameters)
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise InvalidInput(f"--flow-run-name {template!r} cannot be filled in: {error}") from None
