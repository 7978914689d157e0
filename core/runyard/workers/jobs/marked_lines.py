"""Lines by which a run in a container tells its worker of itself, among what it prints.

A container has no pipes to its worker but its standard streams. What is meant for the worker alone begins
with a mark that no text has: a record that is kept already and only shown, or facts about the run as JSON.
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
    """A line that the worker shows and does not keep."""
    return _SHOWN + line


def facts(what: dict[str, Any]) -> str:
    """A line with facts: `failure`, `ending`, `reported`."""
    return _FACTS + json.dumps(what)


def moment(at: int) -> str:
    """A line that tells when those before it were printed, in microseconds since 1970, by the job's clock."""
    return f"{_MOMENT}{at}"


def moment_of(line: str) -> int | None:
    """What such a line tells; None for any other, and 0 for one that is broken."""
    if not line.startswith(_MOMENT):
        return None
    text = line.removeprefix(_MOMENT)
    return int(text) if text.isascii() and text.isdigit() else 0


def read(line: str) -> tuple[str | None, dict[str, Any] | None, bool]:
    """Take a line apart.

    Returns:
        The text to show, the facts, and whether the text is to be kept.
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
