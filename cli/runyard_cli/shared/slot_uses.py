"""Which runs hold the slots of a limit, and which wait for them, as `inspect` and `delete` tell it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base.texts import counted

from runyard_cli.shared import times
from runyard_cli.shared.cells import aligned
from runyard_cli.shared.details import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

# The most holders and waiting requests that are shown.
_MOST = 20


def sections(uses: Any) -> list[Section]:
    """The holders of slots and the requests that wait, as sections of `inspect`.

    Args:
        uses: `LimitUses` of the limit.
    """
    return [
        Section("Held by", lines=_lines(uses.holders)),
        Section("Waiting", lines=_lines(uses.waiting)),
    ]


def affected(uses: Any) -> str:
    """What a question adds about runs that hold slots or wait, such as ` 2 runs hold its slots.`"""
    parts = []
    if uses.holders:
        verb = "holds" if len(uses.holders) == 1 else "hold"
        parts.append(f"{counted(len(uses.holders), 'run')} {verb} its slots and will continue")
    if uses.waiting:
        verb = "waits" if len(uses.waiting) == 1 else "wait"
        parts.append(f"{counted(len(uses.waiting), 'request')} {verb} for it")
    return f" {'; '.join(parts)}." if parts else ""


def _lines(uses: Sequence[Any]) -> list[str]:
    lines = aligned(
        [_who(use), counted(use.slots, "slot"), times.relative(use.since), use.flow_run_id or use.id]
        for use in uses[:_MOST]
    )
    if len(uses) > _MOST:
        lines.append(f"and {len(uses) - _MOST} more: -o json")
    return lines


def _who(use: Any) -> str:
    if use.type == "task_run" and use.flow_run_name:
        return f"{use.name or 'a task run'} of {use.flow_run_name}"
    return use.name or use.flow_run_name or use.type or "set by hand"
