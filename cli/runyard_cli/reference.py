"""Writes the pages about the commands from the commands themselves.

`python -m runyard_cli.reference > docs/cli.md`; with `--man FOLDER` it writes man pages there.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import typer

from runyard_cli.main import cli
from runyard_cli.shared.app import Group
from runyard_cli.shared.markup import unescaped
from runyard_cli.tree import ALIASES, COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
* `runyard` alone shows where things stand, as `runyard status` does.
* Words of other programs work too: `runyard ps` (what runs), `runyard logs RUN` (also `why`, `cancel`,
  `retry` and `watch`), `runyard get pools`, `runyard describe deployment NAME`, `runyard help COMMAND`; in
  groups `list`, `show` and `rm`.
"""
_EXIT_CODES = (
    ("0", "Done."),
    ("1", "An error; one line on standard error says what is wrong and what to do."),
    ("2", "Wrong usage."),
    ("130", "Interrupted."),
)


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
    return f"`{name.removesuffix(' <str>')}`", unescaped(help)


def _table(title: str, rows: list[tuple[str, str]]) -> list[str]:
    cells = [(name.replace("|", "\\|"), " ".join(help.split()).replace("|", "\\|")) for name, help in rows]
    return [f"| {title} | |", "| --- | --- |", *(f"| {a} | {b} |" for a, b in cells), ""] if cells else []


def manual() -> dict[str, str]:
    """Man pages by the names of their files: one of `runyard`, and one of each command of it."""
    root = context_of(cli, "runyard")
    pages = {"runyard.1": _page([root])}
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        pages[f"runyard-{name}.1"] = _page(list(commands(command, context_of(command, name, root))))
    return pages


def _page(contexts: list[Any]) -> str:
    """A man page of a command and of those below it."""
    first, *below = contexts
    name = first.command_path.replace(" ", "-")
    lines = [f'.TH "{name.upper()}" "1" "" "runyard" "Runyard"', ".SH NAME"]
    lines += [f"{_roff(name)} \\- {_roff(_summary(first).rstrip('.'))}", ".SH SYNOPSIS", *_synopsis(first)]
    lines += [".SH DESCRIPTION", *_text(first), *_options(first, ".SH OPTIONS")]
    if first.parent is None:
        members = [(each.name, unescaped(each.help)) for each in first.command.app.members().values()]
        lines += [".SH COMMANDS", *_pairs((f"runyard {each}", help) for each, help in members)]
    elif below:
        lines.append(".SH COMMANDS")
        for context in below:
            lines += [f".SS {_roff(context.command_path)}", *_synopsis(context), ".PP", *_text(context)]
            lines += [*_options(context, ""), *_examples(context, ".PP")]
    lines += [*_examples(first, ".SH EXAMPLES"), ".SH EXIT STATUS", *_pairs(_EXIT_CODES)]
    see = "runyard" if first.parent is not None else "runyard-status"
    lines += [".SH SEE ALSO", f".BR {_roff(see)} (1)"]
    return "\n".join(lines) + "\n"


def _summary(context: Any) -> str:
    return unescaped(context.command.help or "").partition("\n\n")[0]


def _synopsis(context: Any) -> list[str]:
    usage = " ".join(context.get_usage().removeprefix("Usage: ").split())
    path = context.command_path
    return [f"\\fB{_roff(path)}\\fR{_roff(usage.removeprefix(path))}"]


def _text(context: Any) -> list[str]:
    return "\n.PP\n".join(
        _roff(part) for part in unescaped(context.command.help or "").split("\n\n")
    ).splitlines()


def _options(context: Any, title: str) -> list[str]:
    rows = [_parameter(each, context) for each in context.command.get_params(context) if not each.hidden]
    pairs = [(name.strip("`"), help) for name, help in filter(None, rows)]
    return [*([title] if title else []), *_pairs(pairs)] if pairs else []


def _pairs(rows: Iterable[tuple[str, str]]) -> list[str]:
    return [
        line
        for name, help in rows
        for line in (".TP", f"\\fB{_roff(name)}\\fR", _roff(" ".join(help.split())))
    ]


def _examples(context: Any, title: str) -> list[str]:
    lines = context.command.example.splitlines()
    return [title, ".nf", ".RS 2", *(_roff(line) for line in lines), ".RE", ".fi"] if lines else []


def _roff(text: str) -> str:
    """A text in which nothing is a request or an escape of roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = text.replace("^", "\\(ha").replace("~", "\\(ti")
    return f"\\&{text}" if text.startswith((".", "\\(aq")) else text


def main(arguments: list[str]) -> None:
    """Print docs/cli.md, or write the man pages into a folder: `--man FOLDER`."""
    if arguments[:1] == ["--man"]:
        (folder,) = arguments[1:]
        os.makedirs(folder, exist_ok=True)
        for name, page in manual().items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(page)
        return
    typer.echo(text(), nl=False)


if __name__ == "__main__":
    main(sys.argv[1:])
