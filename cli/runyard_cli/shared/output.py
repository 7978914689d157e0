"""What commands print: tables and colours on a terminal, aligned text in a pipe, JSON when asked."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import typer
from runyard.base.texts import visible

from runyard_cli.shared.wrapping import wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

STATE_COLOURS = {
    "SCHEDULED": "yellow",
    "PENDING": "bright_black",
    "RUNNING": "blue",
    "PAUSED": "magenta",
    "CANCELLING": "bright_black",
    "CANCELLED": "bright_black",
    "COMPLETED": "green",
    "FAILED": "red",
    "CRASHED": "bright_red",
}
_ABBREVIATIONS = {"api": "API", "id": "ID", "sqlite": "SQLite", "url": "URL"}
# Beyond ASCII, what terminals obey (see `visible`), and halves of surrogate pairs, which UTF-8 cannot hold.
_OBEYED = re.compile("[\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def on_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def clear_screen() -> None:
    """Clear a terminal that can do it."""
    if on_terminal() and os.environ.get("TERM") != "dumb":
        # NO_COLOR is about colours only.
        typer.echo("\x1b[2J\x1b[H", nl=False, color=True)


def colours() -> bool | None:
    """Whether text is coloured: not where NO_COLOR is set; None: on terminals."""
    return False if os.environ.get("NO_COLOR") else None


def say(text: str, colour: str | None = None) -> None:
    """Print a line; in a pipe without its colour."""
    text = wrapped(visible(text), sys.stdout)
    typer.echo(typer.style(text, fg=colour) if colour else text)


def say_exactly(text: str) -> None:
    """Print data: in a pipe as it is, and on a terminal without what it would execute."""
    # Otherwise codes of colours are taken out in a pipe.
    typer.echo(visible(text) if on_terminal() else text, color=None if on_terminal() else True)


def done(text: str) -> None:
    """Say that something was done."""
    say(text, "green")


def hint(text: str) -> None:
    """Say what one may do next."""
    say(text, "cyan")


def progress(text: str) -> None:
    """Print one line on standard error about progress, or a warning."""
    typer.echo(typer.style(wrapped(visible(text), sys.stderr), fg="yellow"), err=True)


def error_line(text: str) -> None:
    """The one line on standard error that tells why a command failed."""
    first, *rest = visible(text).strip().splitlines() or ["no message"]
    typer.echo(typer.style(wrapped(f"Error: {first}", sys.stderr), fg="red"), err=True, color=colours())
    for line in rest:
        typer.echo(line, err=True)


def confirm(question: str, yes: bool, refused: str = "Nothing was deleted.") -> None:
    """Ask before something is deleted, when a person is there to answer.

    Args:
        refused: printed if the answer is no.

    Raises:
        typer.Exit: the answer was no.
    """
    if not yes and at_keyboard() and not typer.confirm(visible(question)):
        typer.echo(refused, err=True)
        raise typer.Exit(1)


def to_json(value: Any) -> Any:
    """The JSON-able form of API objects, as the API shows them."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if hasattr(value, "to_json"):
        return value.to_json()
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return value


@contextlib.contextmanager
def prints_aside(wanted: bool = True) -> Iterator[None]:
    """Send what code of users, and programs that it starts, print to standard error.

    Args:
        wanted: False does nothing.
    """
    if not wanted:
        yield
        return
    sys.stdout.flush()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            kept = os.dup(1)
            os.dup2(2, 1)
        except OSError:  # closed: there is nothing to keep clean
            yield
            return
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)


def print_json(value: Any) -> None:
    """Print API objects as JSON, two spaces deep."""
    typer.echo(json_text(value, 2))


def print_data(value: Any, output: str) -> None:
    """Print API objects.

    Args:
        output: `json` or `yaml`.
    """
    if output == "yaml":
        from runyard_cli.shared.yaml_text import yaml_text

        typer.echo(yaml_text(to_json(value)), nl=False)
    else:
        print_json(value)


def json_text(value: Any, indent: int | None = None) -> str:
    """API objects as JSON that every terminal and file can hold."""
    plain = to_json(value)
    try:
        text = json.dumps(plain, indent=indent, default=str, ensure_ascii=False, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(plain), indent=indent, default=str, ensure_ascii=False)
    # JSON spells out what is below 0x20 itself.
    return text if text.isascii() else _OBEYED.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def _finite(value: Any) -> Any:
    """A value without NaN and infinities, which JSON does not have: null, as the API shows them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str) -> None:
    """Print rows.

    Args:
        title: shown above the table on a terminal.
        columns: their headings.
        rows: one sequence of cells each; None is an empty cell.
        empty: what to say, on standard error, when there are no rows.
    """
    cells = [["" if cell is None else visible(str(cell)) for cell in row] for row in rows]
    if not cells:
        typer.echo(empty, err=True)
    elif on_terminal():
        _rich_table(title, columns, cells)
    else:
        _plain_table(columns, cells)


def _plain_table(columns: Sequence[str], cells: list[list[str]]) -> None:
    lines = [[column.upper() for column in columns]]
    lines += [[" ".join(cell.split()) or "-" for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        text = "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True))
        typer.echo(text.rstrip())


def _rich_table(title: str, columns: Sequence[str], cells: list[list[str]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for column in columns:
        shown.add_column(column, overflow="fold", no_wrap=column == "ID")
    for row in cells:
        shown.add_row(*(Text(cell, style=_style_of(cell)) for cell in row))
    Console().print(shown)


def _style_of(cell: str) -> str:
    return STATE_COLOURS.get(cell.upper(), "")


def facts(pairs: Iterable[tuple[str, Any]], secrets: bool = False) -> None:
    """Print the fields of one object: a name and a value a line; empty values are left out.

    Args:
        secrets: show them too: passwords in URLs, and texts that are named as secrets.
    """
    from runyard.base.url_passwords import hidden_within

    kept = [(name, to_json(value)) for name, value in pairs if value not in (None, "", [], {})]
    if not secrets:
        kept = [(name, hidden_within(value)) for name, value in kept]
    width = max((len(name) for name, _ in kept), default=0) + 2
    for name, value in kept:
        text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
        label = typer.style(f"{visible(name)}:".ljust(width), bold=True)
        typer.echo(label + visible(text).replace("\n", "\n" + " " * width))


def show(value: Any, output: str | None, skip: Sequence[str] = ()) -> None:
    """Print one API object: as JSON or YAML when asked, else its fields in their order.

    Args:
        output: `json`, `yaml` or None.
        skip: fields to leave out of the text.
    """
    if output:
        print_data(value, output)
        return
    body = to_json(value)
    facts((heading(name), item) for name, item in body.items() if name not in skip)


def heading(name: str) -> str:
    """A field's name for people: `work_pool_id` is `Work pool ID`."""
    first, *rest = name.split("_")
    words = [
        _ABBREVIATIONS.get(first, first.capitalize()),
        *(_ABBREVIATIONS.get(word, word) for word in rest),
    ]
    return " ".join(words)


def state_text(type: str | None, name: str | None) -> str:
    """A state's name in its colour."""
    return typer.style(visible(name or type or "no state"), fg=STATE_COLOURS.get(type or ""))


def at_keyboard() -> bool:
    """Whether a person can answer a question; `--prompt` and `--no-prompt` decide first."""
    from runyard import settings

    wanted: bool | None = settings.get("cli_prompt")
    return sys.stdin.isatty() and on_terminal() if wanted is None else wanted


def wants_tracebacks() -> bool:
    """Whether tracebacks of Runyard's own errors are asked for."""
    from runyard import settings

    return bool(settings.get("debug"))


# A sign beside each colour: state names and types, in capitals without spaces.
_SIGNS = {
    "COMPLETED": "✓",
    "CACHED": "✓",
    "READY": "✓",
    "ACTIVE": "✓",
    "ONLINE": "✓",
    "FAILED": "✗",
    "CRASHED": "✗",
    "TIMEDOUT": "✗",
    "OFFLINE": "✗",
    "NOT_READY": "✗",
    "RUNNING": "●",
    "RETRYING": "●",
    "PENDING": "◌",
    "SCHEDULED": "◌",
    "LATE": "!",
    "PAUSED": "‖",
    "SUSPENDED": "‖",
    "CANCELLING": "⊘",
    "CANCELLED": "⊘",
}
_SIGN_COLOURS = {
    "✓": "green",
    "✗": "red",
    "●": "blue",
    "◌": "yellow",
    "!": "bold yellow",
    "‖": "magenta",
    "⊘": "bright_black",
}


def _can_print(sign: str) -> bool:
    """Whether the encoding of standard output has a character."""
    try:
        sign.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def spell_out_unprintable() -> None:
    """Print what the encoding of a stream lacks, such as ASCII or Latin-1, as `\\u2717`."""
    for stream in (sys.stdout, sys.stderr):
        if stream.errors == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def state_sign(name: str) -> tuple[str, str]:
    """A state or a status with the sign that stands for it, and its style of rich."""
    sign = _SIGNS.get(name.upper().replace(" ", ""), "")
    if sign and not _can_print(sign):
        sign = ""
    return (f"{sign} {name}" if sign else name), _SIGN_COLOURS.get(sign, "")
