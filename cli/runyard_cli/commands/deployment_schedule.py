"""`runyard deployment schedule`, and the commands that it shares with `runyard schedule`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.commands.schedule_list import ls
from runyard_cli.commands.schedule_next import next_
from runyard_cli.commands.schedule_pause import pausing
from runyard_cli.shared import output as out
from runyard_cli.shared import times, values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.coercion import whole_number
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lookup import find_deployment, find_schedules
from runyard_cli.shared.options import DryRun, Output, argument, many, option
from runyard_cli.shared.schedule_texts import describe_schedule, expression, next_lines, zone_of

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from runyard.client import Client

_MOST_SKIPS = 10
_Yes = Annotated[bool, option("-y", "--yes", "--accept-yes", help="Do not ask.")]

changing = App()


@changing.command(
    "inspect",
    example="""runyard schedule inspect daily-etl nightly
        runyard deployment schedule inspect daily-etl nightly""",
)
def inspect(
    reference: Annotated[str, argument("DEPLOYMENT")],
    key: Annotated[str, argument("SCHEDULE")],
    output: Output = None,
) -> None:
    """Show one schedule, named by id or slug: its next times, and what it skipped lately."""
    from runyard.operations.schedules import schedules

    client = connect()
    found = find_deployment(client, reference)
    (one,) = find_schedules(found, key)
    if output:
        out.print_data(one, output)
        return
    skips = [
        each for each in client.call(schedules.read_schedule_skips, found.id) if each.schedule_id == one.id
    ]
    spec = one.schedule.model_dump(mode="json")
    zone = zone_of(spec)
    name = f"{found.flow_name}/{found.name}"
    sections = [
        Section(
            "When",
            [
                ("Due", describe_schedule(one.schedule)),
                ("Expression", expression(spec)),
                ("Last", times.both(one.last_fired, zone)),
                ("Note", "its deployment is paused, so it creates no runs" if found.paused else None),
            ],
        ),
        Section("Next runs", lines=next_lines([one], 5) if one.active and not found.paused else []),
        Section(
            "Rules",
            [
                ("Missed times", _catchup(one)),
                ("Previous run running", _OVERLAP.get(one.overlap, one.overlap)),
                ("Declared by", one.owner or "an operator"),
                ("ID", one.id),
            ],
        ),
        Section("Parameters", data=one.parameters),
        Section("Skipped lately", lines=[_skip(each, zone) for each in skips[:_MOST_SKIPS]]),
    ]
    title = f"Schedule {one.slug or one.id} of {name}"
    show_details(title, sections, "Active" if one.active else "Paused")
    if not one.active:
        out.hint(f"Resume it with: {command_of('runyard schedule resume', name, one.slug or one.id)}")


_OVERLAP = {
    "allow": "a new run starts beside it",
    "skip": "no new run",
    "queue": "the new run waits for it",
    "replace": "it is cancelled for the new run",
}


def _catchup(schedule: Any) -> str:
    if schedule.catchup == "all":
        return f"a run for each, at most {schedule.catchup_limit}"
    return {"skip": "no run", "latest": "one run for the latest"}.get(schedule.catchup, schedule.catchup)


def _skip(skip: Any, zone: str) -> str:
    more = f" and {skip.count - 1} more until {times.absolute(skip.until, zone)}" if skip.count > 1 else ""
    return f"{times.absolute(skip.instant, zone)}{more}: {skip.reason}"


@changing.command(
    "create",
    example="""runyard schedule create daily-etl --cron '0 6 * * *' --timezone Europe/Berlin
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
    yes: _Yes = False,
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
    zone = zone_of(made.schedule.model_dump(mode="json"))
    out.done(f"Created schedule '{made.slug or made.id}': {describe_schedule(made.schedule)}.")
    name = f"{found.flow_name}/{found.name}"
    if found.paused:
        command = command_of("runyard deployment resume", name)
        out.progress(f"Deployment '{name}' is paused, so it creates no runs; resume it: {command}")
    elif made.next_due:
        out.say(f"It is due next at {times.both(made.next_due, zone)}.")
    if not made.active:
        out.hint(f"Start it with: {command_of('runyard schedule resume', name, made.slug or made.id)}")
    else:
        out.hint(f"See its times: {command_of('runyard schedule next', name)}")


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
        timing["interval"] = values.duration(options["interval"], "--interval").total_seconds()
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


@changing.command(
    "delete",
    example="""runyard schedule delete daily-etl nightly
        runyard deployment schedule delete daily-etl nightly""",
)
def delete(
    reference: Annotated[str, argument("DEPLOYMENT")],
    keys: Annotated[list[str], argument("SCHEDULE")],
    dry_run: DryRun = False,
    yes: _Yes = False,
    output: Output = None,
) -> None:
    """Delete schedules, named by id or slug; their runs that are already due stay."""
    client = connect()
    found = find_deployment(client, reference)
    chosen = {one.id: one for key in keys for one in find_schedules(found, key)}
    _delete(client, found, list(chosen.values()), dry_run, yes, output)


@changing.command(
    "clear",
    example="""runyard schedule clear daily-etl
        runyard deployment schedule clear daily-etl""",
)
def clear(
    reference: Annotated[str, argument("DEPLOYMENT")],
    dry_run: DryRun = False,
    yes: _Yes = False,
    output: Output = None,
) -> None:
    """Delete all schedules of a deployment."""
    client = connect()
    found = find_deployment(client, reference)
    _delete(client, found, list(found.schedules), dry_run, yes, output)


def _delete(
    client: Client, found: Any, gone: list[Any], dry_run: bool, yes: bool, output: str | None
) -> None:
    from runyard.operations.schedules import schedules

    name = f"{found.flow_name}/{found.name}"
    texts = [f"'{each.slug or each.id}': {describe_schedule(each.schedule)}" for each in gone]
    if gone and not dry_run:
        out.confirm(f"Delete {counted(len(gone), 'schedule')} of '{name}' ({'; '.join(texts)})?", yes)
        for each in gone:
            client.call(schedules.delete_deployment_schedule, found.id, each.id)
    if output:
        out.print_data(gone, output)
        return
    if not gone:
        out.say(f"Deployment '{name}' has no schedules.")
        return
    for text in texts:
        if dry_run:
            out.say(f"Would delete schedule {text}.")
        else:
            out.done(f"Deleted schedule {text}.")
    if any(each.owner for each in gone):
        out.progress(
            f"{'It is' if len(gone) == 1 else 'They are'} declared in a file; the next deploy of that file "
            f"creates {'it' if len(gone) == 1 else 'them'} again."
        )


schedule = App(
    "schedule",
    help="See, add, pause and delete the schedules of a deployment. A pause survives a redeploy.",
    example="runyard deployment schedule ls my-etl-flow/daily-etl",
)
schedule.add_typer(ls)
schedule.add_typer(next_)
schedule.add_typer(changing)
schedule.add_typer(pausing)
