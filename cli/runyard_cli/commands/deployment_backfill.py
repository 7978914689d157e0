"""`runyard deployment backfill`: runs for the past times of a schedule."""

from __future__ import annotations

import heapq
import itertools
import sys
from datetime import UTC, datetime
from string import Formatter
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from runyard.base.quoting import command_of, quoted
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared import times, values
from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect
from runyard_cli.shared.lists import Column, Listing, Page, View, show_list
from runyard_cli.shared.lookup import find_deployment, find_schedules
from runyard_cli.shared.options import Output, Yes, argument, many, option, whole
from runyard_cli.shared.schedule_texts import zone_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from zoneinfo import ZoneInfo

    from runyard.client import Client

_SHOWN = 20


backfill = App()


@backfill.command(
    "backfill",
    example="""runyard deployment backfill my-etl-flow/daily-etl --from 2026-01-01 --to 2026-02-01 --plan
        runyard deployment backfill daily-etl --from 30d --param-template date={instant:%Y-%m-%d}""",
)
def _backfill(
    context: typer.Context,
    reference: Annotated[str, argument("DEPLOYMENT")],
    start: Annotated[
        str,
        option(
            "--from",
            help="From this time on; 30d: 30 days ago. Without an offset, a time of the schedule's zone.",
            metavar="TIME",
        ),
    ],
    keys: Annotated[list[str], many("--schedule", help="Only this schedule, by id or slug.")],
    param_template: Annotated[
        list[str],
        many(
            "--param-template",
            help="A parameter of each run; {instant:%Y-%m-%d} is its scheduled time in the schedule's zone.",
            metavar="KEY=TEMPLATE",
        ),
    ],
    param: Annotated[list[str], many("-p", "--param", help="A parameter of all runs.", metavar="KEY=VALUE")],
    tag: Annotated[list[str], many("-t", "--tag", help="A tag of the runs, besides `backfill`.")],
    job_variable: Annotated[
        list[str], many("-jv", "--job-variable", help="Overrides a job variable.", metavar="KEY=VALUE")
    ],
    end: Annotated[
        str | None, option("--to", help="End of the range (exclusive); by default now.", metavar="TIME")
    ] = None,
    reverse: Annotated[bool, option("--reverse", help="The newest times first.")] = False,
    limit: Annotated[
        int | None, whole("-l", "--limit", help="Create at most so many runs; call again for more.", least=1)
    ] = None,
    redo_failed: Annotated[
        bool, option("--redo-failed", help="Also create a run where the run of that time failed or crashed.")
    ] = False,
    plan: Annotated[
        bool, option("--plan", "--dry-run", help="Only show the times; exit code 2 if any would get a run.")
    ] = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Create a run for each past time at which the deployment's schedules were due.

    Times that already have a run are left out, so that it can be repeated after an interruption.
    The runs start as the deployment's concurrency limit allows, after those that are already waiting.
    """
    values.refuse_templates(param)
    client = connect()
    found = find_deployment(client, reference)
    given = values.parameters(param, None, found.parameter_openapi_schema)
    spans = _spans(_schedules(found, keys), start, end)
    wanted = (
        {
            "schedule_id": span.schedule.id,
            "instant": instant,
            "parameters": {**given, **_filled(param_template, instant, span, found)},
        }
        for instant, span in _instants(spans, reverse)
    )
    common = {
        "tags": list(tag),
        "job_variables": values.job_variables(job_variable) or None,
        "redo_failed": redo_failed,
    }
    looked = _look(client, found.id, wanted, common, limit)
    new = [each for each, run in looked.runs if run.created]
    if plan:
        _show_plan(looked, spans, output)
        context.exit(2 if new else 0)
    name = f"{found.flow_name}/{found.name}"
    left = " (more are left for the next call)" if looked.more else ""
    if new and not yes and out.at_keyboard():
        _say_spans(spans)
        out.confirm(
            f"Create {counted(len(new), 'run')} of '{name}'{left}?", yes, refused="Nothing was created."
        )
    made = _send(client, found.id, new, common, dry_run=False)
    if output:
        out.print_data(made, output)
        return
    _say_spans(spans)
    created = sum(run.created for run in made)
    out.done(
        f"Created {counted(created, 'run')} of '{name}'; "
        f"{len(looked.runs) - len(new)} of {len(looked.runs)} scheduled times already had a run{left}."
    )
    if created:
        out.hint(f"See them: {command_of('runyard flow-run ls', options=f'--deployment {quoted(name)}')}")


class _Span(NamedTuple):
    """A schedule with the time range that is filled, and the zone in which it is shown."""

    schedule: Any
    first: datetime
    last: datetime
    zone: ZoneInfo


class _Looked(NamedTuple):
    """Instants with what there is of them, and whether there are more that were not looked at."""

    runs: list[tuple[dict[str, Any], Any]]
    more: bool


def _spans(schedules: list[Any], start: str, end: str | None) -> list[_Span]:
    """The time range of each schedule; times without an offset are those of its zone."""
    from runyard.base.errors import InvalidInput
    from runyard.domain.schedules.time_zones import zone

    now = datetime.now(UTC)
    spans = []
    for schedule in schedules:
        where = zone(zone_of(schedule.schedule.model_dump(mode="json")))
        first = values.past(start, now, where)
        last = values.past(end, now, where) if end else now
        spans.append(_Span(schedule, first, min(last, now), where))
        if first >= spans[-1].last:
            raise InvalidInput(
                f"--from ({_shown(first, where)}) must be earlier than --to ({_shown(spans[-1].last, where)})"
            )
        if last > now and len(spans) == 1:
            out.progress("A backfill ends now at the latest: --to was set to now.")
    return spans


def _shown(moment: datetime, where: ZoneInfo) -> str:
    return times.absolute(moment, where)


def _say_spans(spans: list[_Span]) -> None:
    for line in dict.fromkeys(
        f"From {_shown(span.first, span.zone)} until before {_shown(span.last, span.zone)}." for span in spans
    ):
        out.say(line)


def _schedules(found: Any, keys: list[str]) -> list[Any]:
    from runyard.base.errors import NotFound

    if not found.schedules:
        raise NotFound(
            f"deployment '{found.name}' has no schedule to fill; add one: "
            + command_of("runyard deployment schedule create", found.name, options="--cron '0 6 * * *'")
        )
    if not keys:
        return list(found.schedules)
    return [each for key in keys for each in find_schedules(found, key)]


def _instants(spans: list[_Span], reverse: bool) -> Iterator[tuple[datetime, _Span]]:
    """The instants of several schedules, the earliest first, or the latest."""
    from runyard.domain.schedules.instants import between

    def of(span: _Span) -> Iterator[tuple[datetime, _Span]]:
        spec = span.schedule.schedule.model_dump(mode="json")
        return ((instant, span) for instant in between(spec, span.first, span.last, reverse))

    return heapq.merge(*map(of, spans), key=lambda pair: pair[0], reverse=reverse)


def _look(
    client: Client,
    deployment_id: str,
    wanted: Iterator[dict[str, Any]],
    common: dict[str, Any],
    limit: int | None,
) -> _Looked:
    """Look which instants have no run yet, until there are `limit` of them."""
    from runyard.operations.scheduler.backfills import MOST_RUNS

    looked: list[tuple[dict[str, Any], Any]] = []
    left = limit
    while left is None or left > 0:
        batch = list(itertools.islice(wanted, MOST_RUNS if left is None else min(MOST_RUNS, max(left, 50))))
        if not batch:
            return _Looked(looked, False)
        for each, run in zip(batch, _send(client, deployment_id, batch, common, dry_run=True), strict=True):
            if left == 0:
                return _Looked(looked, True)
            looked.append((each, run))
            if left is not None:
                left -= run.created
    return _Looked(looked, next(wanted, None) is not None)


def _filled(templates: list[str], instant: datetime, span: _Span, found: Any) -> dict[str, Any]:
    """The parameters of one instant."""
    if not templates:
        return {}
    from runyard.base.errors import InvalidInput

    local = instant.astimezone(span.zone)
    texts = []
    for template in templates:
        key, text = values.pair(template, "--param-template")
        try:
            texts.append(f"{key}={text.format(instant=local)}")
        except (KeyError, IndexError, ValueError, AttributeError) as error:
            raise InvalidInput(f"--param-template {template!r} cannot be filled in: {error!r}") from None
        if not any(field for _, field, _, _ in Formatter().parse(text)):
            raise InvalidInput(
                f"--param-template {template!r} contains no {{instant}}; write {key}={{instant:%Y-%m-%d}}, "
                f"or --param {template} for all runs"
            )
    return values.parameters(list(texts), None, found.parameter_openapi_schema)


def _send(
    client: Client, deployment_id: str, wanted: list[dict[str, Any]], common: dict[str, Any], dry_run: bool
) -> list[Any]:
    """Send the runs in batches, with progress on a terminal."""
    from runyard.operations.scheduler.backfills import MOST_RUNS, backfill_deployment

    made: list[Any] = []
    shown = not dry_run and len(wanted) > MOST_RUNS and sys.stderr.isatty()
    with typer.progressbar(
        length=len(wanted), label="Creating runs", file=sys.stderr, hidden=not shown
    ) as progress:
        for at in range(0, len(wanted), MOST_RUNS):
            batch = wanted[at : at + MOST_RUNS]
            request = body(backfill_deployment, runs=batch, dry_run=dry_run, **common)
            answer: list[Any] = client.call(backfill_deployment, deployment_id, body=request)
            made += answer
            progress.update(len(batch))
    return made


def _show_plan(looked: _Looked, spans: list[_Span], output: str | None) -> None:
    zones = {span.schedule.id: span.zone for span in spans}
    rows = [
        {
            "instant": run.instant,
            "local": run.instant.astimezone(zones[run.schedule_id]).isoformat(),
            "timezone": zones[run.schedule_id].key,
            "schedule_id": run.schedule_id,
            "parameters": each["parameters"],
            "action": "redo" if run.redone else "create" if run.created else "exists",
        }
        for each, run in looked.runs
    ]
    if output:
        out.print_data([{**row, "instant": row["instant"].isoformat()} for row in rows], output)
        return
    _say_spans(spans)
    shown = rows[:_SHOWN] if out.on_terminal() else rows
    columns = [
        Column("Time", lambda row: row["instant"], "moment", zone=lambda row: row["timezone"]),
        Column("Run", lambda row: row["action"]),
        Column("Parameters", lambda row: out.json_text(row["parameters"]) if row["parameters"] else None),
    ]
    empty = "No scheduled time lies between --from and --to."
    listing = Listing("Backfill", columns, empty, more="-o json shows all.")
    show_list(listing, lambda: Page(shown, len(rows)), View())
    new = sum(row["action"] != "exists" for row in rows)
    more = "; later times were not checked" if looked.more else ""
    out.say(f"{new} to create, {len(rows) - new} exist{more}.")
