"""What a terminal shows of a program's output: a pseudo-terminal and the few control codes that we use."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
import threading

_CODE = re.compile(r"\x1b\[([0-9;]*)([A-Za-z])|\x1b|[\r\n]|[^\x1b\r\n]+")


def cells_of(output: str, columns: int) -> list[str]:
    """The lines that a terminal of this width shows after some output, with what has scrolled away."""
    rows, row, column = [""], 0, 0
    for found in _CODE.finditer(output):
        text, number, code = found.group(), found.group(1), found.group(2)
        if text == "\r":
            column = 0
        elif text == "\n":
            row += 1
            if row == len(rows):
                rows.append("")
        elif code == "A":
            row = max(row - int(number or 1), 0)
        elif code == "J":
            rows[row:] = [rows[row][:column]]
        elif code == "K":
            rows[row] = rows[row][:column]
        elif code == "m":
            continue
        else:
            assert not text.startswith("\x1b"), f"unknown code {text!r}"
            for character in text:
                if column == columns:
                    row, column = row + 1, 0
                    if row == len(rows):
                        rows.append("")
                line = rows[row].ljust(column)
                rows[row] = line[:column] + character + line[column + 1 :]
                column += 1
    return [line.rstrip() for line in rows]


class Screen:
    """A pseudo-terminal whose output is kept; `child` is its end for a program."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self._own, self.child = pty.openpty()
        self.columns = columns
        fcntl.ioctl(self.child, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._data = b""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while data := os.read(self._own, 1 << 16):
                self._data += data
        except OSError:
            pass  # the program has ended

    @property
    def output(self) -> str:
        """All that was written."""
        return self._data.decode(errors="replace")

    @property
    def text(self) -> str:
        """What is shown now, with what has scrolled away."""
        return "\n".join(cells_of(self.output, self.columns)).rstrip()

    def close(self) -> None:
        """Close the end for a program."""
        os.close(self.child)
