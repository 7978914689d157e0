"""Lists of things: a table that fits a terminal, tab-separated text in a pipe, JSON, YAML, or only names."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.app import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runyard.client import Client

_SHORTEST_ID = 8
# The kinds of columns beside which a long name is cut, and what the others keep beside a long name.
_WHOLE = ("state", "id", "time", "moment", "short")
_LEAST_NAME, _LEAST_TEXT, _PADDING = 16, 10, 3
_WATCH_SECONDS = 2.0


class Column(NamedTuple):
    """One column of a list.

    Args:
        title: its heading; in lower case with `-` between words it is its name for --columns and --sort.
        value: the cell of a row: a text, a number, a datetime, None for an empty one.
        kind: how a terminal shows it: `text`; `name`, which is not split; `state`, in its colour with a sign;
            `id`, shortened to what is unique in the list; `time`, relative, and absolute with -o wide;
            `moment`, always absolute, with its day of the week; `short`, a few characters, which are not cut.
        wide: shown only with -o wide, or when --columns names it.
        order: what --sort compares, if not the value.
        zone: the name of the time zone in which a row's time is shown, such as its schedule's; by default
            the user's.
    """

    title: str
    value: Callable[[Any], Any]
    kind: str = "text"
    wide: bool = False
    order: Callable[[Any], Any] | None = None
    zone: Callable[[Any], str] | None = None

    def cell(self, row: Any) -> Any:
        """The value of a row; a time in its zone."""
        value = self.value(row)
        if not isinstance(value, datetime):
            return value
        return times.in_zone(value, self.zone(row) if self.zone else None)

    @property
    def name(self) -> str:
        """What --columns and --sort call it."""
        return self.title.lower().replace(" ", "-")


class Listing(NamedTuple):
    """A kind of list.

    Args:
        title: stands above the table on a terminal.
        columns: from left to right; the first one of kind `name` is what -o name prints.
        empty: what an empty list says, with the command that makes the first one.
        more: the rest of the line that says that not all are shown, after `15 of 51 shown; `.
    """

    title: str
    columns: Sequence[Column]
    empty: str
    more: str = "--limit 0 shows all."


class Page(NamedTuple):
    """What a list shows.

    Args:
        rows: the API's objects, in their order.
        total: how many there are; None for at least one more than `rows`, and the exact number is not known.
        first: how many of the rows are shown once they are sorted; 0 for all.
        document: the API's object of a row, where the columns need another one.
    """

    rows: Sequence[Any]
    total: int | None = 0
    first: int = 0
    document: Callable[[Any], Any] = lambda row: row


class View(NamedTuple):
    """How a list is to be shown: the options of `ls`.

    Args:
        output: `json`, `yaml`, `wide`, `name` or None.
        columns: names with commas between, or None.
        sort: the name of a column, with `-` before it for the other way, or None.
        watch: show it again when something changes.
    """

    output: str | None = None
    columns: str | None = None
    sort: str | None = None
    watch: bool = False


def cut(rows: Sequence[Any], limit: int) -> Page:
    """The first rows, in the order that the person wants, of a list that was read whole.

    Args:
        limit: how many at most; 0 for all.
    """
    return Page(rows, len(rows), first=limit)


def show_list(listing: Listing, read: Callable[[], Page], view: View, client: Client | None = None) -> None:
    """Print a list once, or until Ctrl-C.

    Args:
        listing: its columns and words.
        read: reads what it shows.
        view: the options.
        client: tells when something changed, for `watch`; None: it is read again every two seconds.

    Raises:
        WrongUsage: a column does not exist; or JSON or YAML of columns is wanted.
    """
    chosen = _columns(listing, view)
    if not view.watch:
        _print(listing, chosen, read(), view)
        return
    if view.output in ("json", "yaml"):
        raise WrongUsage("--watch does not go together with -o json or -o yaml.")
    while True:
        since = client.changes() if client is not None else None
        page = read()
        out.clear_screen()
        _print(listing, chosen, page, view)
        if client is None:
            time.sleep(_WATCH_SECONDS)
        else:
            client.wait_for_change(since, _WATCH_SECONDS)


def _columns(listing: Listing, view: View) -> list[Column]:
    by_name = {column.name: column for column in listing.columns}
    chosen = _words(view.columns)
    for option, given, words in (
        ("--columns", view.columns, chosen),
        ("--sort", view.sort, [word for word in (_sort_name(view.sort),) if word]),
    ):
        if given and not words:
            raise WrongUsage(f"{option} {given!r} names no column; there are: {', '.join(by_name)}")
        for word in words:
            if word not in by_name:
                from runyard.base.suggestions import did_you_mean

                hint = did_you_mean(word, list(by_name)) or f"; there are: {', '.join(by_name)}"
                raise WrongUsage(f"No column '{word}'{hint}")
    if chosen:
        if view.output in ("json", "yaml", "name"):
            raise WrongUsage(f"--columns does not go together with -o {view.output}.")
        return [by_name[word] for word in chosen]
    return [column for column in listing.columns if view.output == "wide" or not column.wide]


def _words(names: str | None) -> list[str]:
    """The names of columns, as --columns has them."""
    return [name.strip().lower() for name in (names or "").split(",") if name.strip()]


def _sort_name(sort: str | None) -> str:
    """The name of the column that --sort names."""
    return (sort or "").strip().removeprefix("-").strip().lower()


def _print(listing: Listing, columns: Sequence[Column], page: Page, view: View) -> None:
    rows = in_order(listing, page.rows, view.sort)[: page.first or None]
    if view.output in ("json", "yaml"):
        out.print_data([page.document(row) for row in rows], view.output)
    elif view.output == "name":
        named = next(column for column in listing.columns if column.kind == "name")
        for row in rows:
            typer.echo(visible(str(named.value(row))))
    elif not rows:
        typer.echo(listing.empty, err=True)
    elif out.on_terminal():
        _print_table(listing, columns, rows, wide=view.output == "wide")
    else:
        for row in rows:
            typer.echo("\t".join(_plain(column.cell(row)) for column in columns))
    if page.total is None or page.total > len(rows):
        count = f"{len(rows)} of {page.total}" if page.total else f"{len(rows)}"
        more = "" if page.total else " and there are more"
        out.progress(f"{count} shown{more}; {listing.more}")


def in_order(listing: Listing, rows: Sequence[Any], sort: str | None) -> Sequence[Any]:
    """Rows sorted by a column.

    Args:
        listing: has the column.
        rows: what is sorted.
        sort: the name of the column, with `-` before it for the other way; None keeps the order. Rows
            without a value are the last ones either way.
    """
    if not sort:
        return rows
    column = next(each for each in listing.columns if each.name == _sort_name(sort))
    order = column.order or column.value

    def key(row: Any) -> Any:
        value = order(row)
        return value.casefold() if isinstance(value, str) else value

    filled = [row for row in rows if order(row) is not None]
    empty = [row for row in rows if order(row) is None]
    return sorted(filled, key=key, reverse=sort.strip().startswith("-")) + empty


def _plain(value: Any) -> str:
    """A cell in a pipe: times as ISO 8601 with their offset, no tab and no line break inside."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(visible(str(value)).split())


def _print_table(listing: Listing, columns: Sequence[Column], rows: Sequence[Any], wide: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=listing.title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    # A wide table keeps its cells whole; the terminal breaks its lines.
    console = Console(width=10_000 if wide else None)
    cells: list[list[Text]] = []
    for column in columns:
        values = [column.cell(row) for row in rows]
        texts = [Text(*_shown(column, value, wide)) for value in values]
        if column.kind == "id" and not wide:
            texts = [Text(text, style="dim") for text in shortened([str(value or "") for value in values])]
        table.add_column(
            column.title,
            no_wrap=column.kind != "text",
            overflow="ellipsis",
            justify="right" if all(isinstance(value, (int, float)) for value in values) else "left",
            min_width=_longest(texts) if column.kind in ("state", "id") else None,
        )
        cells.append(texts)
    for line in zip(*cells, strict=True):
        table.add_row(*line)
    _bound_names(table, columns, cells, console.width)
    console.print(table)


def _bound_names(table: Any, columns: Sequence[Column], cells: list[list[Any]], width: int) -> None:
    """Leave room for the other columns beside very long names."""
    left, names = width - _PADDING * len(columns), []
    for column, texts, shown in zip(columns, cells, table.columns, strict=True):
        natural = max(len(column.title), *(text.cell_len for text in texts))
        if column.kind == "name":
            names.append(shown)
        else:
            left -= natural if column.kind in _WHOLE else min(natural, _LEAST_TEXT)
    for shown in names:
        shown.max_width = max(_LEAST_NAME, left // len(names))


def _longest(texts: Sequence[Any]) -> int:
    return max(map(len, texts), default=0)


def _shown(column: Column, value: Any, wide: bool) -> tuple[str, str]:
    """A cell on a terminal: its text and its style."""
    if value is None:
        return "", ""
    if isinstance(value, bool):
        return ("yes" if value else "no"), ""
    if isinstance(value, datetime):
        if column.kind == "moment":
            return times.with_day(value, value.tzinfo), ""
        return times.cell(value, wide, value.tzinfo), ""
    text = " ".join(visible(str(value)).split()) if column.kind == "name" else visible(str(value))
    return out.state_sign(text) if column.kind == "state" else (text, "")


def shortened(ids: Sequence[str]) -> list[str]:
    """The shortest beginnings of ids, all of one length, that are unique among them."""
    distinct = set(ids)
    longest = max(map(len, ids), default=0)
    for length in range(_SHORTEST_ID, longest):
        if len({each[:length] for each in distinct}) == len(distinct):
            return [each[:length].rstrip("-") for each in ids]
    return list(ids)
