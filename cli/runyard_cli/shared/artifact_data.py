"""The content of an artifact: rendered on a terminal, as it is in a pipe."""

from __future__ import annotations

import json
from typing import Any

import typer
from runyard.base.texts import visible

from runyard_cli.shared import output as out


def show(kind: str | None, data: Any) -> None:
    """Print the content.

    Args:
        kind: the type of the artifact, such as `markdown` or `table`.
        data: its content: a text, or a JSON value.
    """
    text = data if isinstance(data, str) else out.json_text(data, 2)
    if not out.on_terminal():
        out.say_exactly(text)
    elif kind == "markdown" and isinstance(data, str):
        from rich.console import Console
        from rich.markdown import Markdown

        Console().print(Markdown(visible(data)))
    elif kind == "progress" and isinstance(data, (int, float)):
        typer.echo(f"{data:.1f} %")
    elif kind == "table" and (rows := _rows(data)):
        _print_table(rows)
    else:
        typer.echo(visible(text))


def _rows(data: Any) -> list[dict[str, Any]]:
    """The rows of a table: a list of objects, an object of columns, or JSON of these; empty for others."""
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):
            return []
    if isinstance(data, dict) and data and all(isinstance(column, list) for column in data.values()):
        longest = max(map(len, data.values()))
        return [
            {name: column[at] if at < len(column) else None for name, column in data.items()}
            for at in range(longest)
        ]
    if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
        return data
    return []


def _print_table(rows: list[dict[str, Any]]) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    cells = [[_cell(row.get(name)) for name in names] for row in rows]
    out.table("", [visible(str(name)) for name in names], cells, "")


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)
