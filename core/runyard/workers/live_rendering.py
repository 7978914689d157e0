"""Lays out the live view of a worker with rich, which is loaded when the first page is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.base.texts import visible

if TYPE_CHECKING:
    from collections.abc import Sequence

# By the state's type: a sign, a sign in ASCII, and a style.
_SIGNS = {
    "RUNNING": ("●", "*", "blue"),
    "SCHEDULED": ("○", "o", "yellow"),
    "COMPLETED": ("✓", "+", "green"),
    "FAILED": ("✗", "x", "red"),
    "CRASHED": ("✗", "x", "bright_red"),
    "CANCELLED": ("■", "-", "bright_black"),
    "CANCELLING": ("■", "-", "bright_black"),
    "PAUSED": ("‖", "=", "magenta"),
}
_OTHER = ("·", ".", "default")
# The most lines of each part, and how many are shown if the terminal is small.
_MOST, _LEAST = 5, 1
# The width of the longest label.
_LABEL = len("Running")


class Line(NamedTuple):
    """A run: the type of its state, its name, its flow and deployment, and a note."""

    state_type: str
    name: str
    flow: str
    note: str


@dataclass(frozen=True)
class Page:
    """What is shown: a title, a warning, and three lists of runs."""

    title: list[str]
    warning: str | None
    running: list[Line]
    coming: list[Line]
    results: list[Line]
    parts: list[tuple[str, list[Line]]] = field(init=False)

    def __post_init__(self) -> None:
        parts = [("Running", self.running), ("Next", self.coming), ("Last", self.results)]
        object.__setattr__(self, "parts", [part for part in parts if part[1]])


class Painter:
    """Lays out pages.

    Args:
        encoding: the terminal's encoding; signs are ASCII if it does not have them.
    """

    def __init__(self, encoding: str | None) -> None:
        try:
            "".join(sign for sign, _, _ in _SIGNS.values()).encode(encoding or "ascii")
            "─…·".encode(encoding or "ascii")
            self._unicode = True
        except (LookupError, UnicodeError):
            self._unicode = False
        self._console: Any = None
        # What was painted last: an idle worker is looked at each second, and mostly nothing has changed.
        self._asked: tuple[Page, int, int] | None = None
        self._painted: list[str] = []

    def paint(self, page: Page, columns: int, most: int) -> list[str]:
        """The lines of a page with colours, of at most `columns` cells; the parts shrink to `most` lines."""
        if (page, columns, most) != self._asked:
            self._painted = self._paint(page, columns, most)
            self._asked = (page, columns, most)
        return self._painted

    def _paint(self, page: Page, columns: int, most: int) -> list[str]:
        from rich.table import Table
        from rich.text import Text

        console = self._console_of(columns)
        rule = "─" if self._unicode else "-"
        heads = self._heads(page, columns)
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True, style="dim", min_width=_LABEL)
        for _ in range(3):
            grid.add_column(no_wrap=True, overflow=self._overflow)
        for label, lines in self._fitted(page, most - 1 - len(heads)):
            for at, line in enumerate(lines):
                grid.add_row(label if at == 0 else "", *self._cells(line))
        with console.capture() as capture:
            console.print(Text(rule * columns, style="dim"))
            for head in heads:
                console.print(head, no_wrap=True, overflow=self._overflow)
            if grid.row_count:
                console.print(grid)
        return [line.rstrip() for line in capture.get().splitlines()][:most]

    def _heads(self, page: Page, columns: int) -> list[Any]:
        """The title, with the warning: one line, or two where the terminal is narrow."""
        from rich.text import Text

        dot = " · " if self._unicode else " - "
        parts = [(text, "bold") for text in page.title]
        if page.warning:
            parts.append((page.warning, "bold yellow"))
        heads = [Text(parts[0][0], style=parts[0][1])]
        for text, style in parts[1:]:
            added = Text(dot, style="bold").append(text, style=style)
            if len(heads) < 2 and heads[-1].cell_len + added.cell_len > columns:
                heads.append(Text(text, style=style))
            else:
                heads[-1].append_text(added)
        return heads

    def _console_of(self, columns: int) -> Any:
        from rich.console import Console

        if self._console is None:
            # It finds the colours of the terminal by TERM, COLORTERM and NO_COLOR.
            self._console = Console(
                force_terminal=True, highlight=False, markup=False, emoji=False, legacy_windows=False
            )
        self._console.size = (columns, 1000)
        return self._console

    @property
    def _overflow(self) -> Any:
        return "ellipsis" if self._unicode else "crop"

    def _cells(self, line: Line) -> list[Any]:
        from rich.text import Text

        sign, plain, style = _SIGNS.get(line.state_type, _OTHER)
        first = Text(f"{sign if self._unicode else plain} {visible(line.name)}".rstrip())
        first.stylize(style, 0, 1)
        return [first, Text(visible(line.flow)), Text(line.note, style="dim")]

    def _fitted(self, page: Page, room: int) -> list[tuple[str, list[Line]]]:
        """The parts with as many lines as fit; what is left out is counted in a last line."""
        sizes = {label: min(len(lines), _MOST) for label, lines in page.parts}
        while sum(sizes.values()) > room and any(size > _LEAST for size in sizes.values()):
            largest = max(sizes, key=lambda label: sizes[label])
            sizes[largest] -= 1
        fitted: list[tuple[str, list[Line]]] = []
        for label, lines in page.parts:
            shown: Sequence[Line] = lines[: sizes[label]]
            left = len(lines) - len(shown)
            if left and label == "Running":
                left += 1
                shown = [*shown[:-1], Line("", f"and {left} more", "", "")]
            fitted.append((label, list(shown)))
        return fitted
