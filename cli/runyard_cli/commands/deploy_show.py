"""What `runyard deploy` prints: what became of each deployment, or what would become of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base.quoting import command_of
from runyard.base.texts import listed
from runyard.base.url_passwords import hidden_within

from runyard_cli.commands import deploy_project as steps
from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.schedule_texts import describe_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.client import Client

_SIGNS = {"created": ("+", "green"), "updated": ("~", "yellow"), "deleted": ("-", "red")}
# Fields of a new deployment that say nothing to people: from the flow, or empty.
_SILENT = frozenset(("parameter_openapi_schema", "version"))
_EMPTY: tuple[Any, ...] = (None, "", [], {})
# The next commands are for the first deployment; the runs of more than these are not listed.
_MOST_RUNS = 5
# More deployments without a change are counted and not listed.
_MOST_UNCHANGED = 10


def name_of(applied: Any) -> str:
    """`flow/deployment`."""
    return f"{applied.deployment.flow_name}/{applied.deployment.name}"


def announce(applied: Sequence[Any]) -> None:
    """Say what was done with each deployment."""
    shown = 0
    unchanged = sum(each.action == "unchanged" for each in applied)
    if unchanged > _MOST_UNCHANGED:
        out.say(f"{unchanged} deployments are unchanged.")
    for each in applied:
        name = name_of(each)
        if each.action == "left":
            continue
        if each.action == "deleted":
            out.done(f"Deleted deployment '{name}', which is no longer in the file.")
        elif each.action == "unchanged":
            if unchanged <= _MOST_UNCHANGED:
                out.say(f"Deployment '{name}' is unchanged.")
        else:
            verb = "Created" if each.action == "created" else "Updated"
            out.done(f"{verb} deployment '{name}' ({each.deployment.id}).")
            if each.action == "updated":
                _changes(each)
            shown += 1
            if shown <= _MOST_RUNS:
                _next_run(each.deployment)
    _left(applied)


def _next_run(deployment: Any) -> None:
    """Say when its schedules fire next, in the zone of the first one."""
    active = [each for each in deployment.schedules if each.active and each.next_due]
    if not active:
        return
    if deployment.paused:
        command = command_of("runyard deployment resume", f"{deployment.flow_name}/{deployment.name}")
        out.progress(f"    Its schedules are paused; resume them: {command}")
        return
    first = min(active, key=lambda each: each.next_due)
    zone = getattr(first.schedule, "timezone", None)
    out.say(f"    Next run: {times.both(first.next_due, zone)}")


def next_step(client: Client, applied: Sequence[Any]) -> None:
    """Say what one may type next."""
    from runyard.domain.job_templates import worker_command

    made = [each.deployment for each in applied if each.action not in ("deleted", "left")]
    pools = steps.pools_by_name(client, applied)
    steps.warn_of_places(client, applied, pools)
    for pool in dict.fromkeys(each.work_pool_name for each in made if each.work_pool_name):
        status = pools[pool]["status"] if pool in pools else None
        if status == "NOT_READY":
            out.hint(
                f"No worker is online for '{pool}'; start one: {worker_command(pool, pools[pool]['type'])}"
            )
        elif status == "PAUSED":
            command = command_of("runyard work-pool resume", pool)
            out.hint(f"The pool '{pool}' is paused; resume it: {command}")
    for each in made:
        if not each.work_pool_name:
            out.progress(
                f"'{each.flow_name}/{each.name}' has no work pool, so no worker starts its runs; give --pool"
            )
    runnable = next((each for each in made if each.work_pool_name), None)
    if runnable:
        command = command_of("runyard deployment run", f"{runnable.flow_name}/{runnable.name}")
        out.hint(f"Run it now: {command}")


def show_plan(applied: Sequence[Any], unknown: Sequence[dict[str, Any]]) -> None:
    """Print what a deploy would change.

    Args:
        applied: what each deployment would become.
        unknown: for the first of them, in their order: the fields that only steps will tell.
    """
    for position, each in enumerate(applied):
        waiting = unknown[position] if position < len(unknown) else {}
        sign, colour = _SIGNS.get(each.action, ("=", None))
        if each.action in ("unchanged", "left") and not waiting:
            continue
        out.say(f"{sign} {name_of(each)}", colour)
        if each.action == "created":
            _contents(each)
        elif each.action == "updated":
            _changes(each)
        for field, text in waiting.items():
            out.say(f"    {field}: known after the steps have run ({brief(text)})")
    counts = {action: sum(each.action == action for each in applied) for action in (*_SIGNS, "unchanged")}
    out.say(
        f"{counts['created']} to create, {counts['updated']} to update, {counts['deleted']} to delete, "
        f"{counts['unchanged']} unchanged."
    )
    _left(applied)


def plan_json(applied: Sequence[Any], unknown: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A plan for programs: name, action, changes and unknown of each deployment."""
    return [
        {
            "name": name_of(each),
            "action": each.action,
            "changes": [out.to_json(change) for change in each.changes],
            "unknown": unknown[position] if position < len(unknown) else {},
        }
        for position, each in enumerate(applied)
    ]


def _changes(applied: Any) -> None:
    """The changed fields of a deployment, with both values."""
    for change in applied.changes:
        out.say(f"    {change.field}: {brief(change.before)} -> {brief(change.after)}")


def _contents(applied: Any) -> None:
    """The fields of a new deployment."""
    for change in applied.changes:
        if change.field not in (*_SILENT, "schedules") and change.after not in _EMPTY:
            out.say(f"    {change.field}: {brief(change.after)}")
    for schedule in applied.deployment.schedules:
        paused = "" if schedule.active else ", paused"
        out.say(f"    schedule: {describe_schedule(schedule.schedule)}{paused}")


def _left(applied: Sequence[Any]) -> None:
    """Say which deployments left the file."""
    gone = [name_of(each) for each in applied if each.action == "left"]
    if gone:
        out.progress(f"{len(gone)} left the file: {listed(gone)}. Delete with: --prune")


def brief(value: Any) -> str:
    """A value in at most 100 characters, without its secrets."""
    if value is None:
        return "none"
    shown = hidden_within(out.to_json(value))
    is_line = isinstance(shown, str) and "\n" not in shown
    text = shown if is_line else json.dumps(shown, default=str, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."
