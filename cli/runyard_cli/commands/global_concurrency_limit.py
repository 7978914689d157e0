"""`runyard global-concurrency-limit`, or `gcl`: limits by name, that any code takes slots of."""

from __future__ import annotations

from typing import Annotated, Any

from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared.app import App, WrongUsage
from runyard_cli.shared.client import body, connect, listed
from runyard_cli.shared.options import Output, Yes, argument, option, seconds, whole

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


@global_concurrency_limit.command("ls", example="runyard global-concurrency-limit ls -o json")
def ls(output: Output = None) -> None:
    """List the limits; limits of tags are named `tag:` and the tag."""
    from runyard.operations.limits import concurrency_limits as operations

    found = list(listed(connect(), operations.filter_concurrency_limits))
    if output:
        out.print_data(found, output)
        return
    names = ["name", "active", "limit", "active_slots", "slot_decay_per_second", "id"]
    rows = [[_cell(getattr(limit, name)) for name in names] for limit in found]
    empty = "No limits; create one with: runyard global-concurrency-limit create NAME --limit N"
    out.table("Global concurrency limits", [out.heading(name) for name in names], rows, empty)


@global_concurrency_limit.command("inspect", example="runyard global-concurrency-limit inspect database")
def inspect(name: Annotated[str, argument("NAME")], output: Output = None) -> None:
    """Show one limit, and how many of its slots are in use."""
    from runyard.operations.limits import concurrency_limits as operations

    out.show(connect().call(operations.read_concurrency_limit, name), output)


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
    _update(name, **fields)
    out.done(f"Updated limit '{name}'.")


@global_concurrency_limit.command("enable", example="runyard global-concurrency-limit enable database")
def enable(name: Annotated[str, argument("NAME")]) -> None:
    """Turn a limit on."""
    _update(name, active=True)
    out.done(f"Limit '{name}' is on.")


@global_concurrency_limit.command("disable", example="runyard global-concurrency-limit disable database")
def disable(name: Annotated[str, argument("NAME")]) -> None:
    """Turn a limit off until it is enabled again."""
    _update(name, active=False)
    out.done(f"Limit '{name}' is off.")


@global_concurrency_limit.command("delete", example="runyard global-concurrency-limit delete database")
def delete(name: Annotated[str, argument("NAME")], yes: Yes = False) -> None:
    """Delete a limit; runs that hold its slots continue."""
    from runyard.operations.limits import concurrency_limits as operations

    client = connect()
    client.call(operations.read_concurrency_limit, name)
    out.confirm(f"Delete the limit '{name}'?", yes)
    client.call(operations.delete_concurrency_limit, name)
    out.done(f"Deleted limit '{name}'.")


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _update(name: str, **fields: Any) -> None:
    from runyard.operations.limits import concurrency_limits as operations

    wanted = body(operations.update_concurrency_limit, **fields)
    connect().call(operations.update_concurrency_limit, name, wanted)


def _cell(value: Any) -> Any:
    return ("yes" if value else "no") if isinstance(value, bool) else value
