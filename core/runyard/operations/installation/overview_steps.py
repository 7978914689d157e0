"""What to do next, by an overview: the most urgent first, each with the command that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.quoting import command_of
from runyard.base.texts import counted
from runyard.domain.job_templates import worker_command

if TYPE_CHECKING:
    from collections.abc import Iterator

Step = dict[str, str]


def next_steps(found: dict[str, Any]) -> list[Step]:
    """The next steps for an overview, as `read_overview` returns it without `steps`.

    Returns:
        For each step: code, text (a sentence), command. Never empty.
    """
    steps = [*_urgent(found), *_first_steps(found)]
    return steps or [_step("all_well", "Nothing needs you.", "runyard flow-run ls")]


def first_steps() -> list[Step]:
    """The next steps before anything exists."""
    return list(_first_steps({"pool_count": 0, "deployments": 0}))


def _step(code: str, text: str, command: str) -> Step:
    return {"code": code, "text": text, "command": command}


def _urgent(found: dict[str, Any]) -> Iterator[Step]:
    for pool in found["pools"]:
        if not pool["workers_online"] and (pool["due"] or pool["schedules"]):
            command = worker_command(pool["name"], pool["type"])
            yield _step("no_worker", f"No worker serves {pool['name']!r}: {_who_waits(pool)}.", command)
    for pool in found["pools"]:
        if pool["status"] == "PAUSED" and pool["due"]:
            text = f"Work pool {pool['name']!r} is paused: {_waits(pool['due'])}."
            yield _step("pool_paused", text, command_of("runyard work-pool resume", pool["name"]))
    if found["failed"] and found["failed_runs"]:
        latest = found["failed_runs"][0]
        number = counted(found["failed"], "flow run")
        text = f"{number} failed; the latest is {latest['name']!r}."
        yield _step("failed", text, command_of("runyard flow-run why", latest["reference"]))
    if found["waiting"] and found["waiting_runs"]:
        first = found["waiting_runs"][0]
        verb = "is" if found["waiting"] == 1 else "are"
        text = f"{counted(found['waiting'], 'flow run')} {verb} paused."
        yield _step("run_paused", text, command_of("runyard flow-run why", first["reference"]))
    if found["late"] and all(pool["workers_online"] for pool in found["pools"] if pool["due"]):
        verb = "is" if found["late"] == 1 else "are"
        text = f"{counted(found['late'], 'flow run')} {verb} late."
        yield _step("late", text, "runyard flow-run ls --state Late")


def _who_waits(pool: dict[str, Any]) -> str:
    parts = []
    if pool["due"]:
        parts.append(_waits(pool["due"]))
    if pool["schedules"]:
        verb = "depends" if pool["schedules"] == 1 else "depend"
        parts.append(f"{counted(pool['schedules'], 'schedule')} {verb} on it")
    return ", ".join(parts)


def _waits(due: int) -> str:
    return f"{counted(due, 'flow run')} {'waits' if due == 1 else 'wait'}"


def _first_steps(found: dict[str, Any]) -> Iterator[Step]:
    """The way to the first run."""
    if not found["pool_count"] and not found["deployments"]:
        command = "runyard work-pool create default-agent-pool --type process"
        yield _step("no_pool", "No work pool exists yet; runs start in one.", command)
    if not found["deployments"]:
        yield _step("no_deployment", "No deployment exists yet; start a project.", "runyard init")
        return
    idle = next((pool for pool in found["pools"] if not pool["workers_online"]), None)
    if not found["workers_online"] and idle and not (idle["due"] or idle["schedules"]):
        command = worker_command(idle["name"], idle["type"])
        yield _step("no_worker_yet", f"No worker serves {idle['name']!r} yet.", command)
    if not found["has_runs"]:
        text = f"No flow has run yet; run {found['latest_deployment']!r}."
        yield _step("no_run", text, command_of("runyard deployment run", found["latest_deployment"]))
