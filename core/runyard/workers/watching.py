"""The runs of a worker and how its loop watches them, independent of their infrastructure."""

from __future__ import annotations

import selectors
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from runyard.workers.run_output import LogBuffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.workers.run_output import Pipe

# The time between two attempts to kill a run that does not end.
_AGAIN_SECONDS = 1.0
_ERROR = 40


class RunObserver(Protocol):
    """Observes the runs of a worker; see `metrics` and `live_view`."""

    def launched(self, claimed: ClaimedRun, now_us: int) -> None:
        """Record the launch of a run."""
        ...

    def ended(self, run: WatchedRun, seconds: float) -> None:
        """Record the end of a run's process, `seconds` after its launch."""
        ...


class Listener(Protocol):
    """Is notified of changes in the database."""

    def changed(self) -> None:
        """Handle a change."""
        ...


class WatchedRun:
    """A claimed run that a worker executes.

    Args:
        claimed: the result of the claim.
        job: the pool's job configuration, resolved for this run.
        hooks: call the hooks of the run's final state instead of running the flow.
    """

    # The output streams of the run.
    pipes: list[Pipe]

    def __init__(self, claimed: ClaimedRun, job: dict[str, Any], hooks: bool) -> None:
        self.claimed = claimed
        self.flow_run_id = claimed.flow_run_id
        self.attempt = claimed.attempt
        self.name = claimed.flow_run.name
        self.job = job
        self.hooks = hooks
        self.key = f"{self.flow_run_id}:{self.attempt}{':hooks' if hooks else ''}"
        self.launched_at = time.monotonic()
        # An earlier worker launched it.
        self.adopted = False
        self.exit_code: int | None = None
        self.failure: str | None = None
        # The run itself reported that its end is recorded.
        self.reported = False
        # Its recorded state at the end, where known.
        self.state_type: str | None = None
        self.state_name: str | None = None
        self.cancelling = False
        # It exceeded its maximum run time and is being stopped.
        self.timed_out = False
        # Another worker owns the lease: this worker reports nothing about this attempt.
        self.lost = False
        # The process that supervised it has ended, and the run with it, or its launch never arrived there.
        self.unwatched = False
        # It is reporting its end; hooks and the exit follow, which may take long.
        self.ending = False
        self.kill_at: float | None = None

    def hear(self, said: dict[str, Any]) -> None:
        """Read a status message of the run: `reported`, `state_type`, `state_name`, `ending`, `failure`."""
        self.reported = self.reported or bool(said.get("reported"))
        self.ending = self.ending or bool(said.get("ending"))
        self.failure = said.get("failure") or self.failure
        self.state_type = said.get("state_type") or self.state_type
        self.state_name = said.get("state_name") or self.state_name


Watched = TypeVar("Watched", bound=WatchedRun)


class Watching(Generic[Watched]):
    """The runs of a worker and the selector of its loop.

    Args:
        write_logs: writes a list of log bodies.
        lease_seconds: the duration of leases; also how long a run may continue after its end is recorded.
    """

    # Whether the runs are processes of this machine, which end with it.
    runs_here = False

    def __init__(self, write_logs: Callable[[list[dict[str, Any]]], None], lease_seconds: float) -> None:
        self.selector = selectors.DefaultSelector()
        self.logs = LogBuffer(write_logs)
        self.running: dict[str, Watched] = {}
        # Runs that ended and whose end is not yet reported.
        self.ended: list[Watched] = []
        self._lease_seconds = lease_seconds
        self._paused: list[tuple[int, Callable[[], Any]]] = []

    def wait(self, timeout_seconds: float | None) -> None:
        """Wait for events and handle them, at most until the timeout."""
        for key, _ in self.selector.select(timeout_seconds):
            # An earlier event of this round may have closed the file, and its number may be in use again.
            if self.selector.get_map().get(key.fd) is key:
                key.data()
        self._kill_overdue()
        if self._paused and not self.logs.full:
            paused, self._paused = self._paused, []
            for file, action in paused:
                self._register(file, action)

    def next_deadline(self) -> float | None:
        """When the next stopping run must be killed, on the monotonic clock."""
        return min((run.kill_at for run in self.running.values() if run.kill_at is not None), default=None)

    def answer_reports(self, outage: bool) -> None:
        """Execute the API calls that runs make through their worker, if any."""

    def kill(self, run: Watched) -> None:
        """Kill a run now."""
        raise TypeError(f"{type(self).__name__} does not implement kill()")

    def _add(self, run: Watched) -> None:
        self.running[run.key] = run
        for pipe in run.pipes:
            self._register(pipe.read_end, partial(self._read, pipe))

    def _end_with(self, run: Watched, failure: str | None) -> None:
        """Note that a run has ended, with the reason why it could not run, for its logs."""
        if failure:
            self.logs.add(run.flow_run_id, "runyard.worker", failure, level=_ERROR)
        self.ended.append(run)

    def _remove(self, run: Watched) -> None:
        del self.running[run.key]
        for pipe in run.pipes:
            self._forget(pipe.read_end)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for run in self.running.values():
            if run.reported and run.kill_at is None:
                # Its end is recorded; a thread that does not stop must not occupy the worker's slot.
                run.kill_at = now + self._lease_seconds
            elif run.kill_at is not None and now >= run.kill_at:
                self.kill(run)
                run.kill_at = now + _AGAIN_SECONDS

    def _register(self, file: int, action: Callable[[], Any]) -> None:
        self.selector.register(file, selectors.EVENT_READ, action)

    def _forget(self, file: int) -> None:
        if file in self.selector.get_map():
            self.selector.unregister(file)
        self._paused = [pair for pair in self._paused if pair[0] != file]

    def _read(self, pipe: Pipe) -> None:
        if self.logs.full and pipe.kept:
            # The run waits for the worker while the worker waits for the database.
            action = self.selector.unregister(pipe.read_end).data
            self._paused.append((pipe.read_end, action))
            return
        pipe.read()
        if not pipe.open:
            self._forget(pipe.read_end)
