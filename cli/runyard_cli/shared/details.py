"""One thing in full: sections of facts for people, without what is empty or internal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared import times

if TYPE_CHECKING:
    from collections.abc import Sequence

_INDENT = "  "


class Section(NamedTuple):
    """A part of what is shown.

    Args:
        title: its heading.
        facts: a label and a value each; a value is a text, a number, a datetime (shown in the user's zone and
            relative), or a list of texts. Empty ones are left out.
        lines: texts below the facts, one a line, such as the next runs.
        data: shown as YAML below them, such as parameters; empty is left out.
    """

    title: str
    facts: Sequence[tuple[str, Any]] = ()
    lines: Sequence[str] = ()
    data: Any = None
    secrets: bool = False


def show_details(heading: str, sections: Sequence[Section], state: str | None = None) -> None:
    """Print one thing.

    Args:
        heading: its kind and name, such as `Flow run calm-otter`.
        sections: in their order; one without content is left out.
        state: its state or status, beside the heading.
    """
    sign, style = out.state_sign(state) if state else ("", "")
    mark = typer.style(sign, fg=style.removeprefix("bold ") or None) if sign else ""
    typer.echo(f"{typer.style(visible(heading), bold=True)}{'  ' + mark if mark else ''}")
    for section in sections:
        shown = [
            (label, _text(value)) for label, value in section.facts if value not in (None, "", [], {}, ())
        ]
        if not (shown or section.lines or section.data):
            continue
        typer.echo(f"\n{typer.style(section.title, fg='cyan', bold=True)}")
        width = max((len(label) for label, _ in shown), default=0) + 2
        for label, text in shown:
            continued = text.replace("\n", "\n" + _INDENT + " " * width)
            typer.echo(f"{_INDENT}{typer.style(label.ljust(width), dim=True)}{continued}")
        for line in section.lines:
            typer.echo(_INDENT + visible(line, colours=True))
        if section.data:
            _show_yaml(section.data, section.secrets)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return times.both(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple, set)):
        return ", ".join(visible(str(each)) for each in value)
    return visible(str(value), colours=True)


def _show_yaml(data: Any, secrets: bool) -> None:
    from runyard.base.url_passwords import hidden_within

    from runyard_cli.shared.yaml_text import yaml_text

    plain = out.to_json(data)
    shown = plain if secrets else hidden_within(plain)
    text = yaml_text(shown).rstrip()
    if not out.on_terminal():
        for line in text.splitlines():
            typer.echo(_INDENT + line)
        return
    from rich.console import Console
    from rich.padding import Padding
    from rich.syntax import Syntax

    Console().print(
        Padding(Syntax(text, "yaml", theme="ansi_dark", background_color="default"), (0, 0, 0, 2))
    )
