"""`runyard global-concurrency-limit`, or `gcl`: limits by name, that any code takes slots of."""

from __future__ import annotations

from typing import Any

import click
from runyard.base.texts import counted

from runyard_cli.shared import output as out
from runyard_cli.shared.click_classes import Count, Number, group, output_option, yes_option
from runyard_cli.shared.client import body, connect, listed

global_concurrency_limit = group(
    "global-concurrency-limit",
    "Limits by name: how much runs at the same time, or how often.",
    "runyard global-concurrency-limit create database --limit 5",
)

_decay_option = click.option(
    "--slot-decay-per-second", type=Number(), help="How many slots become free by themselves each second."
)
_slots_option = click.option("--active-slots", type=Count(0), help="How many slots count as in use.")


@global_concurrency_limit.command(
    "create",
    example="runyard global-concurrency-limit create database --limit 5\n"
    "runyard global-concurrency-limit create api --limit 10 --slot-decay-per-second 2",
)
@click.argument("name")
@click.option("-l", "--limit", type=Count(0), required=True, help="How many slots there are.")
@click.option("--active/--inactive", default=True, help="Whether the limit is in force.")
@click.option("--disable", is_flag=True, help="The same as --inactive.")
@_slots_option
@_decay_option
@output_option
def create(
    name: str,
    limit: int,
    active: bool,
    disable: bool,
    active_slots: int | None,
    slot_decay_per_second: float | None,
    output: str | None,
) -> None:
    """Create a limit."""
    from runyard.operations.limits import concurrency_limits as operations

    fields = _given(active_slots=active_slots, slot_decay_per_second=slot_decay_per_second)
    wanted = body(
        operations.create_concurrency_limit, name=name, limit=limit, active=active and not disable, **fields
    )
    made = connect().call(operations.create_concurrency_limit, wanted)
    if output:
        out.print_json(made)
        return
    state = "" if made.active else ", which is inactive"
    out.done(f"Created limit '{name}' of {counted(limit, 'slot')}{state}.")


@global_concurrency_limit.command("ls", example="runyard global-concurrency-limit ls -o json")
@output_option
def ls(output: str | None) -> None:
    """List the limits; limits of tags are named `tag:` and the tag."""
    from runyard.operations.limits import concurrency_limits as operations

    found = list(listed(connect(), operations.filter_concurrency_limits))
    if output:
        out.print_json(found)
        return
    names = ["name", "active", "limit", "active_slots", "slot_decay_per_second", "id"]
    rows = [[_cell(getattr(limit, name)) for name in names] for limit in found]
    empty = "No limits; create one with: runyard global-concurrency-limit create NAME --limit N"
    out.table("Global concurrency limits", [out.heading(name) for name in names], rows, empty)


@global_concurrency_limit.command("inspect", example="runyard global-concurrency-limit inspect database")
@click.argument("name")
@output_option
def inspect(name: str, output: str | None) -> None:
    """Show one limit, and how many of its slots are in use."""
    from runyard.operations.limits import concurrency_limits as operations

    out.show(connect().call(operations.read_concurrency_limit, name), output)


@global_concurrency_limit.command(
    "update", example="runyard global-concurrency-limit update database --limit 8"
)
@click.argument("name")
@click.option("-l", "--limit", type=Count(0), help="How many slots there are.")
@click.option("--enable", is_flag=True, help="Turn the limit on.")
@click.option("--disable", is_flag=True, help="Turn the limit off.")
@_slots_option
@_decay_option
def update(
    name: str,
    limit: int | None,
    enable: bool,
    disable: bool,
    active_slots: int | None,
    slot_decay_per_second: float | None,
) -> None:
    """Update a limit; what is not given stays."""
    if enable and disable:
        raise click.UsageError("--enable and --disable exclude each other.")
    active = True if enable else False if disable else None
    fields = _given(
        limit=limit, active=active, active_slots=active_slots, slot_decay_per_second=slot_decay_per_second
    )
    if not fields:
        raise click.UsageError("Nothing to change; give one of the options.")
    _update(name, **fields)
    out.done(f"Updated limit '{name}'.")


@global_concurrency_limit.command("enable", example="runyard global-concurrency-limit enable database")
@click.argument("name")
def enable(name: str) -> None:
    """Turn a limit on."""
    _update(name, active=True)
    out.done(f"Limit '{name}' is on.")


@global_concurrency_limit.command("disable", example="runyard global-concurrency-limit disable database")
@click.argument("name")
def disable(name: str) -> None:
    """Turn a limit off until it is enabled again."""
    _update(name, active=False)
    out.done(f"Limit '{name}' is off.")


@global_concurrency_limit.command("delete", example="runyard global-concurrency-limit delete database")
@click.argument("name")
@yes_option
def delete(name: str, yes: bool) -> None:
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
