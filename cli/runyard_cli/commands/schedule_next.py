"""`runyard schedule next`: what is due next, of all deployments or some, and where clocks change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.coercion import whole_number
from runyard_cli.shared.lists import Column, Listing, Page, View, show_list
from runyard_cli.shared.lookup import deployment_filters, find_deployment
from runyard_cli.shared.next_times import NextTime, of_deployments, of_spec
from runyard_cli.shared.options import many, option, words
from runyard_cli.shared.schedule_texts import zone_of
from runyard_cli.shared.times import relative

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from zoneinfo import ZoneInfo

    from runyard.client import Client

_USUAL, _MOST_UNTIL = 10, 1_000

next_ = App()


@next_.command(
    "next",
    example="""runyard schedule next --until 'tomorrow 18:00'
        runyard deployment schedule next my-etl-flow/daily-etl -n 20
        runyard schedule next --cron '30 2 * * *' --timezone Europe/Berlin --after 2026-10-24""",
)
def _next_(
    references: Annotated[list[str], words("DEPLOYMENT")],
    tag: Annotated[list[str], many("-t", "--tag", help="Only deployments with this tag.")],
    count: Annotated[
        int | None,
        option(
            "-n",
            "--count",
            metavar="N",
            parser=whole_number(1, 100_000),
            help="How many; by default 10, with --until 1000.",
        ),
    ] = None,
    until: Annotated[
        str | None, option("--until", help="End of the range (exclusive): a time, tomorrow.", metavar="TIME")
    ] = None,
    tz: Annotated[
        str | None, option("--tz", help="The time zone to show; by default each schedule's own.")
    ] = None,
    after: Annotated[
        str | None, option("--after", help="Start from this time instead of now.", metavar="TIME")
    ] = None,
    pool: Annotated[
        str | None, option("-p", "--pool", help="Only deployments of this work pool.", metavar="POOL")
    ] = None,
    cron: Annotated[str | None, option("--cron", help="A cron expression instead of a deployment.")] = None,
    interval: Annotated[
        str | None, option("--interval", help="An interval instead of a deployment.", metavar="DURATION")
    ] = None,
    rrule: Annotated[str | None, option("--rrule", help="A recurrence rule instead of a deployment.")] = None,
    timezone: Annotated[
        str | None, option("--timezone", help="The time zone of --cron, --interval and --rrule.")
    ] = None,
    everything: Annotated[bool, option("--all", help="Show paused schedules too.")] = False,
    output: Annotated[
        Literal["json", "yaml", "wide"] | None,
        option("-o", "--output", help="Print JSON, YAML or all columns."),
    ] = None,
) -> None:
    """Show what is due next: of all deployments, of those named, or of a schedule given by flags.

    Times are those of the schedule's own time zone. Times at which its clocks change are marked.
    """
    spec = _spec(cron, interval, rrule)
    if len(spec) > 1 or (spec and (references or tag or pool)):
        quote = " A cron expression is one word: --cron '0 6 * * *'" if cron and cron.isdecimal() else ""
        raise WrongUsage(f"Name deployments, or give one of --cron, --interval and --rrule.{quote}")
    if timezone and not spec:
        raise WrongUsage("--timezone goes with --cron, --interval and --rrule; did you mean --tz?")
    shown_in = _zone(tz) if tz else None
    most = count or (_MOST_UNTIL if until else _USUAL)
    if spec:
        spec |= {"timezone": timezone} if timezone else {}
        start, end = _range(after, until, shown_in or _zone(zone_of(spec)))
        _warn(spec, "", start)
        rows = of_spec(spec, start, end, most + 1, tz)
        _show(rows, most, end, "The schedule has ended.", output, None)
        return
    client = connect()
    found = [find_deployment(client, reference) for reference in references]
    start, end = _range(after, until, shown_in or _only_zone(found))
    for each in found:
        _tell(each, everything, start)
    filters = deployment_filters(client, tag, pool, [each.id for each in found])
    if found and not everything:
        filters["schedules"] = {"active": {"eq_": True}}
    rows = of_deployments(client, start, end, most + 1, tz, paused=everything or bool(found), **filters)
    _show(rows, most, end, "" if rows else _nothing(client, found, filters, end), output, found)


def _spec(cron: str | None, interval: str | None, rrule: str | None) -> dict[str, Any]:
    length = values.duration(interval, "--interval").total_seconds() if interval else None
    given = {"cron": cron, "interval": length, "rrule": rrule}
    return {key: value for key, value in given.items() if value is not None}


def _range(after: str | None, until: str | None, zone: ZoneInfo | None) -> tuple[datetime, datetime | None]:
    """The time from which on, and until before which, times are shown."""
    from runyard.base import clock
    from runyard.base.errors import InvalidInput

    now = clock.now()
    start = values.moment(after, now, zone) if after else now
    end = values.moment(until, start, zone) if until else None
    if end is not None and end <= start:
        from runyard_cli.shared.times import absolute

        raise InvalidInput(
            f"--until ({absolute(end, zone)}) must be later than {'--after' if after else 'now'} "
            f"({absolute(start, zone)})"
        )
    return start, end


def _tell(found: Any, everything: bool, start: datetime) -> None:
    """Say that a named deployment is paused or has no schedule, and warn of schedules that mislead."""
    name = f"{found.flow_name}/{found.name}"
    chosen = [each for each in found.schedules if each.active or everything]
    if found.paused and chosen:
        out.progress(f"Deployment '{name}' is paused: these create no runs until it is resumed.")
    if not chosen:
        paused = len(found.schedules)
        hint = f" that is active ({paused} paused; see them with --all)" if paused else ""
        out.progress(f"Deployment '{name}' has no schedule{hint}.")
    for each in chosen:
        _warn(each.schedule.model_dump(mode="json"), each.slug or "", start)


def _warn(spec: dict[str, Any], name: str, start: datetime) -> None:
    from runyard.domain.schedules.schedule_warnings import warnings

    for warning in warnings(spec, start):
        out.progress(f"{name}: {warning}" if name else warning)


def _only_zone(found: list[Any]) -> ZoneInfo | None:
    """The zone of all schedules of some deployments; None, for the user's, where they have several."""
    zones = {zone_of(each.schedule.model_dump(mode="json")) for one in found for each in one.schedules}
    return _zone(zones.pop()) if len(zones) == 1 else None


def _zone(name: str) -> ZoneInfo:
    from runyard.domain.schedules.time_zones import zone

    return zone(name)


def _nothing(client: Client, found: list[Any], filters: dict[str, Any], end: datetime | None) -> str:
    """Why nothing is due, with the command that helps."""
    if found:
        return "" if not any(each.schedules for each in found) else "No scheduled time is left."
    from runyard.operations.schedules.all_schedules import count_schedules

    count = client.call(count_schedules, body=body(count_schedules, **filters))
    if not count:
        if filters:
            return "No schedules match; see all: runyard schedule ls"
        return (
            "No schedules; add one: "
            "runyard deployment schedule create DEPLOYMENT --cron '0 6 * * *' --timezone Europe/Berlin"
        )
    when = " in this time" if end else ""
    which = "the only schedule" if count == 1 else f"all {count} schedules"
    return f"Nothing is due{when}; see {which}: runyard schedule ls"


def _show(
    rows: list[NextTime],
    most: int,
    end: datetime | None,
    empty: str,
    output: str | None,
    found: Sequence[Any] | None,
) -> None:
    """Print times.

    Args:
        found: the deployments that were named; None for a schedule given by flags. What is clear from them is
            no column on a terminal.
    """
    shown = rows[:most]
    total = None if end is not None and len(rows) > most else len(shown)
    columns = [
        Column("Time", lambda row: row.instant, "moment", zone=lambda row: row.timezone),
        Column("When", lambda row: relative(row.instant), "short"),
    ]
    # A pipe gets the same columns always.
    compact = out.on_terminal()
    one_deployment = found is None or len(found) == 1
    one_schedule = found is None or (len(found) == 1 and len(found[0].schedules) <= 1)
    no_note = not any(row.note for row in shown)
    columns += [
        Column("Deployment", lambda row: row.deployment, "name", wide=compact and one_deployment),
        Column("Schedule", lambda row: row.schedule, wide=compact and one_schedule),
        Column("Note", lambda row: row.note, wide=compact and no_note),
    ]
    columns.append(Column("UTC", lambda row: row.instant, "moment", wide=True, zone=lambda _: "UTC"))
    columns.append(Column("Zone", lambda row: row.timezone, wide=True))
    if empty or output or shown:
        show_list(
            Listing("Next times", columns, empty, more="-n shows more."),
            lambda: Page(shown, total),
            View(output),
        )
