"""`runyard concurrency-limit`: how many task runs with a tag run at once."""

from __future__ import annotations

from typing import Annotated

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.coercion import count
from runyard_cli.shared.options import Output, Yes, argument

concurrency_limit = App(
    "concurrency-limit",
    "Limit how many task runs with a tag run at once.",
    "runyard concurrency-limit create database 5",
)


@concurrency_limit.command("create", example="runyard concurrency-limit create database 5")
def create(
    tag: Annotated[str, argument("TAG")],
    limit: Annotated[int, argument("LIMIT", parser=count(0))],
    output: Output = None,
) -> None:
    """Let at most LIMIT task runs with TAG run at once; an earlier limit is replaced."""
    from runyard.operations.limits import tag_limits

    wanted = body(tag_limits.create_tag_limit, tag=tag, concurrency_limit=limit)
    made = connect().call(tag_limits.create_tag_limit, wanted)
    if output:
        out.print_data(made, output)
        return
    out.done(f"Limit set: {limit} task runs tagged '{tag}' at a time.")


@concurrency_limit.command("ls", example="runyard concurrency-limit ls -o json")
def ls(output: Output = None) -> None:
    """List the limits of tags."""
    from runyard.operations.limits import tag_limits

    found = list(listed(connect(), tag_limits.filter_tag_limits))
    if output:
        out.print_data(found, output)
        return
    rows = [[limit.tag, limit.concurrency_limit, len(limit.active_slots), limit.id] for limit in found]
    empty = "No tag has a limit; create one with: runyard concurrency-limit create TAG N"
    out.table("Concurrency limits of tags", ["Tag", "Concurrency limit", "Active slots", "ID"], rows, empty)


@concurrency_limit.command("inspect", example="runyard concurrency-limit inspect database")
def inspect(tag: Annotated[str, argument("TAG")], output: Output = None) -> None:
    """Show the limit of a tag, and which task runs hold its slots."""
    from runyard.operations.limits import tag_limits

    out.show(connect().call(tag_limits.read_limit_of_tag, tag), output)


@concurrency_limit.command("delete", example="runyard concurrency-limit delete database")
def delete(tag: Annotated[str, argument("TAG")], yes: Yes = False) -> None:
    """Delete the limit of a tag; task runs that hold its slots continue."""
    from runyard.operations.limits import tag_limits

    client = connect()
    client.call(tag_limits.read_limit_of_tag, tag)
    out.confirm(f"Delete the limit of the tag '{tag}'?", yes)
    client.call(tag_limits.delete_limit_of_tag, tag)
    out.done(f"Deleted the limit of the tag '{tag}'.")


@concurrency_limit.command("reset", example="runyard concurrency-limit reset database")
def reset(tag: Annotated[str, argument("TAG")]) -> None:
    """Free all slots of a tag's limit, also those that task runs hold now."""
    from runyard.operations.limits import tag_limits

    connect().call(tag_limits.reset_limit_of_tag, tag, body(tag_limits.reset_limit_of_tag))
    out.done(f"All slots of the tag '{tag}' are free.")
