"""`runyard deployment schedule`: the schedules of a deployment, and an operator's pause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from runyard.base.texts import counted

from runyard_cli.commands.schedule_next import next_
from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.coercion import whole_number
from runyard_cli.shared.lookup import find_deployment, find_schedules
from runyard_cli.shared.options import Output, argument, many, option
from runyard_cli.shared.schedule_texts import describe_schedule

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from runyard.client import Client

schedule = App(
    "schedule",
    help="See, add, pause and delete the schedules of a deployment. A pause survives a redeploy.",
    example="runyard deployment schedule ls my-etl-flow/daily-etl",
)


schedule.add_typer(next_)


@schedule.command("ls", example="runyard deployment schedule ls my-etl-flow/daily-etl")
def ls(reference: Annotated[str, argument("DEPLOYMENT")], output: Output = None) -> None:
    """List the schedules of a deployment."""
    found = find_deployment(connect(), reference)
    if output:
        out.print_data(found.schedules, output)
        return
    rows = [
        [
            each.id,
            describe_schedule(each.schedule),
            "yes" if each.active else "no",
            out.ago(each.next_due),
            each.slug,
        ]
        for each in found.schedules
    ]
    columns = ["ID", "Schedule", "Active", "Next", "Slug"]
    out.table("Deployment schedules", columns, rows, "The deployment has no schedules.")


def _set_active(reference: str, key: str | None, everything: bool, active: bool) -> None:
    from runyard.operations.schedules import schedules

    if (key is not None) == everything:
        raise WrongUsage("Name one schedule, or give --all for all schedules of the deployment.")
    client = connect()
    found = find_deployment(client, reference)
    update = schedules.update_deployment_schedule
    word = "Resumed" if active else "Paused"
    for each in find_schedules(found, key):
        if each.active == active:
            out.say(f"Schedule {each.id} is already {'active' if active else 'paused'}.")
            continue
        client.call(update, found.id, each.id, body=body(update, active=active))
        out.done(f"{word} schedule {each.id} ({describe_schedule(each.schedule)}).")


@schedule.command("inspect", example="runyard deployment schedule inspect daily-etl nightly")
def inspect(
    reference: Annotated[str, argument("DEPLOYMENT")],
    key: Annotated[str, argument("SCHEDULE")],
    output: Output = None,
) -> None:
    """Show one schedule, named by id or slug, and what it skipped lately."""
    from runyard.operations.schedules import schedules

    client = connect()
    found = find_deployment(client, reference)
    (one,) = find_schedules(found, key)
    out.show(one, output)
    if output:
        return
    skips = [
        each for each in client.call(schedules.read_schedule_skips, found.id) if each.schedule_id == one.id
    ]
    if skips:
        typer.echo()
        rows = [[out.local(each.instant), each.count, each.reason] for each in skips[:10]]
        out.table("Skipped", ["Skipped instant", "How many", "Why"], rows, "")


@schedule.command(
    "create",
    example="""runyard deployment schedule create daily-etl --cron '0 6 * * *' --timezone Europe/Berlin
        runyard deployment schedule create daily-etl --interval 10m --slug often --overlap skip""",
)
def create(
    reference: Annotated[str, argument("DEPLOYMENT")],
    param: Annotated[list[str], many("-p", "--param", help="A parameter of its runs.", metavar="KEY=VALUE")],
    cron: Annotated[
        str | None, option("--cron", help="Runs when the wall clock matches, such as '0 6 * * *'.")
    ] = None,
    interval: Annotated[
        str | None, option("--interval", help="Runs at this interval: seconds, or 10m.", metavar="DURATION")
    ] = None,
    rrule: Annotated[
        str | None, option("--rrule", help="Runs by this recurrence rule; or JSON with rrule and timezone.")
    ] = None,
    at: Annotated[str | None, option("--at", help="Runs once, at this time.", metavar="TIME")] = None,
    anchor_date: Annotated[
        str | None,
        option(
            "--anchor-date", help="The time from which --interval is counted; by default now.", metavar="TIME"
        ),
    ] = None,
    day_or: Annotated[
        bool,
        option(
            "--day-or/--no-day-or",
            "--day_or/--no-day_or",
            help="With a day of the month and one of the week: either is enough.",
            show_default=True,
        ),
    ] = True,
    timezone: Annotated[
        str | None, option("--timezone", help="Time zone whose wall clock counts, such as Europe/Berlin.")
    ] = None,
    active: Annotated[
        bool, option("--active/--no-active", help="Whether it creates runs.", show_default=True)
    ] = True,
    slug: Annotated[str | None, option("--slug", help="The schedule's own name.")] = None,
    catchup: Annotated[
        Literal["skip", "latest", "all"] | None, option("--catchup", help="What to do about missed times.")
    ] = None,
    catchup_limit: Annotated[
        int | None,
        option(
            "--catchup-limit",
            metavar="N",
            parser=whole_number(1, 1000),
            help="How many missed times at most.",
        ),
    ] = None,
    overlap: Annotated[
        Literal["allow", "skip", "queue", "replace"] | None,
        option("--overlap", help="What to do when the previous run is still running."),
    ] = None,
    replace: Annotated[bool, option("--replace", help="Delete the deployment's other schedules.")] = False,
    yes: Annotated[bool, option("-y", "--accept-yes", help="Do not ask.")] = False,
    output: Output = None,
) -> None:
    """Add a schedule to a deployment; a redeploy does not delete it."""
    options: dict[str, Any] = {
        "cron": cron,
        "interval": interval,
        "rrule": rrule,
        "at": at,
        "anchor_date": anchor_date,
        "day_or": day_or,
        "timezone": timezone,
        "active": active,
        "slug": slug,
        "catchup": catchup,
        "catchup_limit": catchup_limit,
        "overlap": overlap,
        "param": param,
    }
    from runyard.operations.schedules import schedules

    timing = _timing(options)
    client = connect()
    found = find_deployment(client, reference)
    fields = {
        "schedule": timing,
        "active": options["active"],
        "parameters": values.parameters(options["param"], None, found.parameter_openapi_schema),
        **{
            name: options[name]
            for name in ("slug", "catchup", "catchup_limit", "overlap")
            if options[name] is not None
        },
    }
    if replace and found.schedules:
        out.confirm(f"Delete {counted(len(found.schedules), 'schedule')} of '{found.name}'?", yes)
    add = schedules.create_deployment_schedules
    new = schedules.DeploymentScheduleCreate.model_validate(fields)
    # The new one first, so that a refusal loses nothing; only one of its own slug has to make room.
    others = list(found.schedules) if replace else []
    others.sort(key=lambda each: not (new.slug and each.slug == new.slug))
    if others and new.slug and others[0].slug == new.slug:
        client.call(schedules.delete_deployment_schedule, found.id, others.pop(0).id)
    (made,) = client.call(add, found.id, body=[new])
    for each in others:
        client.call(schedules.delete_deployment_schedule, found.id, each.id)
    if output:
        out.print_data(made, output)
        return
    out.done(f"Created schedule {made.id} ({describe_schedule(made.schedule)}).")
    if made.next_due:
        out.say(f"It is due next {out.ago(made.next_due)}, {out.local(made.next_due)[:19]}.")


def _timing(options: dict[str, Any]) -> dict[str, Any]:
    """What was said of when it is due; refused before anything changes."""
    from runyard.base import clock
    from runyard.base.errors import ScheduleError
    from runyard.domain.schedules.instants import parse
    from runyard.domain.schedules.schedule_warnings import over, warnings
    from runyard.domain.schedules.time_zones import UnknownZone

    kinds = [kind for kind in ("cron", "interval", "rrule", "at") if options[kind] is not None]
    if len(kinds) != 1:
        raise WrongUsage("Give exactly one of --cron, --interval, --rrule and --at.")
    kind = kinds[0]
    if options["anchor_date"] and kind != "interval":
        raise WrongUsage("--anchor-date goes with --interval.")
    timing: dict[str, Any] = {kind: options[kind]}
    if kind == "interval":
        timing["interval"] = values.duration(options["interval"]).total_seconds()
    elif kind == "at":
        timing["at"] = values.moment(options["at"], zone=_zone(options["timezone"])).isoformat()
    elif kind == "rrule" and options["rrule"].lstrip().startswith("{"):
        timing = values.json_object(options["rrule"], "--rrule")
    if kind == "cron" and not options["day_or"]:
        timing["day_or"] = False
    if options["anchor_date"]:
        anchor = values.moment(options["anchor_date"], zone=_zone(options["timezone"]))
        timing["anchor_date"] = anchor.isoformat()
    if options["timezone"] is not None and kind != "at":
        timing["timezone"] = options["timezone"]
    now = clock.now()
    try:
        parse(timing)
        if over(timing, now):
            raise ScheduleError("it would never fire: all its times are past")
    except UnknownZone as error:
        raise ScheduleError(f"--timezone: {error}") from None
    except ScheduleError as error:
        raise ScheduleError(f"--{kind}: {error}") from None
    for warning in warnings(timing, now):
        out.progress(warning)
    return timing


def _zone(name: str | None) -> ZoneInfo | None:
    from runyard.domain.schedules.time_zones import zone

    return None if name is None else zone(name)


@schedule.command("delete", example="runyard deployment schedule delete daily-etl nightly")
def delete(
    reference: Annotated[str, argument("DEPLOYMENT")],
    keys: Annotated[list[str], argument("SCHEDULE")],
    yes: Annotated[bool, option("-y", "--yes", "--accept-yes", help="Do not ask.")] = False,
) -> None:
    """Delete schedules, named by id or slug; their runs that are already due stay."""
    client = connect()
    found = find_deployment(client, reference)
    _delete(client, found, [one for key in keys for one in find_schedules(found, key)], yes)


@schedule.command("clear", example="runyard deployment schedule clear daily-etl")
def clear(
    reference: Annotated[str, argument("DEPLOYMENT")],
    yes: Annotated[bool, option("-y", "--yes", "--accept-yes", help="Do not ask.")] = False,
) -> None:
    """Delete all schedules of a deployment."""
    client = connect()
    found = find_deployment(client, reference)
    if not found.schedules:
        out.say(f"Deployment '{found.name}' has no schedules.")
        return
    _delete(client, found, list(found.schedules), yes)


def _delete(client: Client, found: Any, gone: list[Any], yes: bool) -> None:
    from runyard.operations.schedules import schedules

    out.confirm(
        f"Delete {', '.join(describe_schedule(each.schedule) for each in gone)} from '{found.name}'?", yes
    )
    for each in gone:
        client.call(schedules.delete_deployment_schedule, found.id, each.id)
        out.done(f"Deleted schedule {each.id} ({describe_schedule(each.schedule)}).")
    declared = [each for each in gone if each.owner]
    if declared:
        out.progress("It is declared in a file; the next deploy of that file creates it again.")


@schedule.command("pause", example="runyard deployment schedule pause my-etl-flow/daily-etl --all")
def pause(
    reference: Annotated[str, argument("DEPLOYMENT")],
    key: Annotated[str | None, argument("SCHEDULE")] = None,
    everything: Annotated[bool, option("--all", help="All schedules of the deployment.")] = False,
) -> None:
    """Pause a schedule, named by id or slug: it creates no more runs."""
    _set_active(reference, key, everything, False)


@schedule.command("resume", example="runyard deployment schedule resume my-etl-flow/daily-etl --all")
def resume(
    reference: Annotated[str, argument("DEPLOYMENT")],
    key: Annotated[str | None, argument("SCHEDULE")] = None,
    everything: Annotated[bool, option("--all", help="All schedules of the deployment.")] = False,
) -> None:
    """Resume a paused schedule, named by id or slug: it creates runs again."""
    _set_active(reference, key, everything, True)
