"""Messages on a terminal: lines break between words, and a command stands whole on a line of its own."""

from __future__ import annotations

import os
import re
from typing import Any

# A sentence that ends with the command to type: `Follow it with: runyard flow-run watch smart-mole`.
_COMMAND = re.compile(r"(?P<sentence>.*\S:) (?P<command>(?:runyard|prefect) \S.*)")


def wrapped(text: str, stream: Any) -> str:
    """The lines of a message as they fit the terminal; in a pipe they stay as they are.

    Args:
        text: the message, whose control characters are visible. Lines with columns stay as they are.
        stream: where it is printed.
    """
    columns = _columns(stream)
    if not columns:
        return text
    return "\n".join(_broken(line, columns) for line in text.split("\n"))


def _columns(stream: Any) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (AttributeError, OSError, ValueError):  # closed, or no file
        return 0


def _broken(line: str, columns: int) -> str:
    from rich.cells import cell_len

    body = line.lstrip(" ")
    if len(line) <= columns // 2 or cell_len(line) <= columns or "  " in body or body.startswith("runyard "):
        return line
    indent = " " * (len(line) - len(body))
    below = indent + "  " * body.startswith("- ")
    split = _COMMAND.fullmatch(body)
    lines = _filled(split["sentence"] if split else body, indent, below, columns)
    if split:
        # The terminal itself breaks a command that is too long: copied, it is still one line.
        lines.append(f"{below}  {split['command']}")
    return "\n".join(lines)


def _filled(text: str, indent: str, below: str, columns: int) -> list[str]:
    from rich.cells import cell_len

    lines, line = [], indent
    for word in text.split(" "):
        started = line.strip(" ")
        if started and cell_len(line) + 1 + cell_len(word) > columns:
            lines.append(line)
            line = below + word
        else:
            line = f"{line} {word}" if started else line + word
    return [*lines, line]
