"""Changing all flow runs that a filter matches: count, preview, question, progress."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import typer
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared.app import WrongUsage
from runyard_cli.shared.client import body, listed
from runyard_cli.shared.run_lists import unknown_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runyard.client import Client

    from runyard_cli.shared.run_filters import RunFilter

# How many names a preview shows, and from how many runs on a bar shows the progress.
_NAMED, _BAR_FROM = 5, 50
_DONE = {"cancel": "Cancelled", "retry": "Retrying", "delete": "Deleted"}
_DOING = {"cancel": "Cancelling", "retry": "Retrying", "delete": "Deleting"}
_KEPT = {"cancel": "cancelled", "retry": "retried", "delete": "deleted"}


def check_given(references: list[str], chosen: RunFilter) -> None:
    """Refuse a command that names no run and gives no filter, or both.

    Raises:
        WrongUsage: names what is missing.
    """
    if references and chosen:
        raise WrongUsage("Name runs or give filters, not both.")
    if not references and not chosen:
        raise WrongUsage("Name a run, or give a filter such as --state or --deployment.")


def change_all(
    client: Client, action: str, chosen: RunFilter, yes: bool, dry_run: bool, output: str | None
) -> int:
    """Change all runs that a filter matches.

    Args:
        action: `cancel`, `retry` or `delete`.
        yes: do not ask.
        dry_run: only show what would change.
        output: `json`, `yaml` or None.

    Returns:
        The exit code: 1 if a run could not be changed.
    """
    from runyard.operations.flow_runs import bulk_changes

    fields = {"action": action, **chosen.fields(client)}
    told = client.call(bulk_changes.count_bulk_change, body(bulk_changes.count_bulk_change, **fields))
    if not (told.count or told.left_out or told.unknown_code):
        unknown = unknown_state(chosen.state)
        if unknown:
            out.progress(unknown)
    if dry_run:
        _show_plan(client, action, told, fields, output)
        return 0
    if told.count:
        question = f"{action.capitalize()} {_what(told)}{_names(client, told, fields)}?"
        out.confirm(question, yes, refused=f"Nothing was {_KEPT[action]}.")
    runs: list[Any] = []
    for part in _parts(client, action, fields, told):
        runs += part
    refused = [run for run in runs if run.reason]
    if output:
        out.print_data({"action": action, "count": len(runs) - len(refused), "runs": runs}, output)
        return int(bool(refused))
    _tell(action, runs, told)
    return int(bool(refused))


def _parts(client: Client, action: str, fields: dict[str, Any], told: Any) -> Iterator[list[Any]]:
    """Make the change, part by part, with a bar on a terminal when there are many."""
    from runyard.operations.flow_runs import bulk_changes

    after: str | None = "" if told.count else None
    bar = None
    if told.count >= _BAR_FROM and sys.stderr.isatty():
        bar = typer.progressbar(length=told.count, label=_DOING[action], file=sys.stderr)
        bar.__enter__()
    try:
        while after is not None:
            change = body(bulk_changes.change_flow_runs, **fields, until=told.until, after=after)
            part = client.call(bulk_changes.change_flow_runs, change)
            if bar is not None:
                bar.update(len(part.runs))
            yield part.runs
            after = part.next
    finally:
        if bar is not None:
            bar.__exit__(None, None, None)


def _what(told: Any) -> str:
    """`312 flow runs (300 Late, 12 Scheduled)`."""
    states = ", ".join(f"{number:,} {name}" for name, number in _most_first(told.states))
    return f"{counted(told.count, 'flow run')} ({states})"


def _most_first(states: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(states.items(), key=lambda pair: (-pair[1], pair[0]))


def _names(client: Client, told: Any, fields: dict[str, Any]) -> str:
    """The names of some of the runs: `: calm-otter, keen-heron and 310 more`."""
    from runyard.operations.flow_runs import flow_runs

    filters = {name: value for name, value in fields.items() if name != "action"}
    criteria = dict(filters.get("flow_runs") or {})
    state = dict(criteria.get("state") or {})
    # Runs that the change leaves out are not named; a state name may be wanted already.
    state.setdefault("name", {"any_": list(told.states)})
    filters["flow_runs"] = {**criteria, "state": state}
    found = [
        run
        for run in listed(client, flow_runs.filter_flow_runs, limit=4 * _NAMED, **filters)
        if run.root_flow_run_id is None
        and run.state_name in told.states
        and (fields["action"] != "retry" or run.deployment_id is not None)
    ][:_NAMED]
    if not found:
        return ""
    names = ", ".join(run.name for run in found)
    rest = told.count - len(found)
    return f": {names} and {rest:,} more" if rest > 0 else f": {names}"


def _show_plan(client: Client, action: str, told: Any, fields: dict[str, Any], output: str | None) -> None:
    if output:
        plan = {"action": action, "count": told.count, "states": told.states, "left_out": told.left_out}
        out.print_data(plan, output)
        return
    if told.count:
        out.say(f"Would {action} {_what(told)}{_names(client, told, fields)}.")
    else:
        out.say(f"No flow run would be {_KEPT[action]}.")
    _tell_left_out(action, told)


def _tell_left_out(action: str, told: Any) -> None:
    if told.left_out:
        states = ", ".join(f"{number:,} {name}" for name, number in _most_first(told.left_out))
        out.say(f"Left out, because runs in these states cannot be {_KEPT[action]}: {states}.")
    if told.unknown_code:
        out.say(
            f"Left out: {counted(told.unknown_code, 'run')} without a deployment; "
            "retry one with: runyard flow-run retry RUN --entrypoint FILE.py:FLOW"
        )


def _tell(action: str, runs: list[Any], told: Any) -> None:
    refused = [run for run in runs if run.reason]
    changed = [run for run in runs if not run.reason]
    stopping = [run for run in changed if action == "cancel" and run.state_name != "Cancelled"]
    if not runs:
        out.say(f"No flow run was {_KEPT[action]}.")
    else:
        done = len(changed) - len(stopping)
        if done or not stopping:
            more = f"; {len(stopping):,} more are being stopped" if stopping else ""
            out.done(f"{_DONE[action]} {counted(done, 'flow run')}{more}.")
        else:
            are = "it is" if len(stopping) == 1 else "they are"
            out.done(f"{_DOING[action]} {counted(len(stopping), 'flow run')}: {are} being stopped.")
    _tell_left_out(action, told)
    by_reason: dict[str, list[str]] = {}
    for run in refused:
        by_reason.setdefault(run.reason, []).append(run.name)
    for reason, names in by_reason.items():
        rest = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        out.error_line(f"not {_KEPT[action]}: {', '.join(names[:_NAMED])}{rest}: {reason}")
    if changed and action == "retry":
        out.hint("See them with: runyard flow-run ls --state AwaitingRetry --state Running")
    elif stopping:
        out.hint("See them with: runyard flow-run ls --state Cancelling")
