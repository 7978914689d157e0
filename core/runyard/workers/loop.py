"""The worker's main loop: claim, launch, renew, cancel and report runs until the worker is stopped."""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import clock
from runyard.base.errors import NotFound, RunyardError, StaleAttempt
from runyard.base.waits import jittered
from runyard.client import LocalClient
from runyard.domain import states
from runyard.engine.retention_loop import EVERY_SECONDS, Retention
from runyard.operations.flow_runs.claim_flow_runs import (
    ClaimRequest,
    claim_flow_runs,
    read_next_due,
    return_claim,
)
from runyard.operations.flow_runs.flow_runs import SetState, filter_flow_runs, set_flow_run_state
from runyard.operations.flow_runs.report_exit import ExitReport, report_exit
from runyard.operations.lease_clock import look_seconds
from runyard.operations.records.logs import LogCreate, create_logs
from runyard.operations.schemas import Listing, StateCreate
from runyard.operations.work_pools.workers import WorkerHeartbeat, heartbeat_worker
from runyard.workers.endings import Endings
from runyard.workers.job_configuration import job_of
from runyard.workers.online_upgrade import LOOK_SECONDS, OnlineUpgrade
from runyard.workers.server_clock import ServerClock
from runyard.workers.terminal import Signals
from runyard.workers.worker_duties import Scheduler, Timer, tidy_up
from runyard.workers.worker_leases import Leases

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from runyard.client import Client
    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun, NextDue
    from runyard.workers.change_watch import Watcher
    from runyard.workers.process.supervised_process import RunProcess
    from runyard.workers.process.supervisor import Supervisor
    from runyard.workers.task_server_process import TaskServer
    from runyard.workers.watching import Listener, RunObserver
    from runyard.workers.worker_options import WorkerOptions

_BATCH = 16
_CANCEL_LOOK_SECONDS = 0.25
_LOG_SECONDS = 0.1
_LONGEST_BACKOFF_SECONDS = 5.0


class Worker:
    """The main loop of one worker.

    Args:
        client: the API or database of the runs.
        supervisor: the processes of the runs.
        watcher: notifies of changes.
        options: the options of the user, with a name.
        say: prints one line to the user (level, text).
        companion: the child process that runs background tasks.
    """

    def __init__(
        self,
        client: Client,
        supervisor: Supervisor,
        watcher: Watcher,
        options: WorkerOptions,
        say: Callable[[str, str], None],
        companion: TaskServer | None = None,
    ) -> None:
        self.companion = companion
        self.client = client
        self.supervisor = supervisor
        self.watcher = watcher
        self.options = options
        self.name = options.name or ""
        self.say = say
        self.kill_grace_seconds: float = settings.get("worker_kill_grace_seconds")
        self.heartbeat_seconds: float = settings.get("worker_heartbeat_seconds")
        self.leases = Leases(client, supervisor, say)
        self.endings = Endings(client, supervisor, say, self._note_end)
        # Metrics and the live view, if enabled.
        self.observers: list[RunObserver] = []
        self.scheduler = Scheduler(client, self.name, options.schedules)
        # Notified of changes in the database.
        self.listeners: list[Listener] = [self.scheduler]
        self.retention = Retention(client, say)
        self.timers = [
            Timer(look_seconds(), self._renew_and_recover),
            Timer(self.heartbeat_seconds, self._heartbeat),
            Timer(EVERY_SECONDS, self.retention.run_if_due),
            Timer(EVERY_SECONDS, tidy_up),
            Timer(LOOK_SECONDS, OnlineUpgrade(client, self.name, say).run),
        ]
        self.last_turn = time.monotonic()
        self.outage: str | None = None
        self._retry_at = 0.0
        self._backoff = 0.1
        self._may_claim = True
        # The last claim returned as many runs as requested: more runs probably wait.
        self._more_wait = False
        self._next_due: int | None = None
        self._server_clock = ServerClock()
        self._next_look = 0.0
        self._look_for_cancelled = False
        self._next_cancel_look = 0.0
        self._next_flush: float | None = None
        # With `run_once`: the latest due time of the runs to claim; set by the first claim.
        self._once_until: int | None = None
        self._signals = 0
        self._handled_signals = 0
        self._stopping_by = Signals(self._on_signal)
        self._stop_by: float | None = None
        self._give_up_at: float | None = None

    def run(self) -> None:
        """Work until stopped; with `run_once`, until all due runs are done."""
        with self._stopping_by as wake:
            self.supervisor.selector.register(wake, 1, lambda: wake.recv(4096))
            if self.watcher.file is not None:
                self.supervisor.selector.register(self.watcher.file, 1, lambda: None)
            while not self._finished():
                self.supervisor.wait(self._timeout())
                self.last_turn = time.monotonic()
                self._obey_signals()
                if self.companion is not None:
                    self.companion.check()
                self.supervisor.answer_reports(bool(self.outage))
                self._guarded(self._turn)
        self._shut_down()

    def _turn(self) -> None:
        """Do all that needs the database. An outage may interrupt it; the next turn repeats it."""
        now = time.monotonic()
        if self.watcher.interval_seconds is None or now >= self._next_look:
            self._next_look = now + (self.watcher.interval_seconds or 0.0)
            if self.watcher.changed():
                self._may_claim = self._look_for_cancelled = True
                for listener in self.listeners:
                    listener.changed()
        if self.endings.report():
            self._may_claim = True
        for timer in self.timers:
            timer.run_if_due()
        if not self.stopping and self.scheduler.run_if_due():
            self._may_claim = True
        if self._look_for_cancelled and self.supervisor.running and now >= self._next_cancel_look:
            self._stop_cancelled()
        self._claim()
        if self._next_flush is not None and now >= self._next_flush:
            self.supervisor.logs.flush()
            self._next_flush = None
        elif len(self.supervisor.logs) and self._next_flush is None:
            self._next_flush = now + _LOG_SECONDS

    # Claiming

    def _claim(self) -> None:
        if self._next_due is not None and self._seconds_until_due() <= 0:
            self._next_due, self._may_claim = None, True
        if self.options.run_once and self._once_until is None and self._may_claim and not self.stopping:
            self._ask_for_next_due()  # also reads the server's clock
        while self._may_claim and not self.stopping and self._free > 0:
            limit = min(self._free, _BATCH)
            if self.supervisor.refresh():
                self.say("INFO", "Installed packages have changed: runs that start from now on get them")
            asked_at = clock.boot_seconds()
            batch = self._ask_for_runs(limit)
            if not self.supervisor.running:
                self.supervisor.beat(asked_at)
            self._more_wait = len(batch) == limit
            for claimed in batch:
                self._launch(claimed)
            if self._once_until is None:
                self._once_until = self._server_clock.now_us() + int(
                    (self.options.prefetch_seconds or 0) * 1e6
                )
            if len(batch) < limit:
                self._may_claim = False
                self._next_due = self._due_after_this()

    def _due_after_this(self) -> int | None:
        """When to claim next if nothing changes, in microseconds; None: never."""
        due = self._ask_for_next_due()
        at = None if due is None else clock.to_us(due)
        over = self.options.run_once and at is not None and at > (self._once_until or 0)
        return None if over else at

    def _ask_for_runs(self, limit: int) -> list[ClaimedRun]:
        body = ClaimRequest(
            worker_name=self.name,
            work_queue_names=self.options.work_queues or None,
            limit=limit,
            **self.leases.held_by(),
            due_before=clock.from_us(self._once_until)
            if self._once_until and self.options.run_once
            else None,
        )
        if self.supervisor.runs_here and isinstance(self.client, LocalClient):
            # A run that is not Running yet has done nothing: after a power cut it can be claimed again.
            return self.client.call_soon(
                claim_flow_runs, self.options.pool, body, prepare=not self._more_wait
            )
        return self.client.call(claim_flow_runs, self.options.pool, body)

    def _ask_for_next_due(self) -> datetime | None:
        asked = clock.now_us()
        told = self._read_next_due()
        clock.agree(clock.to_us(told.now), asked, clock.now_us())
        self._server_clock.set(told.now)
        return told.due

    def _read_next_due(self) -> NextDue:
        queues = self.options.work_queues or None
        return self.client.call(read_next_due, self.options.pool, work_queue_names=queues)

    def _seconds_until_due(self) -> float:
        return math.inf if self._next_due is None else self._server_clock.seconds_until(self._next_due)

    @property
    def _free(self) -> int:
        if not self.supervisor.accepts():
            return 0
        limit = self.options.limit
        return _BATCH if limit is None else limit - len(self.supervisor.running)

    def _launch(self, claimed: ClaimedRun) -> None:
        if self._signals:
            self.client.call(return_claim, claimed.flow_run_id, attempt=claimed.attempt)
            return
        name = claimed.flow_run.name
        try:
            job = job_of(claimed)
        except RunyardError as error:
            message = f"Flow run {name!r} could not be launched: {error}"
            self.say("ERROR", message)
            self.supervisor.logs.add(claimed.flow_run_id, "runyard.worker", message, level=40)
            self.client.call(
                report_exit,
                ExitReport(
                    flow_run_id=claimed.flow_run_id, attempt=claimed.attempt, exit_code=1, message=message
                ),
            )
            return
        for observer in self.observers:
            observer.launched(claimed, self._server_clock.now_us())
        process = self.supervisor.launch(claimed, job)
        if process.exit_code is None:
            self.say("INFO", f"Flow run {name!r} ({claimed.flow_run_id}) started, attempt {claimed.attempt}")

    def _note_end(self, process: RunProcess) -> None:
        for observer in self.observers:
            observer.ended(process, time.monotonic() - process.launched_at)

    # Leases and cancelling

    def _renew_and_recover(self) -> None:
        # Own leases first: after an outage the worker renews them before it looks for expired ones.
        cancelling, timed_out = self.leases.renew()
        for process in cancelling:
            self._cancel(process)
        for process in timed_out:
            self._time_out(process)
        if self.leases.recover():
            self._may_claim = True

    def _stop_cancelled(self) -> None:
        self._next_cancel_look = time.monotonic() + _CANCEL_LOOK_SECONDS
        self._look_for_cancelled = False
        processes = {
            p.flow_run_id: p for p in self.supervisor.running.values() if not (p.cancelling or p.hooks)
        }
        if processes:
            wanted = {"id": {"any_": list(processes)}, "state": {"type": {"any_": [states.CANCELLING]}}}
            for run in self.client.call(filter_flow_runs, Listing(flow_runs=wanted)):
                self._cancel(processes[run.id])

    def _cancel(self, process: RunProcess) -> None:
        if not process.cancelling:
            process.cancelling = True
            self.say("INFO", f"Flow run {process.name!r} is being cancelled")
            self.supervisor.stop(process, self.kill_grace_seconds)

    def _time_out(self, process: RunProcess) -> None:
        if not (process.timed_out or process.cancelling):
            process.timed_out = True
            self.say("WARNING", f"Flow run {process.name!r} has run for its max_run_seconds and is stopped")
            self.supervisor.stop(process, self.kill_grace_seconds)

    def _heartbeat(self, stopped: bool = False) -> None:
        self.client.call(
            heartbeat_worker,
            self.options.pool,
            WorkerHeartbeat(
                name=self.name,
                heartbeat_interval_seconds=self.heartbeat_seconds,
                work_queue_names=self.options.work_queues,
                concurrency_limit=self.options.limit,
                stopped=stopped,
            ),
        )
        # Claim now and then without a notification, in case one was missed.
        self._may_claim = True

    # Stopping

    @property
    def stopping(self) -> bool:
        """Whether a stop was requested: no more runs are claimed."""
        return self._signals > 0

    def stop(self) -> None:
        """Stop as after a signal; called from another thread."""
        self._on_signal()
        self._stopping_by.wake()

    def _on_signal(self) -> None:
        self._signals += 1

    def _obey_signals(self) -> None:
        if not self.stopping:
            return
        running = self.supervisor.running
        now = time.monotonic()
        if self.companion is not None:
            self.companion.stop(self._signals + bool(self._stop_by and now >= self._stop_by))
        if self._handled_signals == 0:
            self._handled_signals = 1
            asked = self.options.shutdown_grace_seconds
            grace: float = settings.get("worker_shutdown_grace_seconds") if asked is None else asked
            self._stop_by = now + grace
            if running and grace:
                self.say(
                    "INFO",
                    f"Stopping: running flow runs ({len(running)}) may finish within {grace:g} s; "
                    "a second signal cancels them",
                )
        if self._handled_signals == 1 and (self._signals > 1 or (self._stop_by and now >= self._stop_by)):
            self._handled_signals = 2
            for process in list(running.values()):
                self._guarded(partial(self._mark_cancelling, process))
                self._cancel(process)
        if self._signals > 2 and self._handled_signals == 2:
            self._handled_signals = 3
            for process in running.values():
                self.supervisor.kill(process)

    def _mark_cancelling(self, process: RunProcess) -> None:
        if process.reported or process.lost or process.hooks:
            return
        state = StateCreate(type=states.CANCELLING, message=f"Worker {self.name!r} was stopped")
        try:
            self.client.call(
                set_flow_run_state,
                process.flow_run_id,
                SetState(state=state, force=False, attempt=process.attempt),
            )
        except (StaleAttempt, NotFound):
            pass  # the run ended meanwhile

    def _finished(self) -> bool:
        if self.supervisor.running or (
            self.companion is not None and self.stopping and self.companion.running
        ):
            return False
        if self.stopping or (self.options.run_once and not self._waits_for_more()):
            if not self.supervisor.ended and not len(self.supervisor.logs):
                return True
            # All processes have ended. Other workers recover unreported runs when their leases expire.
            if self._give_up_at is None:
                self._give_up_at = time.monotonic() + self.kill_grace_seconds
            self._next_flush = 0.0
            return time.monotonic() >= self._give_up_at
        return False

    def _waits_for_more(self) -> bool:
        """Whether a `run_once` worker must claim (again): an ended run may have freed a slot."""
        if self._once_until is None or self._may_claim:
            return True
        return self._next_due is not None

    def _shut_down(self) -> None:
        # A worker that runs once still finishes a retention pass.
        if self.options.run_once and not self.stopping:
            self.retention.finish()
        self.retention.stop()
        self._guarded(lambda: self._heartbeat(stopped=True))

    # The loop itself

    def _timeout(self) -> float:
        now = time.monotonic()
        moments = [self._retry_at] if self.outage else [t.next_at for t in self.timers]
        if self.companion is not None:
            moments.append(self.companion.next_at)
        if not self.outage:
            if not self.stopping:
                moments.append(self.scheduler.next_at)
            if self.watcher.interval_seconds is not None:
                moments.append(self._next_look)
            if self._next_flush is not None:
                moments.append(self._next_flush)
            if self._look_for_cancelled and self.supervisor.running:
                moments.append(self._next_cancel_look)
            if self._next_due is not None:
                moments.append(now + self._seconds_until_due())
        deadline = self.supervisor.next_deadline()
        moments.extend(m for m in (deadline, self._stop_by, self._give_up_at) if m is not None and m > now)
        return max(min(moments) - now, 0.0)

    def _guarded(self, action: Callable[[], None]) -> None:
        """Call `action`, which uses the database; in an outage the runs continue and the loop retries."""
        if self.outage and time.monotonic() < self._retry_at:
            return
        try:
            action()
        except RunyardError as error:
            if not self.outage:
                self.say("WARNING", f"{error}; the runs go on, trying again")
            self.outage = str(error)
            self.leases.bear_outage()
            # Retry often enough to renew the leases in time.
            longest = min(_LONGEST_BACKOFF_SECONDS, self.leases.seconds / 4)
            self._backoff = min(self._backoff * 2, longest)
            self._retry_at = time.monotonic() + jittered(self._backoff)
        else:
            if self.outage:
                self.say("INFO", "The database answers again")
            self.outage, self._backoff = None, 0.1


def write_logs(client: Client, bodies: list[dict[str, Any]]) -> None:
    """Store log records of runs."""
    client.call(create_logs, [LogCreate.model_validate(body) for body in bodies])
