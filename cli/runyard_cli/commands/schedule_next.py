"""`runyard schedule next`: the next times of schedules, and where clocks change."""

from __future__ import annotations

import heapq
import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from runyard_cli.shared import output as out
from runyard_cli.shared import values
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import connect
from runyard_cli.shared.coercion import whole_number
from runyard_cli.shared.lookup import find_deployment
from runyard_cli.shared.options import Output, argument, option
from runyard_cli.shared.schedule_texts import describe_schedule, zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

schedule = App(
    "schedule",
    "See the next times of schedules: those of a deployment, or one given by flags.",
    "runyard schedule next my-etl-flow/daily-etl",
)


class _Source(NamedTuple):
    """A schedule to look at: its specification and what it is called."""

    spec: dict[str, Any]
    name: str


next_ = App()


@next_.command(
    "next",
    example="""runyard schedule next my-etl-flow/daily-etl -n 20
        runyard deployment schedule next daily-etl
        runyard schedule next --cron '30 2 * * *' --timezone Europe/Berlin --after 2026-10-24""",
)
def _next_(
    reference: Annotated[str | None, argument("DEPLOYMENT")] = None,
    count: Annotated[
        int,
        option(
            "-n", "--count", metavar="N", parser=whole_number(1, 100_000), help="How many.", show_default=True
        ),
    ] = 10,
    tz: Annotated[
        str | None, option("--tz", help="The time zone to show; by default each schedule's own.")
    ] = None,
    after: Annotated[
        str | None, option("--after", help="Start from this time instead of now.", metavar="TIME")
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
    output: Output = None,
) -> None:
    """Show the next times of a deployment's schedules, or of a schedule given by flags.

    Times are those of the schedule's own time zone.
    Times at which the clocks of the schedule's time zone change are marked.
    """
    given = {"cron": cron, "interval": values.duration(interval).total_seconds() if interval else None}
    spec = {key: value for key, value in {**given, "rrule": rrule}.items() if value is not None}
    if (reference is None) == (not spec) or len(spec) > 1:
        raise WrongUsage("Name a deployment, or give one of --cron, --interval and --rrule.")
    if timezone and reference:
        raise WrongUsage("--timezone goes with --cron, --interval and --rrule; did you mean --tz?")
    if tz:
        _zone(tz)
    if reference is None:
        sources = [_Source({**spec, **({} if timezone is None else {"timezone": timezone})}, "")]
    else:
        sources = _of_deployment(reference, everything)
    start = values.moment(after, zone=_zone(tz or _only_zone(sources))) if after else datetime.now(UTC)
    from runyard.domain.schedules.clock_changes import note_of

    _warn(sources, start)
    rows: list[dict[str, Any]] = []
    for instant, source in itertools.islice(_merged(sources, start), count):
        local = instant.astimezone(_zone(tz or zone_of(source.spec)))
        rows.append(
            {
                "local": local.isoformat(),
                "utc": instant.isoformat().replace("+00:00", "Z"),
                "timezone": tz or zone_of(source.spec),
                "schedule": source.name,
                "note": note_of(instant, zone_of(source.spec)),
            }
        )
    if output:
        out.print_data(rows, output)
        return
    several = len(sources) > 1
    zones = {row["timezone"] for row in rows}
    where = f" ({zones.pop()})" if len(zones) == 1 else ""
    columns = [f"Local{where}", "UTC", "When", *(["Schedule"] if several else []), "Note"]
    cells = [
        [
            _short(datetime.fromisoformat(row["local"])),
            row["utc"],
            out.ago(datetime.fromisoformat(row["utc"])),
            *([row["schedule"]] if several else []),
            row["note"],
        ]
        for row in rows
    ]
    if sources:
        out.table("Next times", columns, cells, "The schedule has ended.")


schedule.add_typer(next_)


def _of_deployment(reference: str, everything: bool) -> list[_Source]:
    found = find_deployment(connect(), reference)
    chosen = [each for each in found.schedules if each.active or everything]
    if found.paused:
        out.progress(f"Deployment '{found.name}' is paused: these create no runs until it is resumed.")
    if not chosen:
        paused = len(found.schedules) - len(chosen)
        hint = f" that is active ({paused} paused; see them with --all)" if paused else ""
        out.progress(f"Deployment '{found.name}' has no schedule{hint}.")
    return [
        _Source(each.schedule.model_dump(mode="json"), each.slug or describe_schedule(each.schedule))
        for each in chosen
    ]


def _merged(sources: list[_Source], start: datetime) -> Iterator[tuple[datetime, _Source]]:
    from runyard.domain.schedules.instants import instants

    def of(source: _Source) -> Iterator[tuple[datetime, _Source]]:
        return ((instant, source) for instant in instants(source.spec, start))

    return heapq.merge(*map(of, sources), key=lambda pair: pair[0])


def _only_zone(sources: list[_Source]) -> str:
    """The zone of all schedules, or UTC where they have several."""
    zones = {zone_of(source.spec) for source in sources}
    return zones.pop() if len(zones) == 1 else "UTC"


def _zone(name: str) -> ZoneInfo:
    from runyard.domain.schedules.time_zones import zone

    return zone(name)


def _warn(sources: list[_Source], start: datetime) -> None:
    from runyard.domain.schedules.schedule_warnings import warnings

    for source in sources:
        for warning in warnings(source.spec, start):
            out.progress(f"{source.name}: {warning}" if source.name else warning)


def _short(local: datetime) -> str:
    return local.strftime("%a %Y-%m-%d %H:%M:%S %z")
