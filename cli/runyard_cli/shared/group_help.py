"""The help of groups: panels as Typer draws them, without rich, whose import is half of such a help."""

from __future__ import annotations

import shutil
import textwrap
from typing import Any

import typer

from runyard_cli.shared.markup import unescaped

_WIDEST = 100


def write(group: Any, context: Any, formatter: Any) -> None:
    """Write the help of a group.

    Args:
        group: a `Group`, whose commands stand in panels.
        context: of the group.
        formatter: takes the text.
    """
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    usage = context.get_usage().removeprefix("Usage: ")
    formatter.write(f"\n {typer.style('Usage:', fg='yellow')} {typer.style(usage, bold=True)}\n\n")
    for line in textwrap.wrap(unescaped(group.help or ""), width - 2):
        formatter.write(f" {line}\n")
    formatter.write("\n")
    options = [param.get_help_record(context) for param in group.get_params(context)]
    _panel(formatter, "Options", [row for row in options if row], width)
    panels: dict[str, list[tuple[str, str]]] = {}
    for member in group.app.members().values():
        panels.setdefault(member.panel or "Commands", []).append((member.name, member.help))
    longest = max(len(name) for rows in panels.values() for name, _ in rows)
    for title, rows in panels.items():
        _panel(formatter, title, rows, width, longest)


def _panel(formatter: Any, title: str, rows: list[tuple[str, str]], width: int, first: int = 0) -> None:
    first = first or max(len(name) for name, _ in rows)
    inner = width - 4
    grey = {"dim": True}
    head = f"╭─ {title} " + "─" * (width - len(title) - 5) + "╮"
    formatter.write(typer.style(head, **grey) + "\n")
    side = typer.style("│", **grey)
    for name, text in rows:
        pieces = textwrap.wrap(unescaped(text), max(inner - first - 2, 20)) or [""]
        for index, piece in enumerate(pieces):
            label = name if index == 0 else ""
            left = typer.style(label, fg="cyan", bold=True) + " " * (first - len(label))
            formatter.write(f"{side} {left}  {piece:{inner - first - 2}} {side}\n")
    formatter.write(typer.style("╰" + "─" * (width - 2) + "╯", **grey) + "\n")
