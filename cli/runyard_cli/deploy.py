"""`runyard deploy`: a project's file, or one flow with flags, becomes deployments."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from runyard_cli import output as out
from runyard_cli import values
from runyard_cli.api import connect, listed
from runyard_cli.command import Command, output_option

if TYPE_CHECKING:
    from runyard.client import Client


@click.command(
    "deploy",
    cls=Command,
    example="""runyard deploy --all
        runyard deploy --name daily-etl
        runyard deploy flows/etl.py:my_etl_flow -n daily-etl -p my-pool --cron '0 6 * * *'""",
)
@click.argument("entrypoint", required=False)
@click.option(
    "-n", "--name", "names", multiple=True, help="Which of the file's deployments, or the new one's name."
)
@click.option("--all", "everything", is_flag=True, help="Every deployment of the file.")
@click.option("-p", "--pool", help="The work pool.")
@click.option("-q", "--work-queue", help="The pool's queue.")
@click.option("-d", "--description", help="What it is for.")
@click.option("--version", help="Its version.")
@click.option("-t", "--tag", multiple=True, help="A tag; those given replace the file's.")
@click.option("-cl", "--concurrency-limit", type=click.IntRange(0), help="How many of its runs at once.")
@click.option(
    "--collision-strategy",
    type=click.Choice(["ENQUEUE", "CANCEL_NEW"], case_sensitive=False),
    help="What becomes of a run beyond the limit.",
)
@click.option(
    "-jv",
    "--job-variable",
    multiple=True,
    metavar="KEY=VALUE",
    help="A job variable, or a JSON object of them.",
)
@click.option("--cron", multiple=True, help="Adds a schedule, such as '0 6 * * *'.")
@click.option("--interval", multiple=True, help="Adds a schedule: every so many seconds, or 10m.")
@click.option("--rrule", multiple=True, help="Adds a schedule by a recurrence rule.")
@click.option("--anchor-date", help="From when intervals are counted.")
@click.option("--timezone", help="Time zone of the schedules, such as Europe/Berlin.")
@click.option("--param", multiple=True, metavar="KEY=VALUE", help="A parameter; the value is JSON or text.")
@click.option("--params", metavar="JSON", help="Parameters as a JSON object; - reads standard input.")
@click.option(
    "--enforce-parameter-schema/--no-enforce-parameter-schema",
    default=None,
    help="Refuse runs with other parameters.",
)
@click.option(
    "--prefect-file",
    type=click.Path(readable=False),
    default="prefect.yaml",
    show_default=True,
    help="The project's file.",
)
@output_option
def deploy(
    entrypoint: str | None,
    names: tuple[str, ...],
    everything: bool,
    prefect_file: str,
    output: str | None,
    **options: Any,
) -> None:
    """Make or update deployments: those of the project's file, or one of ENTRYPOINT.

    What the file does not say keeps its value; schedules are recognised, so that a pause survives.
    """
    from runyard.deployments import plan
    from runyard.deployments.project import Project, read_project
    from runyard.operations.deployment_apply import apply_deployments

    if everything and names:
        raise click.UsageError("--all and --name exclude each other.")
    if entrypoint and not os.path.exists(prefect_file):
        project = Project.empty()
    else:
        project = read_project(prefect_file)
    overrides = _overrides(entrypoint, options)
    wanted = plan.build(project, names, overrides, everything=everything, say=out.progress).body
    client = connect()
    applied = client.call(apply_deployments, body=wanted)
    if output:
        out.print_json(applied)
        return
    for each in applied:
        _announce(client, each)
    _next_step(client, [each.deployment for each in applied])


def _overrides(entrypoint: str | None, options: dict[str, Any]) -> Any:
    from runyard.deployments.overrides import Overrides

    return Overrides(
        entrypoint=entrypoint,
        description=options["description"],
        version=options["version"],
        tags=list(options["tag"]) or None,
        parameters=values.parameters(options["param"], options["params"]),
        work_pool_name=options["pool"],
        work_queue_name=options["work_queue"],
        job_variables=values.job_variables(options["job_variable"]),
        concurrency_limit=options["concurrency_limit"],
        collision_strategy=options["collision_strategy"],
        enforce_parameter_schema=options["enforce_parameter_schema"],
        schedules=_schedules(options),
        timezone=options["timezone"],
        anchor_date=options["anchor_date"],
    )


def _schedules(options: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"cron": text} for text in options["cron"]]
    found += [{"interval": values.duration(text).total_seconds()} for text in options["interval"]]
    found += [{"rrule": text} for text in options["rrule"]]
    for schedule in found:
        _check_schedule(schedule, options["timezone"], options["anchor_date"])
    return found


def _check_schedule(schedule: dict[str, Any], timezone: str | None, anchor_date: str | None) -> None:
    """Refuse a wrong flag by its own name: later it would be looked for in the project's file."""
    from runyard.errors import ScheduleError
    from runyard.orchestration.schedules import validate

    spec = {**schedule, **({"timezone": timezone} if timezone else {})}
    if anchor_date and "interval" in schedule:
        spec["anchor_date"] = anchor_date
    try:
        validate(spec)
    except ScheduleError as error:
        raise ScheduleError(f"--{next(iter(schedule))}: {error}") from None


def _announce(client: Client, applied: Any) -> None:
    from runyard_cli.deployment import full_name

    name = full_name(client, applied.deployment)
    if applied.action == "unchanged":
        out.say(f"Deployment '{name}' is as it was.")
        return
    verb = "Made" if applied.action == "created" else "Updated"
    out.done(f"{verb} deployment '{name}' ({applied.deployment.id}).")
    if applied.action == "updated":
        for change in applied.changes:
            out.say(f"  {change.field}: {_brief(change.before)} -> {_brief(change.after)}")


def _brief(value: Any) -> str:
    import json

    text = (
        value if isinstance(value, str) else json.dumps(out.to_json(value), default=str, ensure_ascii=False)
    )
    return text if len(text) <= 100 else f"{text[:97]}..."


def _next_step(client: Client, made: list[Any]) -> None:
    from runyard.operations import workers

    from runyard_cli.deployment import full_name

    pools = list(dict.fromkeys(each.work_pool_name for each in made if each.work_pool_name))
    for pool in pools:
        online = listed(client, workers.filter_workers, pool, workers={"status": {"any_": ["ONLINE"]}})
        if next(online, None) is None:
            out.hint(f"No worker is online for '{pool}'; start one: runyard worker start --pool {pool}")
    if made:
        out.hint(f"Run it now: runyard deployment run '{full_name(client, made[0])}'")
