"""`runyard work-queue`: a pool's queues, their priorities and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from runyard.base.quoting import command_of, quoted
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.cells import ALL, moment, of_limit, some
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.coercion import count
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import (
    Columns,
    Limit,
    ListOutput,
    Output,
    Sort,
    Watch,
    Yes,
    argument,
    option,
    whole,
    words,
)

if TYPE_CHECKING:
    from runyard.client import Client

_SHORTEST_BEGINNING = 4
# How many next runs `inspect` shows.
_COMING = 5

work_queue = App(
    "work-queue",
    "Create and manage a pool's queues: priorities, limits, pauses.",
    "runyard work-queue create urgent --pool my-pool --priority 1",
)

Pool = Annotated[
    str | None,
    option("-p", "--pool", help="The queue's pool; needed when several pools have a queue of this name."),
]


def _place_of(client: Client, reference: str, pool: str | None) -> tuple[str, str]:
    """The pool and the name of a queue by its name, its id or the beginning of its id.

    Raises:
        NotFound: there is no such queue.
        Conflict: queues of several pools match.
    """
    from runyard.base.errors import Conflict, NotFound
    from runyard.base.suggestions import did_you_mean
    from runyard.operations.work_pools.list_workers import list_work_queues

    known = client.call(list_work_queues, pool=pool, limit=ALL)
    found = [row for row in known if reference in (row["name"], row["id"])]
    if not found and len(reference) >= _SHORTEST_BEGINNING:
        found = [row for row in known if row["id"].startswith(reference)]
    if not found:
        where = "" if pool is None else f" in work pool '{pool}'"
        names = [row["name"] for row in known]
        hint = did_you_mean(reference, names, "see: runyard work-queue ls")
        raise NotFound(f"work queue '{reference}' not found{where}{hint}")
    if len(found) > 1:
        pools = some([row["pool"] for row in found])
        raise Conflict(f"the pools {pools} have a queue '{reference}'; choose with --pool")
    return found[0]["pool"], found[0]["name"]


def _updated(reference: str, pool: str | None, output: str | None, **fields: Any) -> Any:
    """Update a queue. Returns it as it is now; None if it was printed as JSON or YAML."""
    from runyard.operations.work_pools import work_queues

    client = connect()
    where, name = _place_of(client, reference, pool)
    change = body(work_queues.update_work_queue, **fields)
    client.call(work_queues.update_work_queue, where, name, body=change)
    return _printed(client.call(work_queues.read_work_queue, where, name), output)


def _printed(value: Any, output: str | None) -> Any:
    if not output:
        return value
    out.print_data(value, output)
    return None


@work_queue.command("create", example="runyard work-queue create urgent --pool my-pool --priority 1")
def create(
    name: Annotated[str, argument("NAME")],
    pool: Annotated[
        str | None,
        option("-p", "--pool", help="Its pool; by default default-agent-pool, which is created if missing."),
    ] = None,
    priority: Annotated[int | None, whole("-q", "--priority", help="1 is served first.", least=1)] = None,
    limit: Annotated[int | None, whole("-l", "--limit", help="How many of its runs at once.")] = None,
    description: Annotated[str | None, option("--description", help="What the queue is for.")] = None,
    output: Output = None,
) -> None:
    """Create a work queue."""
    from runyard.operations.work_pools import lone_queues, work_queues

    given = {"priority": priority, "concurrency_limit": limit, "description": description}
    fields = {key: value for key, value in given.items() if value is not None}
    made = body(work_queues.create_work_queue, name=name, **fields)
    if pool is None:
        queue = connect().call(lone_queues.create_lone_work_queue, body=made)
    else:
        queue = connect().call(work_queues.create_work_queue, pool, body=made)
    if output:
        out.print_data(queue, output)
        return
    out.done(f"Created work queue '{queue.work_pool_name}/{queue.name}' with priority {queue.priority}.")
    start = command_of("runyard worker start --pool", str(queue.work_pool_name))
    out.hint(
        f"Workers of the pool serve all its queues; one of its own: {start} --work-queue {quoted(queue.name)}"
    )


QUEUES = Listing(
    "Work queues",
    (
        Column("Name", lambda row: row["name"], "name"),
        Column("Pool", lambda row: row["pool"], "name"),
        Column("Priority", lambda row: row["priority"]),
        Column("Status", lambda row: row["status"], "state"),
        Column(
            "Slots",
            lambda row: of_limit(row["active_slots"], row["concurrency_limit"]),
            order=lambda row: row["active_slots"],
        ),
        Column("Limit", lambda row: row["concurrency_limit"], wide=True),
        Column("Last polled", lambda row: moment(row["last_polled"]), "time", wide=True),
        Column("Description", lambda row: row["description"], wide=True),
        Column("ID", lambda row: row["id"], "id"),
    ),
    "No work queues; every work pool has one named default.",
)


@work_queue.command("ls", example="runyard work-queue ls --pool my-pool")
def ls(
    pool: Annotated[str | None, option("-p", "--pool", help="Only this pool's.")] = None,
    match: Annotated[
        str | None, option("-m", "--match", metavar="PREFIX", help="Only those whose name begins so.")
    ] = None,
    verbose: Annotated[bool, option("-v", "--verbose", help="The same as -o wide.")] = False,
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List work queues in the order in which they are served."""
    client = connect()

    def read() -> Page:
        from runyard.operations.work_pools.list_workers import list_work_queues

        rows = client.call(list_work_queues, pool=pool, limit=ALL)
        page = cut([row for row in rows if row["name"].startswith(match or "")], limit)
        if output in ("json", "yaml"):
            from runyard.operations.work_pools import work_queues

            pools = dict.fromkeys(row["pool"] for row in page.rows)
            found = [each for name in pools for each in listed(client, work_queues.filter_work_queues, name)]
            by_id = {each.id: each for each in found}
            return page._replace(document=lambda row: by_id.get(row["id"], row))
        return page

    view = View(output or ("wide" if verbose else None), columns, sort, watch)
    show_list(QUEUES, read, view, client)


@work_queue.command("inspect", example="runyard work-queue inspect default --pool my-pool")
def inspect(name: Annotated[str, argument("NAME")], pool: Pool = None, output: Output = None) -> None:
    """Show one work queue and what is due next in it."""
    from runyard.operations.work_pools import work_queues
    from runyard.operations.work_pools.coming_runs import read_coming_runs

    from runyard_cli.commands.work_pool_show import coming_lines

    client = connect()
    queue = client.call(work_queues.read_work_queue, *_place_of(client, name, pool))
    if output:
        out.print_data(queue, output)
        return
    where = str(queue.work_pool_name)
    coming = client.call(read_coming_runs, where, work_queue_names=[queue.name], limit=_COMING)
    facts = [
        ("Pool", where),
        ("Description", queue.description),
        ("Priority", f"{queue.priority}; 1 is served first"),
        ("Slots", f"{of_limit(queue.active_slots, queue.concurrency_limit)} in use"),
        ("Last polled", queue.last_polled),
        ("Created", queue.created),
        ("ID", queue.id),
    ]
    sections = [
        Section("Queue", facts),
        Section("Next runs", lines=coming_lines(coming)),
    ]
    show_details(f"Work queue {where}/{queue.name}", sections, queue.status)
    if queue.is_paused:
        resume_ = command_of("runyard work-queue resume", queue.name)
        out.hint(f"No run of it starts until: {resume_} --pool {quoted(where)}")


def _set_paused(names: list[str], every: bool, pool: str | None, paused: bool, output: str | None) -> None:
    """Pause or resume queues by name, or all of a pool or of all pools."""
    from runyard.operations.work_pools import work_queues
    from runyard.operations.work_pools.list_workers import list_work_queues

    if bool(names) == every:
        raise WrongUsage("Name work queues, or give --all.")
    client = connect()
    if every:
        rows = client.call(list_work_queues, pool=pool, limit=ALL)
        places = [(row["pool"], row["name"]) for row in rows if (row["status"] == "PAUSED") is not paused]
    else:
        places = list(dict.fromkeys(_place_of(client, name, pool) for name in names))
    for place in places:
        change = body(work_queues.update_work_queue, is_paused=paused)
        client.call(work_queues.update_work_queue, *place, body=change)
    if output:
        now = [client.call(work_queues.read_work_queue, *place) for place in places]
        out.print_data(now if every or len(names) > 1 else now[0], output)
        return
    for where, name in places:
        out.done(f"{'Paused' if paused else 'Resumed'} work queue '{where}/{name}'.")
    if not places:
        out.say(f"No work queue is {'running' if paused else 'paused'}; nothing changed.")
    elif paused:
        where, name = places[0]
        again = f"{command_of('runyard work-queue resume', name)} --pool {quoted(where)}"
        again = (
            "runyard work-queue resume --all" + (f" --pool {quoted(pool)}" if pool else "")
            if every
            else again
        )
        out.hint(f"Running runs continue; no other run of it starts until: {again}")


Every = Annotated[bool, option("-a", "--all", help="All queues, of --pool or of all pools.")]


@work_queue.command("pause", example="runyard work-queue pause urgent --pool my-pool")
def pause(
    names: Annotated[list[str], words("NAME")],
    pool: Pool = None,
    every: Every = False,
    output: Output = None,
) -> None:
    """Start no more runs of queues; running ones continue."""
    _set_paused(names, every, pool, True, output)


@work_queue.command("resume", example="runyard work-queue resume urgent --pool my-pool")
def resume(
    names: Annotated[list[str], words("NAME")],
    pool: Pool = None,
    every: Every = False,
    output: Output = None,
) -> None:
    """Start runs of paused queues again."""
    _set_paused(names, every, pool, False, output)


@work_queue.command(
    "set-concurrency-limit", example="runyard work-queue set-concurrency-limit urgent 2 --pool my-pool"
)
def set_concurrency_limit(
    name: Annotated[str, argument("NAME")],
    limit: Annotated[int, argument("LIMIT", parser=count(0))],
    pool: Pool = None,
    output: Output = None,
) -> None:
    """Let a queue run at most LIMIT runs at once."""
    queue = _updated(name, pool, output, concurrency_limit=limit)
    if queue is not None:
        where = f"{queue.work_pool_name}/{queue.name}"
        out.done(f"Work queue '{where}' runs at most {limit} at once; running now: {queue.active_slots}.")


@work_queue.command(
    "clear-concurrency-limit", example="runyard work-queue clear-concurrency-limit urgent --pool my-pool"
)
def clear_concurrency_limit(
    name: Annotated[str, argument("NAME")], pool: Pool = None, output: Output = None
) -> None:
    """Remove a queue's limit."""
    queue = _updated(name, pool, output, concurrency_limit=None)
    if queue is not None:
        out.done(f"Work queue '{queue.work_pool_name}/{queue.name}' has no concurrency limit now.")


@work_queue.command("preview", example="runyard work-queue preview urgent --pool my-pool")
def preview(
    name: Annotated[str, argument("NAME")],
    pool: Pool = None,
    limit: Limit = 15,
    output: Output = None,
) -> None:
    """Show the waiting runs of a queue, the next first."""
    from runyard_cli.shared import upcoming

    client = connect()
    where, name = _place_of(client, name, pool)
    upcoming.preview(client, where, name, limit or None, output)


@work_queue.command("slots", example="runyard work-queue slots urgent --pool my-pool")
def slots(name: Annotated[str, argument("NAME")], pool: Pool = None, output: Output = None) -> None:
    """Show which runs hold a queue's slots."""
    from runyard.operations.work_pools import work_queues

    from runyard_cli.shared import upcoming

    client = connect()
    where, name = _place_of(client, name, pool)
    found = client.call(work_queues.read_work_queue, where, name)
    upcoming.slots(client, where, found.name, found.concurrency_limit, output)


@work_queue.command("read-runs", example="runyard work-queue read-runs urgent --pool my-pool")
def read_runs(name: Annotated[str, argument("NAME")], pool: Pool = None, output: Output = None) -> None:
    """Show the due runs of a queue that wait for a worker."""
    from datetime import UTC, datetime

    from runyard_cli.shared import upcoming

    client = connect()
    where, name = _place_of(client, name, pool)
    upcoming.preview(client, where, name, None, output, before=datetime.now(UTC))


@work_queue.command("delete", example="runyard work-queue delete urgent --pool my-pool")
def delete(
    name: Annotated[str, argument("NAME")], pool: Pool = None, yes: Yes = False, output: Output = None
) -> None:
    """Delete a work queue; its deployments and waiting runs move to the pool's default queue."""
    from runyard.operations.work_pools import work_queues

    client = connect()
    where, name = _place_of(client, name, pool)
    queue = client.call(work_queues.read_work_queue, where, name)
    if not yes and out.at_keyboard():
        out.confirm(f"Delete work queue '{where}/{name}'?{_affected(client, where, name)}", yes)
    client.call(work_queues.delete_work_queue, where, name)
    if _printed(queue, output) is not None:
        out.done(f"Deleted work queue '{where}/{name}'.")


def _affected(client: Client, pool: str, queue: str) -> str:
    """What else the deletion of a queue changes, for the question."""
    from runyard.operations.deployments.deployments import count_deployments
    from runyard.operations.flow_runs.flow_runs import count_flow_runs

    which = {"work_pools": {"name": {"any_": [pool]}}, "work_queues": {"name": {"any_": [queue]}}}
    deployments = client.call(count_deployments, body=body(count_deployments, **which))
    waiting = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    runs = client.call(count_flow_runs, body=body(count_flow_runs, **which, **waiting))
    if not (deployments or runs):
        return ""
    what = f"{counted(deployments, 'deployment')} and {counted(runs, 'waiting run')}"
    return f" {what} move to the pool's default queue."
