"""Following a flow run until it ends: its states and its log records as they come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import typer
from runyard.base.texts import visible

from runyard_cli.shared import output as out
from runyard_cli.shared import times
from runyard_cli.shared.logs import LogTail, RunNames, Selection, log_line, of_run, print_line

if TYPE_CHECKING:
    from datetime import datetime

    from runyard.client import Client

# How long to sleep at most when nothing changes; only a broken notification would make it matter.
_LONGEST_WAIT_SECONDS = 20.0
# The worker records the last output of a run a moment after the run reported its end.
_LAST_OUTPUT_SECONDS = 0.5
# After this time without a start, a hint says how to find the reason.
_HINT_AFTER_SECONDS = 5.0
_INTERRUPTED = 130
_TRACEBACK = "Traceback (most recent call last):"
_FINISHED_BADLY = ("Finished in state Failed", "Finished in state Crashed")


def follow(
    client: Client,
    flow_run: Any,
    show_states: bool = True,
    timeout_seconds: float | None = None,
    wanted: Selection | None = None,
    task_run_ids: list[str] | None = None,
    aside: bool = False,
) -> Any:
    """Print what happens to a flow run until it is over.

    Args:
        client: where it is.
        flow_run: the run, as read.
        show_states: print its states too, not only its logs.
        timeout_seconds: give up after so long; None: never.
        wanted: which log records.
        task_run_ids: only the log records of these task runs.
        aside: print on standard error.

    Returns:
        The run, as read last; not over only if the time was up.

    Raises:
        typer.Exit: Ctrl-C; it was told how to go on.
    """
    try:
        return _follow(client, flow_run, show_states, timeout_seconds, wanted, task_run_ids, aside)
    except KeyboardInterrupt:
        _tell_how_to_go_on(flow_run)
        raise typer.Exit(_INTERRUPTED) from None


def _follow(
    client: Client,
    flow_run: Any,
    show_states: bool,
    timeout_seconds: float | None,
    wanted: Selection | None,
    task_run_ids: list[str] | None,
    aside: bool,
) -> Any:
    from runyard.domain.states import SCHEDULED, TERMINAL
    from runyard.operations.flow_runs import flow_runs

    tail, names = LogTail(client, of_run(flow_run, task_run_ids), wanted), RunNames(client, flow_run)
    once = _ErrorsOnce() if show_states else None
    started = time.monotonic()
    seen: set[str] = set()
    told, over_at = not show_states, None
    news: list[tuple[datetime, str]] = []
    while True:
        since = client.changes()
        current = client.call(flow_runs.read_flow_run, flow_run.id)
        news += _new_states(client, flow_run, seen) if show_states else []
        news += _new_lines(tail.fresh(), names, once)
        # The end of a run and its last record are stored together, before records that are a little older:
        # the last lines wait for these, to be printed in order.
        if current.state_type not in TERMINAL:
            _print_in_order(news, aside)
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
                    out.progress(f"It has not started; ask why: runyard flow-run why {flow_run.id}")
            else:
                left = min(left, _HINT_AFTER_SECONDS - waited)
        if left <= 0:
            _print_in_order(news, aside)
            return current
        client.wait_for_change(since, left)


def _print_in_order(news: list[tuple[datetime, str]], aside: bool) -> None:
    """Print the lines by their times, and forget them."""
    for _, line in sorted(news, key=lambda each: each[0]):
        print_line(line, aside)
    news.clear()


def _tell_how_to_go_on(flow_run: Any) -> None:
    typer.echo("", err=True)
    out.progress(
        f"Stopped following; the run goes on. Follow it with: runyard flow-run watch {flow_run.id}\n"
        f"Cancel it with: runyard flow-run cancel {flow_run.id}"
    )


class _ErrorsOnce:
    """Shortens records that repeat an error: the end of a run is told last, in one sentence."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def text(self, record: Any) -> str | None:
        """The text to show of a record; None for none of it."""
        message: str = record.message
        if message.startswith(_FINISHED_BADLY):
            return None
        first, mark, trace = message.partition(f"\n{_TRACEBACK}")
        if not mark:
            return message
        error = trace.rstrip().rpartition("\n")[2]
        if error in self._seen:
            return first
        self._seen.add(error)
        return message


def _new_lines(records: list[Any], names: RunNames, once: _ErrorsOnce | None) -> list[tuple[datetime, str]]:
    names.learn({record.task_run_id for record in records if record.task_run_id})
    found = []
    for record in records:
        text = record.message if once is None else once.text(record)
        if text is not None:
            found.append((record.timestamp, log_line(record, names.of(record.task_run_id), text)))
    return found


def _new_states(client: Client, flow_run: Any, seen: set[str]) -> list[tuple[datetime, str]]:
    """The states that were not seen yet: when each began, and its line."""
    from runyard.operations.flow_runs import flow_runs

    found = []
    for state in client.call(flow_runs.read_flow_run_states, flow_run_id=flow_run.id):
        if state.id in seen:
            continue
        seen.add(state.id)
        text = f"{times.absolute(state.timestamp, precise=True)} | {out.state_text(state.type, state.name)}"
        # The last line tells the error of a failed run.
        message = "" if state.type == "FAILED" else state.message
        found.append((state.timestamp, f"{text} - {visible(message)}" if message else text))
    return found


def watched(client: Client, run: Any, timeout_seconds: float | None, output: str | None = None) -> int:
    """Follow a run and say how it ended; 0 only if it completed.

    Args:
        client: where it is.
        run: the run, as read.
        timeout_seconds: give up after so long; None: never.
        output: `json` or `yaml`: print the run at its end, and all else on standard error.
    """
    final = follow(client, run, timeout_seconds=timeout_seconds, aside=bool(output))
    if output:
        out.print_data(final, output)
    if final.state_type == "COMPLETED":
        if not output:
            out.done(f"Flow run '{final.name}' completed.")
        return 0
    if final.end_time is None:
        out.error_line(f"flow run '{final.name}' is still {final.state_name} after {timeout_seconds:g} s")
        return 1
    tell_end(client, final)
    return 1


def tell_end(client: Client, run: Any) -> None:
    """Say how a run that did not complete ended, and what to do next; on standard error."""
    from runyard.operations.flow_runs import explain

    told = client.call(explain.explain_flow_run, run.id)
    message = told.failure.summary if told.failure else (run.state.message if run.state else None)
    out.error_line(f"flow run '{run.name}' ended as {run.state_name}" + (f": {message}" if message else ""))
    for reason in told.reasons:
        if reason.command:
            what = "Retry it with" if reason.code == "over" else "See its log with"
            typer.echo(f"{what}: {visible(reason.command)}", err=True)
