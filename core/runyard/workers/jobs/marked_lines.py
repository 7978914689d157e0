"""Special output lines by which a run in a container sends messages to its worker.

A container has only its standard streams to its worker. Lines for the worker begin with a control character
that normal output does not contain. They hold text that is shown but not stored, or facts about the run as
JSON.
"""

from __future__ import annotations

import json
from typing import Any

# "Unit separator": a control character that terminals do not show.
_MARK = "\x1f"
_SHOWN = f"{_MARK}shown "
_FACTS = f"{_MARK}facts "
_MOMENT = f"{_MARK}moment "


def shown(line: str) -> str:
    """A line that the worker shows but does not store."""
    return _SHOWN + line


def facts(what: dict[str, Any]) -> str:
    """A line with facts: `failure`, `ending`, `reported`, `state_type`, `state_name`."""
    return _FACTS + json.dumps(what)


def moment(at: int) -> str:
    """A line with the time of the lines before it, in microseconds since 1970, by the job's clock."""
    return f"{_MOMENT}{at}"


def moment_of(line: str) -> int | None:
    """The time of such a line; None for another line, 0 for an invalid one."""
    if not line.startswith(_MOMENT):
        return None
    text = line.removeprefix(_MOMENT)
    return int(text) if text.isascii() and text.isdigit() else 0


def read(line: str) -> tuple[str | None, dict[str, Any] | None, bool]:
    """Parse a line.

    Returns:
        The text to show, the facts, and whether to store the text.
    """
    if not line.startswith(_MARK):
        return line, None, True
    if line.startswith(_SHOWN):
        return line.removeprefix(_SHOWN), None, False
    if line.startswith(_FACTS):
        try:
            told = json.loads(line.removeprefix(_FACTS))
        except ValueError:
            told = None
        if isinstance(told, dict):
            return None, told, False
    return line, None, True
