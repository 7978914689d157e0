"""`runyard deployment pause`, `resume` and `delete`: those named, or all that a filter matches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.changes import change_each, names
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.lookup import deployment_filters, find_deployment
from runyard_cli.shared.options import DryRun, Output, Yes, many, option, words

if TYPE_CHECKING:
    from runyard.client import Client
    from runyard.operations.operation import Operation

_References = Annotated[list[str], words("DEPLOYMENT")]
_Tags = Annotated[list[str], many("-t", "--tag", help="All deployments with this tag.")]
_Pool = Annotated[
    str | None, option("-p", "--pool", help="All deployments of this work pool.", metavar="POOL")
]
_All = Annotated[bool, option("--all", help="All deployments.")]
# Above this number of deployments, changes are told in one line.
_EACH = 20

pausing = App()


@pausing.command(
    "pause",
    example="""runyard deployment pause my-etl-flow/daily-etl
        runyard deployment pause --tag prod --dry-run
        runyard deployment pause --all""",
)
def _pause(
    references: _References,
    tag: _Tags,
    everything: _All = False,
    pool: _Pool = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Pause deployments: their schedules create no more runs.

    Runs that are scheduled and that no worker has claimed are deleted.
    """
    _set_paused(True, references, everything, tag, pool, dry_run, yes, output)


@pausing.command(
    "resume",
    example="""runyard deployment resume my-etl-flow/daily-etl
        runyard deployment resume --all""",
)
def _resume(
    references: _References,
    tag: _Tags,
    everything: _All = False,
    pool: _Pool = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Resume paused deployments: their schedules create runs again.

    Times during the pause are not caught up.
    """
    _set_paused(False, references, everything, tag, pool, dry_run, yes, output)


@pausing.command(
    "delete",
    example="""runyard deployment delete my-etl-flow/daily-etl
        runyard deployment delete --tag old --dry-run""",
)
def _delete(
    references: _References,
    tag: _Tags,
    ids: Annotated[list[str], many("--id", help="A deployment's id instead of its name.", metavar="ID")],
    everything: _All = False,
    pool: _Pool = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    output: Output = None,
) -> None:
    """Delete deployments with their schedules and waiting runs; other runs stay."""
    from runyard.operations.deployments.deployments import delete_deployment

    client = connect()
    chosen = _chosen(client, [*references, *ids], everything, tag, pool)
    if dry_run:
        text = "" if output or not chosen else f"Would delete {_what(chosen)}{_belongings(client, chosen)}."
        _plan(chosen, text, output)
        return
    if chosen and not yes and out.at_keyboard():
        out.confirm(f"Delete {_what(chosen)}{_belongings(client, chosen)}?", yes)
    change_each(chosen, "Deleting", lambda each: client.call(delete_deployment, each.id))
    if output:
        out.print_data(chosen, output)
    elif len(chosen) > _EACH:
        out.done(f"Deleted {_what(chosen)}.")
    elif not chosen:
        out.say("No deployments match.")
    else:
        for each in chosen:
            out.done(f"Deleted deployment '{_name(each)}'.")
    if any(each.owner for each in chosen) and not output:
        out.progress("If a project file declares it, the next deploy creates it again.")


def _belongings(client: Client, chosen: list[Any]) -> str:
    """What is deleted with deployments: ` with 3 schedules and 12 waiting runs`."""
    from runyard.operations.flow_runs.flow_runs import count_flow_runs

    schedules = sum(len(each.schedules) for each in chosen)
    waiting = sum(
        client.call(
            count_flow_runs,
            body=body(
                count_flow_runs,
                flow_runs={
                    "deployment_id": {"any_": [each.id for each in chosen[at : at + 200]]},
                    "state": {"type": {"any_": ["SCHEDULED"]}},
                },
            ),
        )
        for at in range(0, len(chosen), 200)
    )
    parts = [(schedules, "schedule"), (waiting, "waiting run")]
    text = " and ".join(counted(number, what) for number, what in parts if number)
    return f", with {text}" if text else ""


def _set_paused(
    paused: bool,
    references: list[str],
    everything: bool,
    tags: list[str],
    pool: str | None,
    dry_run: bool,
    yes: bool,
    output: str | None,
) -> None:
    from runyard.operations.deployments import deployments

    client = connect()
    chosen = _chosen(client, references, everything, tags, pool)
    # Named ones are told one by one, also where nothing changes.
    changed = [each for each in chosen if each.paused != paused]
    word = "pause" if paused else "resume"
    if dry_run:
        _plan(changed, f"Would {word} {_what(changed)}." if changed else "", output)
        return
    if changed and not references:
        out.confirm(f"{word.capitalize()} {_what(changed)}?", yes, refused="Nothing was changed.")
    operation: Operation[..., Any] = deployments.pause_deployment if paused else deployments.resume_deployment
    change_each(changed, f"{word.capitalize()[:-1]}ing", lambda each: client.call(operation, each.id))
    if output:
        out.print_data(_read(client, [each.id for each in chosen]), output)
        return
    _say(client, chosen, changed, paused, bool(references))


def _say(client: Client, chosen: list[Any], changed: list[Any], paused: bool, named: bool) -> None:
    done, state = ("Paused", "paused") if paused else ("Resumed", "active")
    if not chosen:
        out.say("No deployments match.")
    if named:
        for each in chosen:
            if each.paused == paused:
                out.say(f"Deployment '{_name(each)}' is already {state}.")
    elif chosen and not changed:
        out.say(f"Every deployment is already {state}.")
    if len(changed) > _EACH:
        out.done(f"{done} {_what(changed)}.")
    else:
        for each in changed:
            out.done(f"{done} deployment '{_name(each)}'.")
    if not changed:
        return
    one = command_of("runyard deployment resume", _name(changed[0]))
    if paused:
        out.hint(f"Resume {'it' if len(changed) == 1 else 'one'} with: {one}")
        return
    off = [each for each in changed if each.schedules and not any(one.active for one in each.schedules)]
    for each in off[:1]:
        command = command_of("runyard schedule resume", _name(each), options="--all")
        out.progress(f"The schedules of '{_name(each)}' are paused themselves; resume them: {command}")
    names_ = command_of("runyard schedule next", *([_name(changed[0])] if len(changed) == 1 else []))
    out.hint(f"See what is due next: {names_}")


def _chosen(
    client: Client, references: list[str], everything: bool, tags: list[str], pool: str | None
) -> list[Any]:
    """The deployments that are meant.

    Raises:
        WrongUsage: none are named and no filter is given, or both.
    """
    filtered = everything or bool(tags) or pool is not None
    if bool(references) == filtered:
        raise WrongUsage("Name the deployments, or give --all, --tag or --pool.")
    if references:
        found = [find_deployment(client, reference) for reference in references]
        return list({each.id: each for each in found}.values())
    from runyard.operations.deployments.deployments import filter_deployments

    return list(
        listed(client, filter_deployments, sort="FLOW_NAME_ASC", **deployment_filters(client, tags, pool))
    )


def _read(client: Client, ids: list[str]) -> list[Any]:
    from runyard.operations.deployments.deployments import filter_deployments

    return [
        each
        for at in range(0, len(ids), 200)
        for each in client.call(
            filter_deployments,
            body=body(
                filter_deployments,
                deployments={"id": {"any_": ids[at : at + 200]}},
                sort="FLOW_NAME_ASC",
            ),
        )
    ]


def _plan(chosen: list[Any], text: str, output: str | None) -> None:
    if output:
        out.print_data(chosen, output)
    else:
        out.say(text or "Nothing would change.")


def _what(chosen: list[Any]) -> str:
    return f"{counted(len(chosen), 'deployment')}: {names([_name(each) for each in chosen])}"


def _name(found: Any) -> str:
    return f"{found.flow_name}/{found.name}"
