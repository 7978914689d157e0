"""`runyard deployment backfill`: runs for the past instants of a schedule."""

from __future__ import annotations

import heapq
import itertools
import sys
from datetime import UTC, datetime, timedelta
from string import Formatter
from typing import TYPE_CHECKING, Any

import click

from runyard_cli import output as out
from runyard_cli import values
from runyard_cli.api import body, connect
from runyard_cli.command import Command, output_option, yes_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.client import Client

_SHOWN = 20


@click.command(
    "backfill",
    cls=Command,
    example="""runyard deployment backfill my-etl-flow/daily-etl --from 2026-01-01 --to 2026-02-01 --plan
        runyard deployment backfill daily-etl --from 30d --param-template date={instant:%Y-%m-%d}""",
)
@click.argument("reference", metavar="DEPLOYMENT")
@click.option(
    "--from", "start", required=True, metavar="TIME", help="From this instant on; 30d: 30 days ago."
)
@click.option("--to", "end", metavar="TIME", help="Until before this instant; by default now.")
@click.option("--schedule", "keys", multiple=True, help="Only this schedule, by id or slug.")
@click.option("--reverse", is_flag=True, help="The newest instants first.")
@click.option("-l", "--limit", type=click.IntRange(1), help="Make so many runs at most; call again for more.")
@click.option(
    "--param-template",
    multiple=True,
    metavar="KEY=TEMPLATE",
    help="A parameter of each run; {instant:%Y-%m-%d} is its instant in the schedule's time zone.",
)
@click.option("-p", "--param", multiple=True, metavar="KEY=VALUE", help="A parameter of all runs.")
@click.option("-t", "--tag", multiple=True, help="A tag of the runs, besides `backfill`.")
@click.option("-jv", "--job-variable", multiple=True, metavar="KEY=VALUE", help="Overrides a job variable.")
@click.option("--plan", is_flag=True, help="Only show the instants; exit code 2 if any would get a run.")
@yes_option
@output_option
@click.pass_context
def backfill(
    context: click.Context,
    reference: str,
    start: str,
    end: str | None,
    keys: tuple[str, ...],
    reverse: bool,
    limit: int | None,
    param_template: tuple[str, ...],
    param: tuple[str, ...],
    tag: tuple[str, ...],
    job_variable: tuple[str, ...],
    plan: bool,
    yes: bool,
    output: str | None,
) -> None:
    """Make a run for each instant of the past at which the deployment's schedules were due.

    Instants that have a run already are left out, so that it may be called again after an interruption.
    The runs start as the deployment's concurrency limit allows, behind those that wait already.
    """
    from runyard_cli.deployment import find, full_name

    first, last = _bounds(start, end)
    client = connect()
    found = find(client, reference)
    given = values.parameters(param, None, found.parameter_openapi_schema)
    schedules = _schedules(found, keys)
    wanted = [
        {
            "schedule_id": schedule.id,
            "instant": instant,
            "parameters": {**given, **_filled(param_template, instant, schedule, found)},
        }
        for instant, schedule in _instants(schedules, first, last)
    ]
    if reverse:
        wanted.reverse()
    common = {"tags": list(tag), "job_variables": values.job_variables(job_variable) or None}
    planned = _send(client, found.id, wanted, common, dry_run=True)
    new = [each for each, run in zip(wanted, planned, strict=True) if run.created]
    chosen = new[:limit]
    if plan:
        _show_plan(wanted, planned, output)
        context.exit(2 if new else 0)
    left = f" ({len(new) - len(chosen)} more are left for the next call)" if len(new) > len(chosen) else ""
    if not yes and out.at_keyboard() and chosen:
        click.confirm(f"Make {len(chosen)} runs of '{full_name(client, found)}'{left}?", abort=True)
    made = _send(client, found.id, chosen, common, dry_run=False)
    if output:
        out.print_json(made)
        return
    created = sum(run.created for run in made)
    out.done(
        f"Made {created} run{'' if created == 1 else 's'} of '{full_name(client, found)}'; "
        f"{len(wanted) - len(new)} of {len(wanted)} instants had one{left}."
    )
    if created:
        out.hint("See them: runyard flow-run ls --deployment " + found.id)


def _bounds(start: str, end: str | None) -> tuple[datetime, datetime]:
    from runyard.errors import InvalidInput

    now = datetime.now(UTC)
    first = values.past(start)
    last = values.past(end) if end else now
    if last > now:
        out.progress("A backfill is of the past: --to is taken as now.")
        last = now
    if first >= last:
        raise InvalidInput(f"--from ({out.local(first)}) must be earlier than --to ({out.local(last)})")
    return first, last


def _schedules(found: Any, keys: tuple[str, ...]) -> list[Any]:
    from runyard.errors import NotFound

    from runyard_cli.deployment_schedule import chosen

    if not found.schedules:
        raise NotFound(
            f"deployment '{found.name}' has no schedule whose instants could be filled; add one: "
            f"runyard deployment schedule create {found.name} --cron '0 6 * * *'"
        )
    if not keys:
        return list(found.schedules)
    return [each for key in keys for each in chosen(found, key)]


def _instants(schedules: list[Any], first: datetime, last: datetime) -> Iterator[tuple[datetime, Any]]:
    """The instants of several schedules, earliest first."""
    from runyard.orchestration.schedules import instants

    def of(schedule: Any) -> Iterator[tuple[datetime, Any]]:
        spec = schedule.schedule.model_dump(mode="json")
        due = instants(spec, first - timedelta(microseconds=1))
        return ((instant, schedule) for instant in itertools.takewhile(lambda each: each < last, due))

    return heapq.merge(*map(of, schedules), key=lambda pair: pair[0])


def _filled(templates: tuple[str, ...], instant: datetime, schedule: Any, found: Any) -> dict[str, Any]:
    """The parameters of one instant."""
    if not templates:
        return {}
    from runyard.errors import InvalidInput
    from runyard.orchestration.schedules_zones import zone

    local = instant.astimezone(zone(getattr(schedule.schedule, "timezone", None) or "UTC"))
    texts = []
    for template in templates:
        key, text = values.pair(template, "--param-template")
        try:
            texts.append(f"{key}={text.format(instant=local)}")
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise InvalidInput(f"--param-template {template!r} cannot be filled in: {error!r}") from None
        if not any(field for _, field, _, _ in Formatter().parse(text)):
            raise InvalidInput(
                f"--param-template {template!r} does not name the instant; write {key}={{instant:%Y-%m-%d}}, "
                f"or --param {template} for all runs"
            )
    return values.parameters(tuple(texts), None, found.parameter_openapi_schema)


def _send(
    client: Client, deployment_id: str, wanted: list[dict[str, Any]], common: dict[str, Any], dry_run: bool
) -> list[Any]:
    """Send the runs in batches, with progress on a terminal."""
    from runyard.operations.backfills import MOST_RUNS, backfill_deployment

    made: list[Any] = []
    shown = not dry_run and len(wanted) > MOST_RUNS and sys.stderr.isatty()
    with click.progressbar(
        length=len(wanted), label="Making runs", file=sys.stderr, hidden=not shown
    ) as progress:
        for at in range(0, len(wanted), MOST_RUNS):
            batch = wanted[at : at + MOST_RUNS]
            request = body(backfill_deployment, runs=batch, dry_run=dry_run, **common)
            answer: list[Any] = client.call(backfill_deployment, deployment_id, body=request)
            made += answer
            progress.update(len(batch))
    return made


def _show_plan(wanted: list[dict[str, Any]], planned: list[Any], output: str | None) -> None:
    rows = [
        {
            "instant": run.instant,
            "schedule_id": run.schedule_id,
            "parameters": each["parameters"],
            "action": "create" if run.created else "exists",
        }
        for each, run in zip(wanted, planned, strict=True)
    ]
    if output:
        out.print_json([{**row, "instant": row["instant"].isoformat()} for row in rows])
        return
    cells = [
        [out.local(row["instant"])[:19], row["action"], row["parameters"] or None] for row in rows[:_SHOWN]
    ]
    out.table("Backfill", ["Instant", "Run", "Parameters"], cells, "No instant lies between --from and --to.")
    if len(rows) > _SHOWN:
        out.say(f"... and {len(rows) - _SHOWN} more.")
    new = sum(row["action"] == "create" for row in rows)
    out.say(f"{new} to make, {len(rows) - new} exist.")
