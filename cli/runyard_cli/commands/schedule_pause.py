"""`runyard schedule pause` and `resume`: one schedule, those of a deployment, or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.commands.schedule_list import choose, deployment_of
from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.changes import change_each, names
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.lookup import deployment_filters, find_deployment, find_schedules
from runyard_cli.shared.options import DryRun, Output, Yes, argument, many, option
from runyard_cli.shared.schedule_texts import describe_schedule, zone_of

if TYPE_CHECKING:
    from runyard.client import Client

_Reference = Annotated[str | None, argument("DEPLOYMENT")]
_Key = Annotated[str | None, argument("SCHEDULE")]
_Tags = Annotated[list[str], many("-t", "--tag", help="All schedules of deployments with this tag.")]
_Pool = Annotated[
    str | None, option("-p", "--pool", help="All schedules of deployments of this pool.", metavar="POOL")
]
_All = Annotated[bool, option("--all", help="All schedules, of the deployment or of all deployments.")]

pausing = App()


@pausing.command(
    "pause",
    example="""runyard schedule pause my-etl-flow/daily-etl nightly
        runyard deployment schedule pause my-etl-flow/daily-etl --all
        runyard schedule pause --tag prod --dry-run""",
)
def _pause(
    tag: _Tags,
    reference: _Reference = None,
    key: _Key = None,
    everything: _All = False,
    pool: _Pool = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Pause schedules: they create no more runs. A schedule is named by id or slug.

    The pause survives a redeploy. Runs that a schedule created before and that have not started are deleted.
    """
    _set_active(False, reference, key, everything, tag, pool, dry_run, yes, output)


@pausing.command(
    "resume",
    example="""runyard schedule resume my-etl-flow/daily-etl nightly
        runyard deployment schedule resume my-etl-flow/daily-etl --all
        runyard schedule resume --all""",
)
def _resume(
    tag: _Tags,
    reference: _Reference = None,
    key: _Key = None,
    everything: _All = False,
    pool: _Pool = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Resume paused schedules: they create runs again. A schedule is named by id or slug."""
    _set_active(True, reference, key, everything, tag, pool, dry_run, yes, output)


def _set_active(
    active: bool,
    reference: str | None,
    key: str | None,
    everything: bool,
    tags: list[str],
    pool: str | None,
    dry_run: bool,
    yes: bool,
    output: str | None,
) -> None:
    client = connect()
    found = [] if reference is None else [find_deployment(client, reference)]
    choose(found, everything, tags, pool, key)
    chosen = _chosen(
        client, found, key, everything, deployment_filters(client, tags, pool, [each.id for each in found])
    )
    changed = [each for each in chosen if each.active != active]
    if dry_run:
        _plan(changed, active, output)
        return
    if not found and changed:
        question = f"{_verb(active)} {_what(changed)}?"
        out.confirm(question, yes, refused="Nothing was changed.")
    from runyard.operations.schedules.schedules import update_deployment_schedule as update

    change_each(
        changed,
        "Resuming" if active else "Pausing",
        lambda each: client.call(update, each.deployment_id, each.id, body=body(update, active=active)),
    )
    if output:
        out.print_data(_read(client, [each.id for each in chosen]), output)
        return
    _say(client, chosen, changed, active)


def _chosen(
    client: Client, found: list[Any], key: str | None, everything: bool, filters: dict[str, Any]
) -> list[Any]:
    """The schedules that are meant, as they are listed."""
    from runyard.operations.schedules.all_schedules import filter_schedules

    rows = list(listed(client, filter_schedules, sort="NAME_ASC", **filters))
    if key is not None:
        wanted = {each.id for each in find_schedules(found[0], key)}
        return [each for each in rows if each.id in wanted]
    if found and not everything and len(rows) > 1:
        keys = [each.slug or each.id for each in rows]
        raise WrongUsage(
            f"Deployment '{found[0].name}' has {len(rows)} schedules: {names(keys)}. "
            "Name one, or give --all for all of them."
        )
    if found and not rows:
        from runyard.base.errors import NotFound

        raise NotFound(f"deployment '{found[0].name}' has no schedules")
    return rows


def _read(client: Client, ids: list[str]) -> list[Any]:
    """The schedules as they are now."""
    from runyard.operations.schedules.all_schedules import filter_schedules

    return [
        each
        for at in range(0, len(ids), 200)
        for each in listed(client, filter_schedules, schedules={"id": {"any_": ids[at : at + 200]}})
    ]


def _verb(active: bool) -> str:
    return "Resume" if active else "Pause"


def _what(rows: list[Any]) -> str:
    """`12 schedules of 9 deployments: etl/daily, ...`."""
    owners = sorted({deployment_of(each) for each in rows})
    return f"{counted(len(rows), 'schedule')} of {counted(len(owners), 'deployment')}: {names(owners)}"


def _plan(changed: list[Any], active: bool, output: str | None) -> None:
    if output:
        out.print_data(changed, output)
    elif changed:
        out.say(f"Would {_verb(active).lower()} {_what(changed)}.")
    else:
        out.say(f"Every schedule is already {'active' if active else 'paused'}.")


def _say(client: Client, chosen: list[Any], changed: list[Any], active: bool) -> None:
    done = "Resumed" if active else "Paused"
    if len(chosen) > 1 or not chosen:
        if not changed:
            out.say(
                f"Every schedule is already {'active' if active else 'paused'}."
                if chosen
                else "No schedules match."
            )
            return
        out.done(f"{done} {_what(changed)}.")
        out.hint(
            "See what is due next: runyard schedule next"
            if active
            else "See them: runyard schedule ls --paused"
        )
        return
    (one,) = chosen
    name = f"'{one.slug}'" if one.slug else one.id
    if not changed:
        out.say(f"Schedule {name} is already {'active' if active else 'paused'}.")
        if active and one.deployment_paused:
            _tell_paused_deployment(one)
        return
    out.done(f"{done} schedule {name} of '{deployment_of(one)}': {describe_schedule(one.schedule)}.")
    if not active:
        command = command_of("runyard schedule resume", deployment_of(one), one.slug or one.id)
        out.hint(f"Resume it with: {command}")
        return
    (now,) = _read(client, [one.id])
    if now.deployment_paused:
        _tell_paused_deployment(one)
    elif now.next_due:
        zone = zone_of(one.schedule.model_dump(mode="json"))
        out.say(f"It is due next at {times.both(now.next_due, zone)}.")
    else:
        out.say("It is never due again.")


def _tell_paused_deployment(one: Any) -> None:
    command = command_of("runyard deployment resume", deployment_of(one))
    out.progress(f"Its deployment is paused, so it creates no runs; resume that too: {command}")
