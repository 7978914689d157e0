"""Following a flow run until it ends: its states and its log records as they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared.logs import LogTail, RunNames

if TYPE_CHECKING:
    from datetime import datetime

    from runyard.client import Client

# How long to sleep at most when nothing changes; only a broken notification would make it matter.
_LONGEST_WAIT_SECONDS = 20.0
# The worker records the last output of a run a moment after the run reported its end.
_LAST_OUTPUT_SECONDS = 0.5
# After this time without a start, a hint says how to find the reason.
_HINT_AFTER_SECONDS = 5.0


def follow(
    client: Client,
    flow_run: Any,
    show_states: bool = True,
    timeout_seconds: float | None = None,
    level: str | None = None,
) -> Any:
    """Print what happens to a flow run until it is over.

    Args:
        client: where it is.
        flow_run: the run, as read.
        show_states: print its states too, not only its logs.
        timeout_seconds: give up after so long; None: never.
        level: only log records of this level or above.

    Returns:
        The run, as read last; not over only if the time was up.
    """
    from runyard.domain.states import SCHEDULED, TERMINAL
    from runyard.operations.flow_runs import flow_runs

    tail, names = LogTail(client, flow_run.id, level), RunNames(client, flow_run)
    started = time.monotonic()
    seen: set[str] = set()
    told, over_at = not show_states, None
    while True:
        since = client.changes()
        current = client.call(flow_runs.read_flow_run, flow_run.id)
        news = _new_states(client, flow_run, seen) if show_states else []
        records = tail.fresh()
        news += zip((record.timestamp for record in records), names.lines(records), strict=True)
        for _, line in sorted(news, key=lambda each: each[0]):
            typer.echo(line)
        waited = time.monotonic() - started
        left = _LONGEST_WAIT_SECONDS
        if current.state_type in TERMINAL:
            over_at = waited if over_at is None else over_at
            left = over_at + _LAST_OUTPUT_SECONDS - waited
        if timeout_seconds is not None:
            left = min(left, timeout_seconds - waited)
        if not told and over_at is None:
            if waited >= _HINT_AFTER_SECONDS:
                told = True
                if current.state_type == SCHEDULED:
                    out.hint(f"It has not started; ask why: runyard flow-run why {flow_run.id}")
            else:
                left = min(left, _HINT_AFTER_SECONDS - waited)
        if left <= 0:
            return current
        client.wait_for_change(since, left)


def _new_states(client: Client, flow_run: Any, seen: set[str]) -> list[tuple[datetime, str]]:
    """The states that were not seen yet: when each began, and its line."""
    from runyard.operations.flow_runs import flow_runs

    found = []
    for state in client.call(flow_runs.read_flow_run_states, flow_run_id=flow_run.id):
        if state.id in seen:
            continue
        seen.add(state.id)
        text = f"{out.local(state.timestamp)} | {out.state_text(state.type, state.name)}"
        found.append((state.timestamp, f"{text} - {visible(state.message)}" if state.message else text))
    return found


def watched(client: Client, run: Any, timeout_seconds: float | None) -> int:
    """Follow a run and say how it ended; 0 only if it completed."""
    final = follow(client, run, timeout_seconds=timeout_seconds)
    if final.state_type == "COMPLETED":
        out.done(f"Flow run '{final.name}' completed.")
        return 0
    if final.end_time is None:
        out.error_line(f"flow run '{final.name}' is still {final.state_name} after {timeout_seconds:g} s")
        return 1
    message = final.state.message if final.state else None
    out.error_line(
        f"flow run '{final.name}' ended as {final.state_name}" + (f": {message}" if message else "")
    )
    return 1
