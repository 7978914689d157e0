"""Writes docs/cli.md from the commands themselves: `python -m runyard_cli.reference > docs/cli.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runyard_cli.main import cli
from runyard_cli.tree import ALIASES, COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

_INTRODUCTION = """\
# Commands

Every command, as its own `--help` shows it. `runyard COMMAND --help` prints the same.

* `-o json`, on everything that shows data, prints the API's objects as JSON.
* On a terminal, lists are tables; in a pipe, aligned text without colours.
* A run or a deployment is named by its id, by a unique beginning of the id (at least four
  characters), or by its name where it is unique.
* Commands that delete something ask first on a terminal, and never elsewhere; `-y` answers yes.
* Exit codes: 0 done, 1 an error (one line on standard error), 2 wrong usage, 130 interrupted; `api` has
  [more](exit-codes.md).
* `--debug`, or `RUNYARD_DEBUG=1`, shows the traceback of an error.
"""


def commands(command: click.Command, context: click.Context) -> Iterator[click.Context]:
    """The context of a command and of all below it, in the order of their help."""
    yield context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from commands(inner, context_of(inner, name, context))


def context_of(command: click.Command, name: str, parent: click.Context | None = None) -> click.Context:
    """The context in which a command shows its help."""
    return click.Context(command, info_name=name, parent=parent, **command.context_settings)


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
        parts.append(f"```\n{_help(context)}\n```\n")
    return "\n".join(parts)


def _help(context: click.Context) -> str:
    # The same on every machine, whatever the terminal.
    context.terminal_width = 90
    return context.command.get_help(context).rstrip()


if __name__ == "__main__":
    click.echo(text(), nl=False)
