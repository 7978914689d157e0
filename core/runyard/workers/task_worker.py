"""Serving tasks: a process that executes the runs that `task.delay(...)` submitted.

Several processes may serve the same tasks. A lease protects each claimed run, so no run is executed twice.
If a server is killed, another one claims its runs when their leases expire.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from contextvars import Context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from runyard import settings
from runyard.base import clock, ids, machine
from runyard.base.errors import RunyardError
from runyard.base.exceptions import TerminationSignal
from runyard.base.syncing import also_awaited, async_twin
from runyard.base.thread_calls import in_thread, release_thread, unbroken
from runyard.base.waits import jittered
from runyard.client import LocalClient
from runyard.client.engine_client import shared_client
from runyard.engine.background.background_guard import Guard, Work, Works
from runyard.engine.background.background_run import FencedJournal, execute
from runyard.engine.background.background_submit import served_name
from runyard.engine.lost_executors import Recovery
from runyard.engine.retention_loop import Retention
from runyard.engine.task_definition import TaskDefinition
from runyard.operations.lease_clock import look_seconds, takeover_seconds
from runyard.operations.task_runs.background_tasks import (
    claim_background_tasks,
    look_for_background_tasks,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from typing import Self

_BATCH = 16
# The timeout of one wait for changes, on a database and over HTTP.
_LOCAL_WATCH_SECONDS = 0.2
_HTTP_WATCH_SECONDS = 10.0
_RETRY_SECONDS = 1.0
_LONGEST_BACKOFF_SECONDS = 5.0


class TaskWorker:
    """Executes background runs of some tasks.

    Args:
        tasks: the tasks to serve.
        limit: the maximum number of concurrent runs; None: no limit.
        say: prints one line to the user; default: prints nothing.
        own_process: the process only serves these tasks. It exits if it cannot stop a task in another way
            before another server takes it over.

    Raises:
        TypeError: an argument is not a task.
        ValueError: no task is given, two are the same, or the limit is below 1.
    """

    def __init__(
        self,
        *tasks: TaskDefinition,
        limit: int | None = 10,
        say: Callable[[str], None] | None = None,
        own_process: bool = False,
    ) -> None:
        self.tasks: dict[str, TaskDefinition] = {}
        for given in tasks:
            if not isinstance(given, TaskDefinition):
                raise TypeError(f"{given!r} is not a task; decorate it with @task")
            if self.tasks.setdefault(served_name(given), given) is not given:
                raise ValueError(f"two of the tasks to serve are {served_name(given)!r}; serve one of them")
        if not tasks:
            raise ValueError("no task to serve; pass at least one")
        if limit is not None and limit < 1:
            raise ValueError(f"limit={limit} is below 1")
        self.limit = limit
        self.client_id = f"{socket.gethostname()}-{os.getpid()}-{ids.new_id()[-6:]}"
        self.started_at: datetime | None = None
        self._say = say or (lambda _line: None)
        self._own_process = own_process
        self._client: Any = None
        self._lease_seconds = takeover_seconds()
        # Signal handlers use both of them, and a lock could block a handler forever.
        self._wake: SimpleQueue[None] = SimpleQueue()
        self._asked = 0
        self._running = Works()
        # Claimed runs for the executing threads, and journals for the writing thread.
        self._jobs: SimpleQueue[tuple[dict[str, Any], Work] | None] = SimpleQueue()
        self._unwritten: SimpleQueue[tuple[float, FencedJournal] | None] = SimpleQueue()
        self._threads = 0
        self._next_renewal = 0.0
        self._recovery: Recovery | None = None
        self._next_recovery = 0.0
        self._retention: Retention | None = None
        self._thread: threading.Thread | None = None

    @property
    def started(self) -> bool:
        """Whether it is serving now."""
        return self.started_at is not None

    @property
    def current_tasks(self) -> int:
        """How many runs it is executing now."""
        return len(self._running)

    @property
    def available_tasks(self) -> int | None:
        """How many more runs it can execute now; None: no limit."""
        return None if self.limit is None else max(0, self.limit - len(self._running))

    @also_awaited
    def start(self, timeout: float | None = None) -> None:
        """Serve in this thread until `stop`, Ctrl-C or SIGTERM; started runs finish first.

        A second signal releases them, so that another server starts them again.

        Args:
            timeout: stop by itself after so many seconds.
        """
        self._client = shared_client()
        self._recovery = Recovery(self._client, lambda: machine.identity()[1])
        self._retention = Retention(self._client, lambda _level, text: self._say(text))
        self.started_at = clock.now()
        stopped = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(stopped,), name="runyard-changes", daemon=True)
        watcher.start()
        writer = threading.Thread(target=self._write_journals, name="runyard-journal", daemon=True)
        writer.start()
        guard = Guard(self._running, self._own_process, self._say)
        before = self._catch_signals()
        try:
            self._serve(None if timeout is None else time.monotonic() + timeout)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            stopped.set()
            self._retention.stop()
            guard.close()
            for _ in range(self._threads):
                self._jobs.put(None)
            self._threads = 0
            self._unwritten.put(None)
            writer.join()
            watcher.join(_RETRY_SECONDS)
            self.started_at, self._asked = None, 0

    @also_awaited
    def stop(self) -> None:
        """Claim no more runs, and stop when the started runs are finished; a second call stops at once."""
        self._asked += 1
        self._wake.put(None)

    async def astart(self, timeout: float | None = None) -> None:
        """Like `start`, without blocking the event loop; cancelling it works like Ctrl-C."""
        import asyncio

        await unbroken(lambda: self.start(timeout), self.stop)
        await asyncio.sleep(0)  # a pending cancellation is raised here

    async def astop(self) -> None:
        """Like `stop`."""
        self.stop()

    def __enter__(self) -> Self:
        """Serve in a new thread while the block runs."""
        self._thread = threading.Thread(target=self._start_and_release, name="runyard-tasks", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()
        if self._thread is not None:
            self._thread.join()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_error: object) -> None:
        await in_thread(self.__exit__)

    def _start_and_release(self) -> None:
        try:
            self.start()
        finally:
            release_thread()

    def _catch_signals(self) -> dict[int, Any]:
        if threading.current_thread() is not threading.main_thread():
            return {}
        return {
            number: signal.signal(number, lambda *_: self.stop())
            for number in (signal.SIGINT, signal.SIGTERM)
        }

    # The loop

    def _serve(self, until: float | None) -> None:
        backoff, problem, told = 0.05, False, False
        while True:
            if until is not None and time.monotonic() >= until and not self._asked:
                self._asked = 1
            if self._asked and not told and self._running:
                told = True
                self._say(
                    f"Stopping: what runs ({len(self._running)}) is finished first; again to give it back"
                )
            if self._asked and not self._running:
                return
            self._drain_wake()
            try:
                self._renew()
                self._recover()
                if self._asked > 1:
                    self._give_back()
                    return
                pause = look_seconds() if self._asked else self._claim()
            except RunyardError as error:
                if not problem:
                    self._say(f"{error}; trying again")
                problem = True
                self._running.bear_outage(self._client)
                backoff = min(backoff * 2, _LONGEST_BACKOFF_SECONDS)
                pause = jittered(backoff)
            else:
                backoff, problem = 0.05, False
            if until is not None and not self._asked:
                pause = min(pause, max(0.0, until - time.monotonic()))
            self._sleep(pause, quiet=problem)

    def _sleep(self, seconds: float, quiet: bool) -> None:
        """Wait for an event or the end of the time; if `quiet`, only a signal ends the wait early."""
        deadline = time.monotonic() + seconds
        asked = self._asked
        while (left := deadline - time.monotonic()) > 0:
            try:
                self._wake.get(timeout=left)
            except Empty:
                return
            if not quiet or self._asked != asked:
                return

    def _drain_wake(self) -> None:
        try:
            while True:
                self._wake.get_nowait()
        except Empty:
            pass

    def _claim(self) -> float:
        """Claim and launch due runs; return the seconds until the next claim if nothing changes."""
        names = list(self.tasks)
        place, proof = machine.identity()
        pause = look_seconds()
        while (free := _BATCH if self.limit is None else self.limit - len(self._running)) > 0:
            # Only a read, as most changes do not concern these tasks.
            found = self._client.call(look_for_background_tasks, {"tasks": names})
            if not found["due"]:
                if found["seconds_to_expiry"] is not None:
                    pause = min(pause, max(0.02, found["seconds_to_expiry"]))
                break
            body = {
                "tasks": names,
                "owner": self.client_id,
                "lease_seconds": self._lease_seconds,
                "place": place,
                "proof": proof,
                "limit": min(free, _BATCH),
            }
            asked_at = clock.boot_seconds()
            for claimed in self._client.call(claim_background_tasks, body):
                self._launch(claimed, asked_at)
        return pause

    def _launch(self, claimed: dict[str, Any], held_at: float) -> None:
        journal = FencedJournal(self._client, claimed["task_run_id"], claimed["attempt"], self._note)
        work = Work(journal, held_at)
        missing = self._running.add(claimed["task_run_id"], work) > self._threads
        self._threads += missing
        self._jobs.put((claimed, work))
        if missing:
            threading.Thread(target=self._work, name="runyard-task", daemon=True).start()

    def _work(self) -> None:
        """Execute one run after another; threads are reused, as opening a database costs more than a run."""
        try:
            while (job := self._jobs.get()) is not None:
                Context().run(self._execute, *job)
        finally:
            release_thread()

    def _execute(self, claimed: dict[str, Any], work: Work) -> None:
        try:
            with work:
                state = execute(self.tasks[claimed["task"]], claimed, work.journal)
            how = "was given to another process meanwhile" if state is None else f"is {state.name}"
            if work.stopped:
                how = f"was stopped: {work.stopped}"
            self._say(f"Task run {claimed['name']!r} {how}")
        except TerminationSignal:
            self._say(f"Task run {claimed['name']!r} was stopped: {work.stopped}")
        except Exception as error:
            self._say(f"The end of task run {claimed['name']!r} was not recorded: {error}")
        finally:
            self._running.drop(claimed["task_run_id"], work)
            self._wake.put(None)

    def _note(self, journal: FencedJournal) -> None:
        self._unwritten.put((time.monotonic(), journal))

    def _write_journals(self) -> None:
        """Write the journals of runs after a short delay; runs that ended by then have written theirs."""
        delay: float = settings.get("journal_flush_seconds")
        try:
            while (noted := self._unwritten.get()) is not None:
                since, journal = noted
                time.sleep(max(0.0, since + delay - time.monotonic()))
                journal.flush()
        finally:
            release_thread()

    def _renew(self) -> None:
        if not self._running or time.monotonic() < self._next_renewal:
            return
        self._running.renew(self._client, self._lease_seconds)
        self._next_renewal = time.monotonic() + look_seconds()

    def _recover(self) -> None:
        if self._recovery is not None and time.monotonic() >= self._next_recovery:
            self._recovery.run()
            self._next_recovery = time.monotonic() + look_seconds()
        if self._retention is not None and not self._asked:
            self._retention.run_if_due()

    def _give_back(self) -> None:
        """Expire the leases of all runs, so that other servers claim them; later reports are refused."""
        self._running.renew(self._client, 0)
        self._say(f"What ran ({len(self._running)}) was given back")

    def _watch(self, stopped: threading.Event) -> None:
        """Wake the loop after every change."""
        local = isinstance(self._client, LocalClient)
        seconds = _LOCAL_WATCH_SECONDS if local else _HTTP_WATCH_SECONDS
        seen: Any = None
        try:
            while not stopped.is_set():
                try:
                    if seen is None:
                        token = self._client.changes()
                    else:
                        token = self._client.wait_for_change(seen, seconds)
                except Exception as error:
                    if stopped.is_set():
                        return  # the program closed the client, as it stopped serving
                    if not isinstance(error, RunyardError):
                        raise
                    # Changes may have been missed during an outage: the next token counts as a change.
                    seen = None
                    stopped.wait(jittered(_RETRY_SECONDS, most=1.5))
                    continue
                if token != seen:
                    seen = token
                    self._wake.put(None)
        finally:
            release_thread()


def serve(
    *tasks: TaskDefinition,
    limit: int | None = 10,
    status_server_port: int | None = None,
    timeout: float | None = None,
) -> None:
    """Execute the runs of some tasks that `delay` submitted, until Ctrl-C or SIGTERM.

    Args:
        tasks: the tasks to serve.
        limit: the maximum number of concurrent runs; None: no limit.
        status_server_port: accepted for compatibility; ignored.
        timeout: stop by itself after so many seconds.
    """
    worker = TaskWorker(*tasks, limit=limit, say=lambda line: print(line, flush=True), own_process=True)
    names = ", ".join(each.name for each in tasks)
    print(f"Serving {names}; Ctrl-C to stop", flush=True)
    worker.start(timeout)
    print("Stopped serving tasks", flush=True)


aserve = async_twin(serve)
