"""`runyard work-queue`: a pool's queues, their priorities and limits."""

from __future__ import annotations

from typing import Any

import click

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Count, group, limit_option, output_option, yes_option
from runyard_cli.shared.client import body, connect, listed

work_queue = group(
    "work-queue",
    "Create and manage a pool's queues: priorities, limits, pauses.",
    "runyard work-queue create urgent --pool my-pool --priority 1",
)

_POOL = click.option(
    "-p", "--pool", help="The queue's pool; needed when several pools have a queue of this name."
)


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
@click.argument("name")
@click.option("-p", "--pool", help="Its pool; by default default-agent-pool, which is created if missing.")
@click.option("-q", "--priority", type=Count(1), help="1 is served first.")
@click.option("-l", "--limit", type=Count(0), help="How many of its runs at once.")
@click.option("--description", help="What the queue is for.")
@output_option
def create(
    name: str,
    pool: str | None,
    priority: int | None,
    limit: int | None,
    description: str | None,
    output: str | None,
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
        out.print_json(queue)
        return
    out.done(f"Created work queue '{queue.work_pool_name}/{queue.name}' with priority {queue.priority}.")


@work_queue.command("ls", example="runyard work-queue ls --pool my-pool")
@click.option("-p", "--pool", help="Only this pool's.")
@click.option("-m", "--match", metavar="PREFIX", help="Only those whose name begins so.")
@click.option("-v", "--verbose", is_flag=True, help="Show when they were last polled, and descriptions.")
@output_option
def ls(pool: str | None, match: str | None, verbose: bool, output: str | None) -> None:
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
        out.print_json([queue for _, queue in queues])
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
@click.argument("name")
@_POOL
@output_option
def inspect(name: str, pool: str | None, output: str | None) -> None:
    """Show one work queue."""
    from runyard.operations.work_pools import work_queues

    client = connect()
    out.show(client.call(work_queues.read_work_queue, _pool_of(client, name, pool), name), output)


@work_queue.command("pause", example="runyard work-queue pause urgent --pool my-pool")
@click.argument("name")
@_POOL
def pause(name: str, pool: str | None) -> None:
    """Start no more runs of a queue; running ones continue."""
    out.done(f"Paused {_update(name, pool, is_paused=True)}.")


@work_queue.command("resume", example="runyard work-queue resume urgent --pool my-pool")
@click.argument("name")
@_POOL
def resume(name: str, pool: str | None) -> None:
    """Start runs of a paused queue again."""
    out.done(f"Resumed {_update(name, pool, is_paused=False)}.")


@work_queue.command(
    "set-concurrency-limit", example="runyard work-queue set-concurrency-limit urgent 2 --pool my-pool"
)
@click.argument("name")
@click.argument("limit", type=Count(0))
@_POOL
def set_concurrency_limit(name: str, limit: int, pool: str | None) -> None:
    """Let a queue run at most LIMIT runs at once."""
    where = _update(name, pool, concurrency_limit=limit)
    out.done(f"{where[0].upper() + where[1:]} runs at most {limit} at once.")


@work_queue.command(
    "clear-concurrency-limit", example="runyard work-queue clear-concurrency-limit urgent --pool my-pool"
)
@click.argument("name")
@_POOL
def clear_concurrency_limit(name: str, pool: str | None) -> None:
    """Remove a queue's limit."""
    out.done(f"Removed the concurrency limit of {_update(name, pool, concurrency_limit=None)}.")


@work_queue.command("preview", example="runyard work-queue preview urgent --pool my-pool")
@click.argument("name")
@_POOL
@limit_option
@output_option
def preview(name: str, pool: str | None, limit: int, output: str | None) -> None:
    """Show the waiting runs of a queue, the next first."""
    from runyard.operations.work_pools import work_queues

    from runyard_cli.shared import upcoming

    client = connect()
    where = _pool_of(client, name, pool)
    found = client.call(work_queues.read_work_queue, where, name)
    upcoming.preview(client, where, found.name, limit, output)


@work_queue.command("slots", example="runyard work-queue slots urgent --pool my-pool")
@click.argument("name")
@_POOL
@output_option
def slots(name: str, pool: str | None, output: str | None) -> None:
    """Show which runs hold a queue's slots."""
    from runyard.operations.work_pools import work_queues

    from runyard_cli.shared import upcoming

    client = connect()
    where = _pool_of(client, name, pool)
    found = client.call(work_queues.read_work_queue, where, name)
    upcoming.slots(client, where, found.name, found.concurrency_limit, output)


@work_queue.command("read-runs", example="runyard work-queue read-runs urgent --pool my-pool")
@click.argument("name")
@_POOL
@output_option
def read_runs(name: str, pool: str | None, output: str | None) -> None:
    """Show the due runs of a queue that wait for a worker."""
    from datetime import UTC, datetime

    from runyard.operations.work_pools import work_queues

    from runyard_cli.shared import upcoming

    client = connect()
    where = _pool_of(client, name, pool)
    found = client.call(work_queues.read_work_queue, where, name)
    upcoming.preview(client, where, found.name, None, output, before=datetime.now(UTC))


@work_queue.command("delete", example="runyard work-queue delete urgent --pool my-pool")
@click.argument("name")
@_POOL
@yes_option
def delete(name: str, pool: str | None, yes: bool) -> None:
    """Delete a work queue."""
    from runyard.operations.work_pools import work_queues

    client = connect()
    where = _pool_of(client, name, pool)
    client.call(work_queues.read_work_queue, where, name)
    out.confirm(f"Delete work queue '{where}/{name}'?", yes)
    client.call(work_queues.delete_work_queue, where, name)
    out.done(f"Deleted work queue '{where}/{name}'.")
