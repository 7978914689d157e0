"""`runyard work-pool ls`, `inspect`, `preview` and `slots`: what there is, who serves it, and what comes."""

from __future__ import annotations

from typing import Annotated, Any

from runyard.base.quoting import command_of

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import App
from runyard_cli.shared.cells import ALL, aligned, moment, of_limit
from runyard_cli.shared.client import connect, listed
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import (
    Columns,
    Limit,
    ListOutput,
    Output,
    Sort,
    Watch,
    argument,
    option,
)

work_pool_show = App()

# How many workers and next runs `inspect` shows.
_WORKERS, _COMING = 10, 5
POOLS = Listing(
    "Work pools",
    (
        Column("Name", lambda pool: pool["name"], "name"),
        Column("Type", lambda pool: pool["type"]),
        Column("Status", lambda pool: pool["status"], "state"),
        Column(
            "Slots",
            lambda pool: of_limit(pool["active_slots"], pool["concurrency_limit"]),
            order=lambda pool: pool["active_slots"],
        ),
        Column("Workers", lambda pool: pool["workers_online"]),
        Column("Limit", lambda pool: pool["concurrency_limit"], wide=True),
        Column("Description", lambda pool: pool["description"], wide=True),
        Column("ID", lambda pool: pool["id"], "id"),
    ),
    "No work pools; create one with: runyard work-pool create NAME",
)


@work_pool_show.command("ls", example="runyard work-pool ls -o json")
def ls(
    verbose: Annotated[bool, option("-v", "--verbose", help="The same as -o wide.")] = False,
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the work pools."""
    client = connect()

    def read() -> Page:
        from runyard.operations.work_pools.list_work_pools import list_work_pools

        pools: list[Any] = client.call(list_work_pools, limit=ALL)
        page = cut(pools, limit)
        if output in ("json", "yaml"):
            from runyard.operations.work_pools import work_pools

            by_id = {each.id: each for each in listed(client, work_pools.filter_work_pools)}
            return page._replace(document=lambda row: by_id.get(row["id"], row))
        return page

    view = View(output or ("wide" if verbose else None), columns, sort, watch)
    show_list(POOLS, read, view, client)


@work_pool_show.command("inspect", example="runyard work-pool inspect my-pool")
def inspect(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Show one work pool: its slots, queues and workers, and what is due next."""
    from runyard.operations.work_pools import work_pools
    from runyard.operations.work_pools.coming_runs import read_coming_runs
    from runyard.operations.work_pools.list_workers import list_work_queues, list_workers

    client = connect()
    pool = client.call(work_pools.read_work_pool, name)
    if output:
        out.print_data(pool, output)
        return
    workers = client.call(list_workers, pool=pool.name, limit=ALL)
    coming = client.call(read_coming_runs, pool.name, limit=_COMING)
    facts = [
        ("Type", pool.type),
        ("Description", pool.description),
        ("Slots", f"{of_limit(pool.active_slots, pool.concurrency_limit)} in use"),
        ("Created", pool.created),
        ("Updated", pool.updated if pool.updated != pool.created else None),
        ("ID", pool.id),
    ]
    sections = [
        Section("Pool", facts),
        Section("Queues", lines=_queue_lines(client.call(list_work_queues, pool=pool.name, limit=ALL))),
        Section("Workers", lines=_worker_lines(pool.name, workers)),
        Section("Next runs", lines=coming_lines(coming)),
        Section("Job variables", data=_own_values(pool.type, pool.base_job_template)),
    ]
    show_details(f"Work pool {pool.name}", sections, pool.status)
    if pool.is_paused:
        out.hint(f"No run starts until: {command_of('runyard work-pool resume', pool.name)}")
    elif not any(worker["status"] == "ONLINE" for worker in workers):
        from runyard.domain.job_templates import worker_command

        out.hint(f"No worker is online; start one with: {worker_command(pool.name, pool.type)}")


def coming_lines(coming: Any) -> list[str]:
    """Runs that start later: when, what, and the absolute time in their schedule's zone.

    Args:
        coming: what `read_coming_runs` returns.
    """
    now = coming.now
    return aligned(
        [
            times.relative(run.due) if run.due > now else f"due {times.relative(run.due)}",
            f"{run.flow_name}/{run.deployment_name}" if run.deployment_name else run.flow_name,
            times.absolute(run.due, run.timezone),
            run.name,
        ]
        for run in coming.runs
    )


def _queue_lines(queues: list[dict[str, Any]]) -> list[str]:
    return aligned(
        [
            queue["name"],
            f"priority {queue['priority']}",
            out.state_sign(queue["status"])[0],
            f"{of_limit(queue['active_slots'], queue['concurrency_limit'])} in use",
            queue["description"],
        ]
        for queue in queues
    )


def _worker_lines(pool: str, workers: list[dict[str, Any]]) -> list[str]:
    """The workers that are online, and how many others there are."""
    online = [worker for worker in workers if worker["status"] == "ONLINE"]
    lines = aligned(
        [
            worker["name"],
            out.state_sign(worker["status"])[0],
            f"{of_limit(worker['active_slots'], worker['concurrency_limit'])} in use",
            times.relative(moment(worker["last_heartbeat"])),
        ]
        for worker in online[:_WORKERS]
    )
    more, offline = len(online) - len(lines), len(workers) - len(online)
    left = [f"{more} more online" if more else "", f"{offline} offline" if offline else ""]
    if more or offline:
        see = command_of("runyard worker ls --pool", pool)
        lines.append(f"{' and '.join(filter(None, left))}: {see}")
    return lines


def _own_values(kind: str, template: dict[str, Any]) -> dict[str, Any]:
    """The values of a pool's job variables that differ from those of its type."""
    from runyard.domain import job_templates

    usual = _values(job_templates.default(kind))
    return {name: value for name, value in _values(template).items() if value != usual.get(name)}


def _values(template: dict[str, Any]) -> dict[str, Any]:
    properties = (template.get("variables") or {}).get("properties") or {}
    return {name: field.get("default") for name, field in properties.items() if isinstance(field, dict)}


@work_pool_show.command("preview", example="runyard work-pool preview my-pool --jobs")
def preview(
    name: Annotated[str, argument("NAME")],
    limit: Limit = 15,
    jobs: Annotated[
        bool, option("--jobs", help="Show the job that a worker here would start for each.")
    ] = False,
    output: Output = None,
) -> None:
    """Show the waiting runs of a pool, the next first."""
    from runyard.operations.work_pools import work_pools

    from runyard_cli.shared import upcoming

    client = connect()
    pool = client.call(work_pools.read_work_pool, name).name
    upcoming.preview(client, pool, None, limit or None, output, jobs=jobs)


@work_pool_show.command("slots", example="runyard work-pool slots my-pool")
def slots(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Show which runs hold a pool's slots."""
    from runyard.operations.work_pools import work_pools

    from runyard_cli.shared import upcoming

    client = connect()
    found = client.call(work_pools.read_work_pool, name)
    upcoming.slots(client, found.name, None, found.concurrency_limit, output)
