"""`runyard concurrency-limit`: how many task runs with a tag run at once."""

from __future__ import annotations

from typing import Annotated, Any

from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared import slot_uses
from runyard_cli.shared.app import App
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.coercion import count
from runyard_cli.shared.details import Section, show_details
from runyard_cli.shared.lists import Column, Listing, Page, View, cut, show_list
from runyard_cli.shared.options import Columns, Limit, ListOutput, Output, Sort, Watch, Yes, argument

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
    out.hint(f"See what uses it with: {command_of('runyard concurrency-limit inspect', tag)}")


TAGS = Listing(
    "Concurrency limits of tags",
    (
        Column("Tag", lambda limit: limit.tag, "name"),
        Column("In use", lambda limit: len(limit.active_slots)),
        Column("Limit", lambda limit: limit.concurrency_limit),
        Column("Created", lambda limit: limit.created, "time", wide=True),
        Column("ID", lambda limit: limit.id, "id"),
    ),
    "No tag has a limit; create one with: runyard concurrency-limit create TAG N",
)


@concurrency_limit.command("ls", example="runyard concurrency-limit ls -o json")
def ls(
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the limits of tags."""
    from runyard.operations.limits import tag_limits

    client = connect()

    def read() -> Page:
        return cut(list(listed(client, tag_limits.filter_tag_limits)), limit)

    show_list(TAGS, read, View(output, columns, sort, watch), client)


@concurrency_limit.command("inspect", example="runyard concurrency-limit inspect database")
def inspect(tag: Annotated[str, argument("TAG")], output: Output = None) -> None:
    """Show the limit of a tag, which task runs hold its slots, and which wait for them."""
    from runyard.operations.limits import tag_limits

    client = connect()
    limit = client.call(tag_limits.read_limit_of_tag, tag)
    uses = _uses(client, limit)
    if output:
        out.print_data({**out.to_json(limit), **out.to_json(uses)}, output)
        return
    facts = [
        ("Slots", f"{len(limit.active_slots)} of {limit.concurrency_limit} in use"),
        ("Created", limit.created),
        ("ID", limit.id),
    ]
    show_details(f"Limit of the tag {limit.tag}", [Section("Limit", facts), *slot_uses.sections(uses)])


@concurrency_limit.command("delete", example="runyard concurrency-limit delete database")
def delete(tag: Annotated[str, argument("TAG")], yes: Yes = False, output: Output = None) -> None:
    """Delete the limit of a tag; task runs that hold its slots continue."""
    from runyard.operations.limits import tag_limits

    client = connect()
    limit = client.call(tag_limits.read_limit_of_tag, tag)
    out.confirm(f"Delete the limit of the tag '{tag}'?{slot_uses.affected(_uses(client, limit))}", yes)
    client.call(tag_limits.delete_limit_of_tag, tag)
    if output:
        out.print_data(limit, output)
        return
    out.done(f"Deleted the limit of the tag '{tag}'.")


@concurrency_limit.command("reset", example="runyard concurrency-limit reset database")
def reset(tag: Annotated[str, argument("TAG")], output: Output = None) -> None:
    """Free all slots of a tag's limit, also those that task runs hold now."""
    from runyard.operations.limits import tag_limits

    client = connect()
    held = len(client.call(tag_limits.read_limit_of_tag, tag).active_slots)
    client.call(tag_limits.reset_limit_of_tag, tag, body(tag_limits.reset_limit_of_tag))
    if output:
        out.print_data(client.call(tag_limits.read_limit_of_tag, tag), output)
        return
    out.done(f"Freed {counted(held, 'slot')} of the tag '{tag}'; all are free now.")


def _uses(client: Any, limit: Any) -> Any:
    from runyard.operations.limits.slot_holders import read_limit_holders

    return client.call(read_limit_holders, limit.id)
