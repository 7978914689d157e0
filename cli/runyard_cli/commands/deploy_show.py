"""What `runyard deploy` prints: what became of each deployment, or what would become of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base.quoting import command_of
from runyard.base.texts import listed
from runyard.base.url_passwords import hidden_within

from runyard_cli.shared import output as out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.client import Client

# Fields of every new deployment that say nothing to people.
_SILENT = frozenset(("parameter_openapi_schema", "pull_steps", "version"))
_SIGNS = {"created": ("+", "green"), "updated": ("~", "yellow"), "deleted": ("-", "red")}


def name_of(applied: Any) -> str:
    """`flow/deployment`."""
    return f"{applied.deployment.flow_name}/{applied.deployment.name}"


def announce(applied: Sequence[Any]) -> None:
    """Say what was done with each deployment."""
    for each in applied:
        name = name_of(each)
        if each.action == "left":
            continue
        if each.action == "unchanged":
            out.say(f"Deployment '{name}' is unchanged.")
        elif each.action == "deleted":
            out.done(f"Deleted deployment '{name}', which is no longer in the file.")
        else:
            verb = "Created" if each.action == "created" else "Updated"
            out.done(f"{verb} deployment '{name}' ({each.deployment.id}).")
            _changes(each)
    _left(applied)


def next_step(client: Client, applied: Sequence[Any]) -> None:
    """Say what one may type next."""
    from runyard.deployments.project.code_place_warnings import code_place_warnings, is_shared
    from runyard.domain.job_templates import worker_command
    from runyard.operations.work_pools.list_work_pools import list_work_pools

    made = [each.deployment for each in applied if each.action not in ("deleted", "left")]
    wanted = dict.fromkeys(each.work_pool_name for each in made if each.work_pool_name)
    found = {pool["name"]: pool for pool in client.call(list_work_pools)} if wanted else {}
    types = {name: str(pool["type"]) for name, pool in found.items()}
    for warning in code_place_warnings(applied, types, is_shared(client)):
        out.progress(warning)
    for pool in wanted:
        status = found[pool]["status"] if pool in found else None
        if status == "NOT_READY":
            out.hint(
                f"No worker is online for '{pool}'; start one: {worker_command(pool, found[pool]['type'])}"
            )
        elif status == "PAUSED":
            command = command_of("runyard work-pool resume", pool)
            out.hint(f"The pool '{pool}' is paused; resume it: {command}")
    for each in made:
        if not each.work_pool_name:
            out.progress(
                f"'{each.flow_name}/{each.name}' has no work pool, so no worker starts its runs; give --pool"
            )
    if made:
        command = command_of("runyard deployment run", f"{made[0].flow_name}/{made[0].name}")
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
        _changes(each)
        if each.action == "created":
            _contents(each)
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
    if applied.action == "updated":
        for change in applied.changes:
            out.say(f"    {change.field}: {brief(change.before)} -> {brief(change.after)}")


def _contents(applied: Any) -> None:
    """The fields of a new deployment."""
    for change in applied.changes:
        if change.field not in _SILENT and change.after not in (None, "", [], {}):
            out.say(f"    {change.field}: {brief(change.after)}")


def _left(applied: Sequence[Any]) -> None:
    """Say which deployments left the file."""
    gone = [name_of(each) for each in applied if each.action == "left"]
    if gone:
        out.progress(f"{len(gone)} left the file: {listed(gone)}. Delete with: --prune")


def brief(value: Any) -> str:
    """A value in at most 100 characters, without its secrets."""
    shown = hidden_within(out.to_json(value))
    text = shown if isinstance(shown, str) else json.dumps(shown, default=str, ensure_ascii=False)
    return text if len(text) <= 100 else f"{text[:97]}..."
