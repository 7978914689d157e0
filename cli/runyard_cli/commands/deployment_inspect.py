"""`runyard deployment inspect`: what a deployment is, where and when it runs, and how its last runs ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import App
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lookup import find_deployment
from runyard_cli.shared.options import Output, argument
from runyard_cli.shared.schedule_texts import describe_schedule, next_lines

if TYPE_CHECKING:
    from runyard.client import Client

_NEXT, _LAST = 5, 5
_ON_LOST = {
    "crash": "it crashes",
    "retry": "it is run again from the start",
    "resume": "it goes on with the results that are kept",
}

inspect = App()


@inspect.command("inspect", example="runyard deployment inspect my-etl-flow/daily-etl")
def _inspect(reference: Annotated[str, argument("DEPLOYMENT")], output: Output = None) -> None:
    """Show one deployment: where and when it runs, its parameters, its next and its last runs."""
    client = connect()
    found = find_deployment(client, reference)
    if output:
        out.print_data(found, output)
        return
    name = f"{found.flow_name}/{found.name}"
    pool = _pool(client, found.work_pool_name)
    status = "PAUSED" if found.paused else str(found.status)
    show_details(
        f"Deployment {name}",
        [*_what(found), *_where(found, pool), *_when(found), *_last(client, found)],
        status,
    )
    typer.echo()
    for text in _next_steps(found, name, pool):
        out.hint(text)


def _pool(client: Client, name: str | None) -> dict[str, Any] | None:
    from runyard.operations.work_pools.list_work_pools import list_work_pools

    if name is None:
        return None
    return next((pool for pool in client.call(list_work_pools) if pool["name"] == name), None)


def _what(found: Any) -> list[Section]:
    return [
        Section(
            "What",
            [
                ("Description", found.description),
                ("Tags", found.tags),
                ("Version", found.version),
                ("Declared by", found.owner),
                ("Created", found.created),
                ("Updated", found.updated if found.updated > found.created else None),
                ("ID", found.id),
            ],
        ),
        Section(
            "Code", [("Entrypoint", found.entrypoint), ("Folder", found.path)], data=found.pull_steps or None
        ),
        _parameters(found),
    ]


def _parameters(found: Any) -> Section:
    """The parameters that are set; and of the flow those that have a default, or need a value."""
    schema = found.parameter_openapi_schema or {}
    properties = {
        name: field for name, field in (schema.get("properties") or {}).items() if isinstance(field, dict)
    }
    needed = [name for name in schema.get("required") or [] if name not in found.parameters]
    defaults = [
        f"{name}={out.json_text(field['default'])}"
        for name, field in properties.items()
        if name not in found.parameters and "default" in field
    ]
    return Section(
        "Parameters",
        [("A run must give", needed), ("Defaults of the flow", defaults)],
        data=found.parameters or None,
    )


def _where(found: Any, pool: dict[str, Any] | None) -> list[Section]:
    facts: list[tuple[str, Any]] = []
    if pool is not None:
        workers = pool["workers_online"]
        online = (
            "paused"
            if pool["status"] == "PAUSED"
            else f"{workers or 'no'} worker{'' if workers == 1 else 's'} online"
        )
        facts.append(("Work pool", f"{pool['name']} ({pool['type']}, {online})"))
    else:
        facts.append(("Work pool", found.work_pool_name or "none: no worker starts its runs"))
    if found.work_queue_name not in (None, "default"):
        facts.append(("Queue", found.work_queue_name))
    limit = found.global_concurrency_limit
    if limit is not None:
        cancels = getattr(found.concurrency_options, "collision_strategy", "ENQUEUE") == "CANCEL_NEW"
        then = "; when they are all in use, a new run is cancelled" if cancels else ""
        facts.append(("Runs at once", f"at most {limit.limit}, now {limit.active_slots}{then}"))
    policies: list[tuple[str, Any]] = [
        ("Retries after a crash", found.crash_retries),
        ("If a run is lost", _ON_LOST.get(found.on_lost or "")),
        ("Longest run", _length(found.max_run_seconds)),
        ("Latest start", _length(found.max_lateness_seconds, " after the scheduled time")),
    ]
    return [
        Section(
            "Where it runs",
            facts,
            data={"job_variables": found.job_variables} if found.job_variables else None,
        ),
        Section("Rules", policies),
    ]


def _length(seconds: float | None, rest: str = "") -> str | None:
    from runyard.domain.durations import in_full

    return None if seconds is None else f"{in_full(seconds)}{rest}"


def _when(found: Any) -> list[Section]:
    lines = []
    for each in found.schedules:
        slug = f"{each.slug}: " if each.slug else ""
        lines.append(f"{slug}{describe_schedule(each.schedule)}{'' if each.active else ' (paused)'}")
    if not lines:
        lines.append("only when it is started: it has no schedule")
    running = [each for each in found.schedules if each.active] if not found.paused else []
    return [Section("When it runs", lines=lines), Section("Next runs", lines=next_lines(running, _NEXT))]


def _last(client: Client, found: Any) -> list[Section]:
    from runyard.operations.flow_runs.flow_runs import filter_flow_runs

    runs = list(
        listed(
            client,
            filter_flow_runs,
            limit=_LAST,
            sort="START_TIME_DESC",
            flow_runs={
                "deployment_id": {"any_": [found.id]},
                "state": {"type": {"not_any_": ["SCHEDULED"]}},
            },
        )
    )
    states = [out.state_sign(run.state_name or run.state_type or "")[0] for run in runs]
    widths = [max(map(len, states), default=0), max((len(run.name) for run in runs), default=0)]
    lines = [
        f"{state:{widths[0]}}  {run.name:{widths[1]}}  "
        f"{times.relative(run.end_time or run.start_time)}{_took(run)}"
        for state, run in zip(states, runs, strict=True)
    ]
    return [Section("Last runs", lines=lines)]


def _took(run: Any) -> str:
    from runyard.domain.durations import in_words

    seconds = run.total_run_time.total_seconds()
    return f", took {in_words(seconds)}" if run.end_time and seconds else ""


def _next_steps(found: Any, name: str, pool: dict[str, Any] | None) -> list[str]:
    """What may be done next, with its commands."""
    from runyard.domain.job_templates import worker_command

    if found.paused:
        return [f"Resume its schedules: {command_of('runyard deployment resume', name)}"]
    if pool is not None and pool["status"] == "PAUSED":
        return [f"Resume its work pool: {command_of('runyard work-pool resume', pool['name'])}"]
    steps = []
    if pool is not None and not pool["workers_online"]:
        steps.append(f"Start a worker: {worker_command(pool['name'], pool['type'])}")
    return [*steps, f"Run it now: {command_of('runyard deployment run', name)}"]
