"""Writes docs/cli.md from the commands themselves: `python -m runyard_cli.reference > docs/cli.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from runyard_cli.main import cli
from runyard_cli.shared.app import Group
from runyard_cli.shared.markup import unescaped
from runyard_cli.tree import ALIASES, COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Commands

Every command, as its own `--help` shows it. `runyard COMMAND --help` prints the same.

* `-o json` or `-o yaml`, on everything that shows or changes data, prints the API's objects. Lists
  also have `-o wide` (all columns, absolute times), `-o name` (only names), `--columns`, `--sort`,
  `--limit` and `--watch`.
* On a terminal, lists are tables; in a pipe, one row a line with tabs between the columns and no heading.
* A run or a deployment is named by its id, by a unique beginning of the id (at least four
  characters), or by its name where it is unique.
* Commands that delete something ask first on a terminal, and never elsewhere; `-y` answers yes.
* Exit codes: 0 done, 1 an error (one line on standard error), 2 wrong usage, 130 interrupted; `api` has
  [more](exit-codes.md).
* `--debug`, or `RUNYARD_DEBUG=1`, shows the traceback of an error.
"""


def commands(command: Any, context: Any) -> Iterator[Any]:
    """The context of a command and of all below it, in the order of their help."""
    yield context
    if isinstance(command, Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from commands(inner, context_of(inner, name, context))


def context_of(command: Any, name: str, parent: Any = None) -> Any:
    """The context in which a command shows its help."""
    return typer.Context(command, info_name=name, parent=parent, **command.context_settings)


def text() -> str:
    """The whole page."""
    plurals = {name: plural for plural, name in ALIASES.items()}
    parts = [_INTRODUCTION]
    for context in commands(cli, context_of(cli, "runyard")):
        level = 2 if context.parent is None or context.parent.parent is None else 3
        parts.append(f"{'#' * level} {context.command_path}\n")
        plural = plurals.get(context.info_name or "")
        if context.info_name in COMMANDS and plural and level == 2:
            parts.append(f"Also `runyard {plural}`.\n")
        parts.append(_described(context))
    return "\n".join(parts)


def _described(context: Any) -> str:
    """A command: what it does, how it is called, its arguments and options, its commands, an example."""
    command = context.command
    usage = context.get_usage().removeprefix("Usage: ")
    parts = [unescaped(command.help or ""), "", "```text", " ".join(usage.split()), "```", ""]
    rows = [_parameter(each, context) for each in command.get_params(context) if not each.hidden]
    parts += [*_table("Argument or option", [row for row in rows if row is not None])]
    if isinstance(command, Group):
        members = command.app.members().values()
        parts += _table("Command", [(f"`{each.name}`", unescaped(each.help)) for each in members])
    if command.example:
        parts += ["```sh", command.example, "```", ""]
    return "\n".join(parts)


def _parameter(parameter: Any, context: Any) -> tuple[str, str] | None:
    record = parameter.get_help_record(context)
    if record is None or parameter.name == "help":
        return None
    name, help = record
    return f"`{name}`", unescaped(help)


def _table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    cells = [(name.replace("|", "\\|"), " ".join(help.split()).replace("|", "\\|")) for name, help in rows]
    return [f"| {title} | |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in cells), ""] if cells else []


if __name__ == "__main__":
    typer.echo(text(), nl=False)
