"""`runyard global-concurrency-limit`, or `gcl`: limits by name, that any code takes slots of."""

from __future__ import annotations

from typing import Annotated, Any

from runyard.base.quoting import command_of
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared import slot_uses
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect, listed
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
    seconds,
    whole,
)

global_concurrency_limit = App(
    "global-concurrency-limit",
    "Limits by name: how much runs at the same time, or how often.",
    "runyard global-concurrency-limit create database --limit 5",
)

Decay = Annotated[
    float | None,
    seconds(
        "--slot-decay-per-second",
        metavar="NUMBER",
        help="How many slots become free by themselves each second.",
    ),
]
ActiveSlots = Annotated[int | None, whole("--active-slots", help="How many slots count as in use.")]


@global_concurrency_limit.command(
    "create",
    example="""runyard global-concurrency-limit create database --limit 5
        runyard global-concurrency-limit create api --limit 10 --slot-decay-per-second 2""",
)
def create(
    name: Annotated[str, argument("NAME")],
    limit: Annotated[int, whole("-l", "--limit", help="How many slots there are.")],
    active: Annotated[bool, option("--active/--inactive", help="Whether the limit is in force.")] = True,
    disable: Annotated[bool, option("--disable", help="The same as --inactive.")] = False,
    output: Output = None,
    active_slots: ActiveSlots = None,
    slot_decay_per_second: Decay = None,
) -> None:
    """Create a limit."""
    from runyard.operations.limits import concurrency_limits as operations

    fields = _given(active_slots=active_slots, slot_decay_per_second=slot_decay_per_second)
    wanted = body(
        operations.create_concurrency_limit, name=name, limit=limit, active=active and not disable, **fields
    )
    made = connect().call(operations.create_concurrency_limit, wanted)
    if output:
        out.print_data(made, output)
        return
    state = "" if made.active else ", which is inactive"
    out.done(f"Created limit '{name}' of {counted(limit, 'slot')}{state}.")
    out.hint("Use it in a flow or task with: from runyard.concurrency.sync import concurrency")


LIMITS = Listing(
    "Global concurrency limits",
    (
        Column("Name", lambda limit: limit.name, "name"),
        Column("Status", lambda limit: "on" if limit.active else "off"),
        Column("In use", lambda limit: limit.active_slots),
        Column("Limit", lambda limit: limit.limit),
        Column(
            "Decay",
            lambda limit: f"{limit.slot_decay_per_second:g}/s" if limit.slot_decay_per_second else None,
        ),
        Column("Denied", lambda limit: limit.denied_slots, wide=True),
        Column("Created", lambda limit: limit.created, "time", wide=True),
        Column("ID", lambda limit: limit.id, "id"),
    ),
    "No limits; create one with: runyard global-concurrency-limit create NAME --limit N",
)


@global_concurrency_limit.command("ls", example="runyard global-concurrency-limit ls -o json")
def ls(
    limit: Limit = 0,
    sort: Sort = None,
    columns: Columns = None,
    watch: Watch = False,
    output: ListOutput = None,
) -> None:
    """List the limits; limits of tags are named `tag:` and the tag."""
    from runyard.operations.limits import concurrency_limits as operations

    client = connect()

    def read() -> Page:
        return cut(list(listed(client, operations.filter_concurrency_limits)), limit)

    show_list(LIMITS, read, View(output, columns, sort, watch), client)


@global_concurrency_limit.command("inspect", example="runyard global-concurrency-limit inspect database")
def inspect(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Show one limit, which runs hold its slots, and which wait for them."""
    from runyard.operations.limits import concurrency_limits as operations
    from runyard.operations.limits.slot_holders import read_limit_holders

    client = connect()
    limit = client.call(operations.read_concurrency_limit, name)
    uses = client.call(read_limit_holders, name)
    if output:
        out.print_data({**out.to_json(limit), **out.to_json(uses)}, output)
        return
    decay = limit.slot_decay_per_second
    facts = [
        ("Slots", _slots(limit)),
        ("Decay", f"{decay:g} slots become free each second" if decay else None),
        ("Denied", f"{limit.denied_slots:,} requests" if limit.denied_slots else None),
        ("Created", limit.created),
        ("ID", limit.id),
    ]
    show_details(
        f"Limit {limit.name}",
        [Section("Limit", facts), *slot_uses.sections(uses)],
        None if limit.active else "off",
    )
    if not limit.active:
        out.hint(f"Turn it on with: {command_of('runyard global-concurrency-limit enable', limit.name)}")


@global_concurrency_limit.command(
    "update", example="runyard global-concurrency-limit update database --limit 8"
)
def update(
    name: Annotated[str, argument("NAME")],
    limit: Annotated[int | None, whole("-l", "--limit", help="How many slots there are.")] = None,
    enable: Annotated[bool, option("--enable", help="Turn the limit on.")] = False,
    disable: Annotated[bool, option("--disable", help="Turn the limit off.")] = False,
    active_slots: ActiveSlots = None,
    slot_decay_per_second: Decay = None,
    output: Output = None,
) -> None:
    """Update a limit; what is not given stays."""
    if enable and disable:
        raise WrongUsage("--enable and --disable exclude each other.")
    active = True if enable else False if disable else None
    fields = _given(
        limit=limit, active=active, active_slots=active_slots, slot_decay_per_second=slot_decay_per_second
    )
    if not fields:
        raise WrongUsage("Nothing to change; give one of the options.")
    changed = _update(name, output, **fields)
    if changed is not None:
        out.done(f"Updated limit '{name}': {_slots(changed)}{'' if changed.active else ', off'}.")


@global_concurrency_limit.command("enable", example="runyard global-concurrency-limit enable database")
def enable(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Turn a limit on."""
    changed = _update(name, output, active=True)
    if changed is not None:
        out.done(f"Limit '{name}' is on: {_slots(changed)}.")


@global_concurrency_limit.command("disable", example="runyard global-concurrency-limit disable database")
def disable(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Turn a limit off until it is enabled again."""
    if _update(name, output, active=False) is not None:
        out.done(f"Limit '{name}' is off: it limits nothing.")
        out.hint(f"Turn it on with: {command_of('runyard global-concurrency-limit enable', name)}")


@global_concurrency_limit.command("delete", example="runyard global-concurrency-limit delete database")
def delete(name: Annotated[str, argument("NAME")], yes: Yes = False, output: Output = None) -> None:
    """Delete a limit; runs that hold its slots continue."""
    from runyard.operations.limits import concurrency_limits as operations
    from runyard.operations.limits.slot_holders import read_limit_holders

    client = connect()
    found = client.call(operations.read_concurrency_limit, name)
    uses = client.call(read_limit_holders, name)
    out.confirm(f"Delete the limit '{found.name}'?{slot_uses.affected(uses)}", yes)
    client.call(operations.delete_concurrency_limit, name)
    if output:
        out.print_data(found, output)
        return
    out.done(f"Deleted limit '{found.name}'.")


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _update(name: str, output: str | None, **fields: Any) -> Any:
    """Update a limit. Returns it as it is now; None if it was printed as JSON or YAML."""
    from runyard.operations.limits import concurrency_limits as operations

    client = connect()
    wanted = body(operations.update_concurrency_limit, **fields)
    client.call(operations.update_concurrency_limit, name, wanted)
    changed = client.call(operations.read_concurrency_limit, name)
    if not output:
        return changed
    out.print_data(changed, output)
    return None


def _slots(limit: Any) -> str:
    return f"{limit.active_slots} of {counted(limit.limit, 'slot')} in use"
