"""Options that many commands share, each declared once; and short words to declare others."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from runyard_cli.shared.coercion import count, number
from runyard_cli.shared.markup import escaped


def option(*names: str, help: str, **fields: Any) -> Any:
    """An option: its names, such as `-t` and `--type`, its help, and as for `typer.Option`."""
    return typer.Option(*names, help=escaped(help), show_default=fields.pop("show_default", False), **fields)


def many(*names: str, help: str, **fields: Any) -> Any:
    """An option that may be given several times; without it the list is empty."""
    return option(*names, help=help, default_factory=list, **fields)


def argument(metavar: str, help: str = "", **fields: Any) -> Any:
    """An argument, as `typer.Argument`."""
    return typer.Argument(metavar=metavar, help=escaped(help) or None, show_default=False, **fields)


def words(metavar: str, help: str = "", **fields: Any) -> Any:
    """An argument that takes all words that are left; it may be none."""
    return argument(metavar, help=help, default_factory=list, **fields)


def whole(*names: str, help: str, least: int = 0, **fields: Any) -> Any:
    """An option that takes a whole number of things, at least `least`."""
    fields.setdefault("metavar", "N")
    return option(*names, help=help, parser=count(least), **fields)


def seconds(*names: str, help: str, **fields: Any) -> Any:
    """An option that takes a number that is not negative, such as seconds."""
    fields.setdefault("metavar", "SECONDS")
    return option(*names, help=help, parser=number, **fields)


Output = Annotated[
    Literal["json", "yaml"] | None, option("-o", "--output", help="Print JSON or YAML instead of text.")
]
ListOutput = Annotated[
    Literal["json", "yaml", "wide", "name"] | None,
    option("-o", "--output", help="Print JSON, YAML, all columns or only names."),
]
Yes = Annotated[bool, option("-y", "--yes", help="Do not ask.")]
Limit = Annotated[int, whole("-l", "--limit", help="How many at most; 0 shows all.", show_default=True)]
Columns = Annotated[
    str | None, option("--columns", metavar="NAMES", help="Show these columns: names with commas between.")
]
Sort = Annotated[
    str | None, option("--sort", metavar="COLUMN", help="Sort by a column; -COLUMN sorts the other way.")
]
Watch = Annotated[bool, option("--watch", help="Show the list again when something changes; Ctrl-C ends it.")]
DryRun = Annotated[bool, option("--dry-run", help="Show what would change; change nothing.")]
Entrypoint = Annotated[
    str | None,
    option(
        "-e",
        "--entrypoint",
        metavar="FILE:FLOW",
        help="The code of a run without a deployment; it runs in this process.",
    ),
]
