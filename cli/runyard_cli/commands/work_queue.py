"""`runyard work-queue`: a pool's queues, their priorities and limits."""

from __future__ import annotations

from typing import Annotated, Any

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.coercion import count
from runyard_cli.shared.options import Limit, Output, Yes, argument, option, whole

work_queue = App(
    "work-queue",
    "Create and manage a pool's queues: priorities, limits, pauses.",
    "runyard work-queue create urgent --pool my-pool --priority 1",
)

Pool = Annotated[
    str | None,
    option("-p", "--pool", help="The queue's pool; needed when several pools have a queue of this name."),
]


def _pool_of(client: Any, name: str, pool: str | None) -> str:
    from runyard.base.errors import Conflict, NotFound
    from runyard.operations.work_pools import work_pools, work_queues

    if pool is not None:
        return pool
    found = [
        candidate.name
        for candidate in listed(client, work_pools.filter_work_pools)
        for queue in listed(client, work_queues.filter_work_queues, candidate.name)
        if queue.name == name
    ]
    if not found:
        raise NotFound(f"work queue '{name}' not found; see: runyard work-queue ls")
    if len(found) > 1:
        raise Conflict(f"the pools {', '.join(found)} have a queue '{name}'; choose with --pool")
    return found[0]


def _update(name: str, pool: str | None, **fields: Any) -> str:
    from runyard.operations.work_pools import work_queues

    client = connect()
    where = _pool_of(client, name, pool)
    change = body(work_queues.update_work_queue, **fields)
    client.call(work_queues.update_work_queue, where, name, body=change)
    return f"work queue '{where}/{name}'"


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


@work_queue.command("ls", example="runyard work-queue ls --pool my-pool")
def ls(
    pool: Annotated[str | None, option("-p", "--pool", help="Only this pool's.")] = None,
    match: Annotated[
        str | None, option("-m", "--match", help="Only those whose name begins so.", metavar="PREFIX")
    ] = None,
    verbose: Annotated[
        bool, option("-v", "--verbose", help="Show when they were last polled, and descriptions.")
    ] = False,
    output: Output = None,
) -> None:
    """List work queues in the order in which they are served."""
    from runyard.operations.work_pools import work_pools, work_queues

    client = connect()
    names = [pool] if pool else [each.name for each in listed(client, work_pools.filter_work_pools)]
    queues = [
        (name, queue)
        for name in names
        for queue in listed(client, work_queues.filter_work_queues, name)
        if queue.name.startswith(match or "")
    ]
    if output:
        out.print_data([queue for _, queue in queues], output)
        return
    rows = [
        [name, queue.name, queue.priority, queue.status, queue.id, queue.concurrency_limit]
        for name, queue in queues
    ]
    columns = ["Pool", "Name", "Priority", "Status", "ID", "Concurrency limit"]
    if verbose:
        columns += ["Last polled", "Description"]
        for row, (_, queue) in zip(rows, queues, strict=True):
            row += [out.ago(queue.last_polled), queue.description]
    out.table("Work queues", columns, rows, "No work queues; every work pool has one named default.")


@work_queue.command("inspect", example="runyard work-queue inspect default --pool my-pool")
def inspect(name: Annotated[str, argument("NAME")], output: Output = None, pool: Pool = None) -> None:
    """Show one work queue."""
    from runyard.operations.work_pools import work_queues

    client = connect()
    out.show(client.call(work_queues.read_work_queue, _pool_of(client, name, pool), name), output)


@work_queue.command("pause", example="runyard work-queue pause urgent --pool my-pool")
def pause(name: Annotated[str, argument("NAME")], pool: Pool = None) -> None:
    """Start no more runs of a queue; running ones continue."""
    out.done(f"Paused {_update(name, pool, is_paused=True)}.")


@work_queue.command("resume", example="runyard work-queue resume urgent --pool my-pool")
def resume(name: Annotated[str, argument("NAME")], pool: Pool = None) -> None:
    """Start runs of a paused queue again."""
    out.done(f"Resumed {_update(name, pool, is_paused=False)}.")


@work_queue.command(
    "set-concurrency-limit", example="runyard work-queue set-concurrency-limit urgent 2 --pool my-pool"
)
def set_concurrency_limit(
    name: Annotated[str, argument("NAME")],
    limit: Annotated[int, argument("LIMIT", parser=count(0))],
    pool: Pool = None,
) -> None:
    """Let a queue run at most LIMIT runs at once."""
    where = _update(name, pool, concurrency_limit=limit)
    out.done(f"{where[0].upper() + where[1:]} runs at most {limit} at once.")


@work_queue.command(
    "clear-concurrency-limit", example="runyard work-queue clear-concurrency-limit urgent --pool my-pool"
)
def clear_concurrency_limit(name: Annotated[str, argument("NAME")], pool: Pool = None) -> None:
    """Remove a queue's limit."""
    out.done(f"Removed the concurrency limit of {_update(name, pool, concurrency_limit=None)}.")


@work_queue.command("preview", example="runyard work-queue preview urgent --pool my-pool")
def preview(
    name: Annotated[str, argument("NAME")], limit: Limit = 15, output: Output = None, pool: Pool = None
) -> None:
    """Show the waiting runs of a queue, the next first."""
    from runyard.operations.work_pools import work_queues

    from runyard_cli.shared import upcoming

    client = connect()
    where = _pool_of(client, name, pool)
    found = client.call(work_queues.read_work_queue, where, name)
    upcoming.preview(client, where, found.name, limit, output)


@work_queue.command("slots", example="runyard work-queue slots urgent --pool my-pool")
def slots(name: Annotated[str, argument("NAME")], output: Output = None, pool: Pool = None) -> None:
    """Show which runs hold a queue's slots."""
    from runyard.operations.work_pools import work_queues

    from runyard_cli.shared import upcoming

    client = connect()
    where = _pool_of(client, name, pool)
    found = client.call(work_queues.read_work_queue, where, name)
    upcoming.slots(client, where, found.name, found.concurrency_limit, output)


@work_queue.command("read-runs", example="runyard work-queue read-runs urgent --pool my-pool")
def read_runs(name: Annotated[str, argument("NAME")], output: Output = None, pool: Pool = None) -> None:
    """Show the due runs of a queue that wait for a worker."""
    from datetime import UTC, datetime

    from runyard.operations.work_pools import work_queues

    from runyard_cli.shared import upcoming

    client = connect()
    where = _pool_of(client, name, pool)
    found = client.call(work_queues.read_work_queue, where, name)
    upcoming.preview(client, where, found.name, None, output, before=datetime.now(UTC))


@work_queue.command("delete", example="runyard work-queue delete urgent --pool my-pool")
def delete(name: Annotated[str, argument("NAME")], yes: Yes = False, pool: Pool = None) -> None:
    """Delete a work queue."""
    from runyard.operations.work_pools import work_queues

    client = connect()
    where = _pool_of(client, name, pool)
    client.call(work_queues.read_work_queue, where, name)
    out.confirm(f"Delete work queue '{where}/{name}'?", yes)
    client.call(work_queues.delete_work_queue, where, name)
    out.done(f"Deleted work queue '{where}/{name}'.")
