"""`runyard schedule ls`: the schedules of all deployments, or of some."""

from __future__ import annotations

from typing import Annotated, Any

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.lists import Column, Listing, Page, View, show_list
from runyard_cli.shared.lookup import deployment_filters, find_deployment
from runyard_cli.shared.options import (
    Columns,
    Limit,
    ListOutput,
    Sort,
    Watch,
    many,
    option,
    words,
)
from runyard_cli.shared.schedule_texts import describe_schedule, expression

ls = App()


@ls.command(
    "ls",
    example="""runyard schedule ls
        runyard schedule ls --paused --sort deployment
        runyard deployment schedule ls my-etl-flow/daily-etl""",
)
def _ls(
    references: Annotated[list[str], words("DEPLOYMENT")],
    tag: Annotated[list[str], many("-t", "--tag", help="Only deployments with this tag.")],
    pool: Annotated[
        str | None, option("-p", "--pool", help="Only deployments of this work pool.", metavar="POOL")
    ] = None,
    active: Annotated[
        bool | None, option("--active/--paused", help="Only schedules that are active, or paused.")
    ] = None,
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List schedules, of all deployments or of those named; the one that is due next comes first."""
    client = connect()
    found = [find_deployment(client, reference) for reference in references]
    filters = deployment_filters(client, tag, pool, [each.id for each in found])
    if active is not None:
        filters["schedules"] = {"active": {"eq_": active}}

    def read() -> Page:
        from runyard.operations.schedules.all_schedules import count_schedules, filter_schedules

        rows = list(listed(client, filter_schedules, limit=limit or None, **filters))
        total = len(rows)
        if limit and total == limit:
            total = client.call(count_schedules, body=body(count_schedules, **filters))
        return Page(rows, total)

    show_list(
        _listing(found, bool(filters), output == "wide"), read, View(output, columns, sort, watch), client
    )


def deployment_of(schedule: Any) -> str:
    """`flow/name` of the deployment of a listed schedule."""
    return f"{schedule.flow_name}/{schedule.deployment_name}"


def _paused_by(schedule: Any) -> str | None:
    """What keeps a schedule from creating runs."""
    if not schedule.active:
        return "schedule"
    return "deployment" if schedule.deployment_paused else None


def _zone(schedule: Any) -> str:
    return getattr(schedule.schedule, "timezone", None) or "UTC"


def _listing(found: list[Any], filtered: bool, wide: bool) -> Listing:
    """The columns, with ids where the schedules of one deployment are to be told apart."""
    if found:
        empty = "No schedules; add one: runyard deployment schedule create DEPLOYMENT --cron '0 6 * * *'"
    elif filtered:
        empty = "No schedules match; see all: runyard schedule ls"
    else:
        empty = "No schedules; add one to a deployment: runyard schedule create DEPLOYMENT --cron '0 6 * * *'"
    compact = out.on_terminal()  # a pipe gets the same columns always
    short = compact and not wide
    return Listing(
        "Schedules",
        [
            Column("Deployment", deployment_of, "name", wide=compact and len(found) == 1),
            Column("Schedule", lambda each: describe_schedule(each.schedule, short)),
            Column("Next", lambda each: each.next_due, "time", zone=_zone),
            Column("State", lambda each: "Paused" if _paused_by(each) else "Active", "state"),
            Column("Slug", lambda each: each.slug),
            Column("Paused by", _paused_by, wide=True),
            Column("Last", lambda each: each.last_fired, "time", wide=True, zone=_zone),
            Column("Overlap", lambda each: each.overlap, wide=True),
            Column("Catchup", lambda each: each.catchup, wide=True),
            Column("Declared by", lambda each: each.owner, wide=True),
            Column(
                "Expression",
                lambda each: expression(each.schedule.model_dump(mode="json")),
                wide=True,
            ),
            Column("ID", lambda each: each.id, "id", wide=compact and len(found) != 1),
        ],
        empty,
    )


def choose(
    found: list[Any], everything: bool, tags: list[str], pool: str | None, key: str | None = None
) -> None:
    """Refuse a command that says neither which schedules it is about, nor that it is about all.

    Raises:
        WrongUsage: nothing is chosen, or too much.
    """
    if not (found or everything or tags or pool):
        raise WrongUsage("Name a deployment and a schedule, or give --all, --tag or --pool.")
    if key is not None and (everything or tags or pool):
        raise WrongUsage("Name one schedule, or give --all for all schedules of the deployment.")
