"""The live view of `worker start` on a terminal: slots, what runs, what is due next, the last results.

It reads what the loop of the worker knows already. Only the next due runs cost a query: one when the view
starts, when one of them is due, and after a change in the database, at most one in five seconds.
"""

from __future__ import annotations

import io
import signal
import sys
import threading
import time
from collections import Counter, deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from runyard.base import clock
from runyard.base.errors import ApiUnavailable, RunyardError, StoreError
from runyard.base.texts import counted, visible
from runyard.operations.work_pools.coming_runs import ComingRuns, read_coming_runs
from runyard.workers import terminal
from runyard.workers.live_region import LiveRegion
from runyard.workers.live_rendering import Line, Page, Painter
from runyard.workers.worker_duties import Timer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.workers.loop import Worker
    from runyard.workers.watching import WatchedRun

# How many results and due runs are kept to be shown.
_RESULTS, _COMING = 5, 5
_AFTER_CHANGE_SECONDS, _AT_MOST_EVERY_SECONDS = 5.0, 60.0
# After a run is due: the worker has claimed it by then.
_AFTER_DUE_SECONDS = 1.0
_NOTHING = Line("", "nothing is due", "", "")


class Result(NamedTuple):
    """A run that has ended: its name, its flow, its state, how long it ran, and when it ended."""

    name: str
    flow: str
    state_type: str
    state_name: str
    seconds: float
    at: float


class ComingTimer(Timer):
    """Reads the next due runs of the pool, as a timer of the worker's loop.

    Args:
        worker: the worker's loop.
    """

    def __init__(self, worker: Worker) -> None:
        super().__init__(_AT_MOST_EVERY_SECONDS, self._read)
        self._worker = worker
        self._last = 0.0
        self.found: ComingRuns | None = None
        # When `found` was read, on the monotonic clock.
        self.read_at = self.next_at

    def changed(self) -> None:
        """Handle a change in the database."""
        self.next_at = min(self.next_at, self._last + _AFTER_CHANGE_SECONDS)

    def run_if_due(self) -> None:
        """Read the runs if they may have changed.

        Raises:
            StoreError, ApiUnavailable: an outage; the next call reads them.
        """
        if time.monotonic() >= self.next_at:
            self._read()

    def _read(self) -> None:
        now = time.monotonic()
        options = self._worker.options
        try:
            self.found = self._worker.client.call(
                read_coming_runs, options.pool, work_queue_names=options.work_queues or None, limit=_COMING
            )
        except (StoreError, ApiUnavailable):
            raise
        except RunyardError:
            self.found = None  # the pool was deleted, or the server is older than this worker
        self._last = self.read_at = now
        wait = _AT_MOST_EVERY_SECONDS
        if self.found is not None and self.found.runs:
            due = (self.found.runs[0].due - self.found.now).total_seconds()
            wait = min(wait, max(due, _AFTER_CHANGE_SECONDS - _AFTER_DUE_SECONDS) + _AFTER_DUE_SECONDS)
        self.next_at = now + wait


class LiveView:
    """What the view shows; an observer of the worker's runs.

    Args:
        worker: the worker's loop.
        coming: the next due runs.
        painter: lays out the lines.
    """

    def __init__(self, worker: Worker, coming: ComingTimer, painter: Painter) -> None:
        self._worker = worker
        self._coming = coming
        self._painter = painter
        self._results: deque[Result] = deque(maxlen=_RESULTS)
        self._counts: Counter[str] = Counter()
        self._started = time.monotonic()

    def launched(self, claimed: ClaimedRun, now_us: int) -> None:
        """Nothing to record: the loop knows its runs."""

    def ended(self, run: WatchedRun, seconds: float) -> None:
        """Record the result of a run. Called by the loop."""
        if run.hooks or run.lost:
            return
        name = run.state_name or "Ended"
        self._counts[name] += 1
        kind = run.state_type or ""
        self._results.appendleft(
            Result(run.name, _flow_of(run.claimed), kind, name, seconds, time.monotonic())
        )

    def summary(self) -> str | None:
        """What the worker did, in one sentence; None if it ran nothing."""
        if not self._counts:
            return None
        total = counted(sum(self._counts.values()), "flow run")
        if len(self._counts) == 1:
            return f"{total} {next(iter(self._counts)).lower()}."
        return f"{total}: {self._counted()}."

    def lines(self, columns: int, most: int) -> Sequence[str]:
        """The lines to show now; see `live_region.View`."""
        return self._painter.paint(self._page(), columns, most)

    def seconds(self) -> float:
        """How long these lines stay the same, if nothing happens: texts show whole seconds, then minutes."""
        return 1.0

    def _counted(self) -> str:
        return ", ".join(f"{number:,} {name.lower()}" for name, number in self._counts.most_common())

    def _page(self) -> Page:
        now = time.monotonic()
        worker = self._worker
        # Copied in one step: the loop's thread changes them.
        runs = [run for run in list(worker.supervisor.running.values()) if not run.hooks]
        coming = self._coming.found
        limit = worker.options.limit
        taken = f"{len(runs)} of {counted(limit, 'slot')}" if limit is not None else f"{len(runs)} running"
        title = [f"Worker {visible(worker.name)}", f"pool {visible(worker.options.pool)}", f"{taken}"]
        if self._counts:
            title.append(self._counted())
        warning = None
        if worker.outage:
            warning = "no connection; runs continue"
        elif worker.stopping:
            warning = "stopping: no new runs start"
        elif coming is not None and coming.paused:
            warning = "the pool is paused: no run starts"
        return Page(
            title,
            warning,
            [_running(run, now) for run in sorted(runs, key=lambda run: run.launched_at)],
            [] if coming is None else _next(coming, now - self._coming.read_at) or [_NOTHING],
            [_result(result, now) for result in list(self._results)],
        )


def _running(run: WatchedRun, now: float) -> Line:
    notes = [_span(now - run.launched_at)]
    if run.attempt > 1:
        notes.append(f"attempt {run.attempt}")
    if run.cancelling:
        notes.append("being cancelled")
    elif run.timed_out:
        notes.append("out of time")
    elif run.ending or run.reported:
        notes.append("ending")
    return Line("RUNNING", run.name, _flow_of(run.claimed), ", ".join(notes))


def _next(coming: ComingRuns, since_seconds: float) -> list[Line]:
    lines = []
    for run in coming.runs:
        flow = f"{run.flow_name}/{run.deployment_name}" if run.deployment_name else run.flow_name
        left = (run.due - coming.now).total_seconds() - since_seconds
        when = f"in {_span(left)}" if left >= 1 else "now"
        moment = _absolute(run.due, run.timezone)
        lines.append(Line("SCHEDULED", when, flow, f"{moment}, {run.name}" if run.name else moment))
    return lines


def _result(result: Result, now: float) -> Line:
    note = f"{result.state_name} in {_span(result.seconds)}, {_ago(now - result.at)}"
    return Line(result.state_type, result.name, result.flow, note)


def _flow_of(claimed: ClaimedRun) -> str:
    deployment = claimed.deployment
    return f"{claimed.flow_name}/{deployment.name}" if deployment is not None else claimed.flow_name


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{int(max(seconds, 0))} s"
    for size, unit in ((86_400, "d"), (3_600, "h")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds // 60)} min"


def _ago(seconds: float) -> str:
    # In steps: results must not change each second.
    return "just now" if seconds < 60 else f"{_span(seconds)} ago"


def _absolute(moment: Any, zone: str | None) -> str:
    """A due time in the zone of its schedule, else in the user's, with the zone."""
    local = moment.astimezone()
    if zone:
        from zoneinfo import ZoneInfo

        try:
            local = moment.astimezone(ZoneInfo(zone))
        except (OSError, ValueError):
            pass  # this machine does not know the zone
    today = clock.now().astimezone(local.tzinfo).date()
    day = "" if local.date() == today else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M:%S %Z}"


class _Printed(io.TextIOBase):
    """What code of this process prints directly, such as warnings, appears above the view as other output.

    Args:
        name: `stdout` or `stderr`.
        stream: the stream that it replaces.
    """

    def __init__(self, name: str, stream: Any) -> None:
        self._name = name
        self._stream = stream
        self._rest = ""

    def write(self, text: str) -> int:
        """Show whole lines; the rest waits for its end."""
        lines, end, self._rest = (self._rest + text).rpartition("\n")
        if end:
            terminal.write(self._name, f"{lines}\n")
        return len(text)

    def fileno(self) -> int:
        """The descriptor of the replaced stream."""
        return int(self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the replaced stream."""
        return self._stream.encoding or "utf-8"


@contextmanager
def live_view(worker: Worker) -> Iterator[None]:
    """Context manager: while it is open, show the view below the worker's output on the terminal."""
    coming = ComingTimer(worker)
    view = LiveView(worker, coming, Painter(sys.stdout.encoding))
    worker.observers.append(view)
    worker.timers.append(coming)
    worker.listeners.append(coming)
    region = LiveRegion(view, sys.stdout)
    before = None
    in_main = threading.current_thread() is threading.main_thread() and hasattr(signal, "SIGCONT")
    if in_main:
        before = signal.signal(signal.SIGCONT, lambda *_: region.forget())
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Printed("stdout", sys.stdout), _Printed("stderr", sys.stderr)
    terminal.set_region(region)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        terminal.set_region(None)
        if in_main:
            # None: a handler that Python does not know.
            signal.signal(signal.SIGCONT, signal.SIG_DFL if before is None else before)
        summary = view.summary()
        if summary:
            terminal.show(summary)
