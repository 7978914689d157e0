"""`runyard deployment schedule`: the schedules of a deployment, and an operator's pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runyard_cli import output as out
from runyard_cli.api import body, connect
from runyard_cli.command import Group, output_option

if TYPE_CHECKING:
    from runyard.client import Client

schedule = Group(
    "schedule",
    help="See, pause and resume the schedules of a deployment. A pause survives a redeploy.",
    example="runyard deployment schedule ls my-etl-flow/daily-etl",
)


def describe(spec: Any) -> str:
    """A schedule in a few words, such as `cron: 0 6 * * * (Europe/Berlin)`."""
    fields = spec if isinstance(spec, dict) else out.to_json(spec)
    zone = fields.get("timezone")
    for kind in ("cron", "interval", "rrule", "at"):
        if fields.get(kind) is not None:
            text = f"every {out.span(fields[kind])}" if kind == "interval" else f"{kind}: {fields[kind]}"
            return f"{text} ({zone})" if zone else text
    return str(fields)


@schedule.command("ls", example="runyard deployment schedule ls my-etl-flow/daily-etl")
@click.argument("reference", metavar="DEPLOYMENT")
@output_option
def ls(reference: str, output: str | None) -> None:
    """List the schedules of a deployment."""
    from runyard_cli.deployment import find

    found = find(connect(), reference)
    if output:
        out.print_json(found.schedules)
        return
    rows = [
        [each.id, describe(each.schedule), "yes" if each.active else "no", out.ago(each.next_due), each.slug]
        for each in found.schedules
    ]
    columns = ["ID", "Schedule", "Active", "Next", "Slug"]
    out.table("Deployment schedules", columns, rows, "The deployment has no schedules.")


def _chosen(client: Client, found: Any, key: str | None) -> list[Any]:
    from runyard.errors import Conflict, NotFound

    if key is None:
        return list(found.schedules)
    matches = [each for each in found.schedules if key in (each.id, each.slug)] or [
        each for each in found.schedules if len(key) >= 4 and each.id.startswith(key)
    ]
    if not matches:
        raise NotFound(f"deployment '{found.name}' has no schedule '{key}'")
    if len(matches) > 1:
        raise Conflict(f"'{key}' is the beginning of {', '.join(each.id for each in matches)}")
    return matches


def _set_active(reference: str, key: str | None, everything: bool, active: bool) -> None:
    from runyard.operations import schedules

    from runyard_cli.deployment import find

    if (key is not None) == everything:
        raise click.UsageError("Name one schedule, or give --all for those of the deployment.")
    client = connect()
    found = find(client, reference)
    update = schedules.update_deployment_schedule
    word = "Resumed" if active else "Paused"
    for each in _chosen(client, found, key):
        if each.active == active:
            out.say(f"Schedule {each.id} is {'active' if active else 'paused'} already.")
            continue
        client.call(update, found.id, each.id, body=body(update, active=active))
        out.done(f"{word} schedule {each.id} ({describe(each.schedule)}).")


@schedule.command("pause", example="runyard deployment schedule pause my-etl-flow/daily-etl --all")
@click.argument("reference", metavar="DEPLOYMENT")
@click.argument("key", metavar="[SCHEDULE]", required=False)
@click.option("--all", "everything", is_flag=True, help="All schedules of the deployment.")
def pause(reference: str, key: str | None, everything: bool) -> None:
    """Let a schedule, named by id or slug, make no more runs."""
    _set_active(reference, key, everything, False)


@schedule.command("resume", example="runyard deployment schedule resume my-etl-flow/daily-etl --all")
@click.argument("reference", metavar="DEPLOYMENT")
@click.argument("key", metavar="[SCHEDULE]", required=False)
@click.option("--all", "everything", is_flag=True, help="All schedules of the deployment.")
def resume(reference: str, key: str | None, everything: bool) -> None:
    """Let a paused schedule, named by id or slug, make runs again."""
    _set_active(reference, key, everything, True)
