"""Lines that stay at the bottom of a terminal while output scrolls above; two redraws a second at most."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any, Protocol

from runyard.workers.terminal import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

# The least time between two redraws; output is gathered meanwhile.
REDRAW_SECONDS = 0.5
# How often to look for a new size of the terminal.
_SIZE_SECONDS = 1.0
_HOUR_SECONDS = 3600.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# The level of a log line of a run or of the worker, and its colour.
_LEVEL = re.compile(r"^(\d\d:\d\d:\d\d\.\d{3} \| )(DEBUG|WARNING|ERROR|CRITICAL)\b", re.MULTILINE)
_LEVEL_COLOURS = {"DEBUG": "90", "WARNING": "33", "ERROR": "31", "CRITICAL": "1;31"}
_RESET, _ERASE_BELOW, _ERASE_LINE = "\x1b[0m", "\x1b[J", "\x1b[K"
# A smaller terminal shows the output only.
_LEAST_COLUMNS, _LEAST_LINES = 20, 6


class View(Protocol):
    """The content of a region."""

    def lines(self, columns: int, most: int) -> Sequence[str]:
        """The lines to show now, with colours; each fits `columns`, and there are at most `most`."""
        ...

    def seconds(self) -> float:
        """How long these lines stay the same, if nothing happens."""
        ...


class LiveRegion:
    """Draws a view below the output of a terminal; see `terminal.Region`.

    Nothing is drawn while the process is in the background or the terminal is too small.

    Args:
        view: the content.
        stream: the terminal, as a text stream with a file descriptor.
    """

    def __init__(self, view: View, stream: Any) -> None:
        self._view = view
        self._file: int = stream.fileno()
        self._encoding: str = stream.encoding or "utf-8"
        self._drawn: Sequence[str] = ()
        self._drawn_at = -REDRAW_SECONDS
        self._forgotten = False
        self._colours = not os.environ.get("NO_COLOR")

    def wait_seconds(self) -> float:
        """How long the region stays as it is, if no output comes."""
        since = time.monotonic() - self._drawn_at
        return max(min(self._view.seconds(), _SIZE_SECONDS), REDRAW_SECONDS - since, 0.0)

    def gather_seconds(self) -> float:
        """How long to gather output before it is shown together."""
        return max(0.01, self._drawn_at + REDRAW_SECONDS - time.monotonic())

    def forget(self) -> None:
        """Draw the region again, where the cursor is now, as after a suspension. For signal handlers."""
        self._forgotten = True

    def show(self, texts: list[tuple[str, str]]) -> None:
        """Write output above the region, and draw the region if it has changed.

        Raises:
            OSError: the terminal has gone.
        """
        output = "".join(text for _, text in texts)
        if self._colours:
            output = _LEVEL.sub(_coloured, output)
        columns, lines = os.get_terminal_size(self._file)
        if self._forgotten:
            self._forgotten, self._drawn = False, ()
        new: Sequence[str] = ()
        if columns >= _LEAST_COLUMNS and lines >= _LEAST_LINES and self._in_front():
            # Never the last column: terminals differ in where the cursor is after it.
            new = self._view.lines(columns - 1, lines // 2)
        if not output and new == self._drawn:
            return
        data = [self._up(columns)]
        if output:
            data += [_ERASE_BELOW if self._drawn else "", output, _RESET if "\x1b" in output else ""]
            data += [f"{line}\n" for line in new]
        else:
            data += [f"{_ERASE_LINE}{line}\n" for line in new]
            data.append(_ERASE_BELOW)
        self._drawn, self._drawn_at = new, time.monotonic()
        self._write("".join(data))

    def erase(self) -> None:
        """Remove the region."""
        if self._drawn and not self._forgotten:
            columns, _ = os.get_terminal_size(self._file)
            self._write(self._up(columns) + _ERASE_BELOW)
        self._drawn = ()

    def _up(self, columns: int) -> str:
        """Move the cursor to the first line of the region; a narrower terminal has wrapped its lines."""
        rows = sum(max(1, -(-_width(line) // columns)) for line in self._drawn)
        return f"\r\x1b[{rows}A" if rows else ""

    def _in_front(self) -> bool:
        """Whether the terminal's user sees this process, or no job control is in use."""
        try:
            return os.tcgetpgrp(self._file) == os.getpgrp()
        except OSError:
            return True

    def _write(self, text: str) -> None:
        write_file(self._file, text.encode(self._encoding, "backslashreplace"))


class ColouredOutput(LiveRegion):
    """Colours the levels of log lines, and draws nothing.

    Args:
        stream: the terminal, as a text stream with a file descriptor.
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(_Nothing(), stream)

    def wait_seconds(self) -> float:
        """Nothing changes by itself."""
        return _HOUR_SECONDS

    def gather_seconds(self) -> float:
        """Output is shown at once."""
        return 0.01


class _Nothing:
    """A view without lines."""

    def lines(self, columns: int, most: int) -> Sequence[str]:
        return ()

    def seconds(self) -> float:
        return _HOUR_SECONDS


def _coloured(found: re.Match[str]) -> str:
    return f"{found[1]}\x1b[{_LEVEL_COLOURS[found[2]]}m{found[2]}{_RESET}"


def _width(line: str) -> int:
    # Loaded by the view already.
    from rich.cells import cell_len

    return cell_len(_COLOURS.sub("", line))
