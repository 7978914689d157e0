"""Stops runs of a task server whose leases cannot be renewed, before another server takes them over.

Otherwise both servers would execute the run. If a lease was not renewed for most of its time, the guard
raises an exception in the run's thread. If the thread does not end, for example because it waits in C code,
the guard ends the process, unless it has other work.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from typing import TYPE_CHECKING

from runyard import settings
from runyard.base import clock, machine
from runyard.base.errors import StaleAttempt
from runyard.base.exceptions import TerminationSignal
from runyard.client import LocalClient
from runyard.operations.lease_clock import patience_seconds, takeover_seconds
from runyard.operations.task_runs.background_tasks import renew_background_tasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client
    from runyard.engine.background.background_run import FencedJournal

_set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_LONGEST_LOOK_SECONDS = 1.0
EXIT_CODE = 1


class Work:
    """One run that a thread of this process executes.

    Args:
        journal: the journal of the run.
        held_at: when it was claimed, by the boot clock in seconds.
    """

    def __init__(self, journal: FencedJournal, held_at: float) -> None:
        self.journal = journal
        self.held_at = held_at
        self.stopped = ""
        self.stopped_at = 0.0
        self._lock = threading.Lock()
        self._thread: ctypes.c_ulong | None = None

    @property
    def executes(self) -> bool:
        """Whether the user's code of the run may still be executing."""
        return self._thread is not None and not self.journal.ending

    def __enter__(self) -> None:
        """Register this thread as the executor for the block."""
        with self._lock:
            if self.stopped:
                raise TerminationSignal
            self._thread = ctypes.c_ulong(threading.get_ident())

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            if self._thread is not None:
                # Cancel a pending exception: it would interrupt the thread's next work.
                _set_exception(self._thread, None)
            self._thread = None

    def stop(self, why: str) -> None:
        """Stop the run by an exception, without a report; only once."""
        with self._lock:
            if self.stopped or self.journal.ending:
                return
            self.stopped, self.stopped_at = why, clock.boot_seconds()
            self.journal.refused = StaleAttempt(why)
            if self._thread is not None:
                _set_exception(self._thread, ctypes.py_object(TerminationSignal))


class Works:
    """The runs that this process executes, by run id; thread-safe."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._works)

    def add(self, task_run_id: str, work: Work) -> int:
        """Add a run; returns the number of runs."""
        with self._lock:
            self._works[task_run_id] = work
            return len(self._works)

    def drop(self, task_run_id: str, work: Work) -> None:
        """Remove a run that has ended, unless it was claimed again meanwhile."""
        with self._lock:
            if self._works.get(task_run_id) is work:
                del self._works[task_run_id]

    def all(self) -> list[Work]:
        """The runs that are executing."""
        with self._lock:
            return list(self._works.values())

    def renew(self, client: Client, seconds: float) -> None:
        """Renew all leases for `seconds`; 0 releases them. Stops runs that another process has taken over."""
        with self._lock:
            works = dict(self._works)
        held = [[task_run_id, work.journal.attempt] for task_run_id, work in works.items()]
        asked_at = clock.boot_seconds()
        lost = client.call(renew_background_tasks, {"held": held, "lease_seconds": seconds})["lost"]
        for task_run_id, work in works.items():
            if task_run_id not in lost:
                work.held_at = asked_at
            else:
                work.stop("it was given to another process")

    def bear_outage(self, client: Client) -> None:
        """Handle an outage: if the database is an SQLite file, no process can take over the runs either."""
        if isinstance(client, LocalClient) and client.database.dialect == "sqlite":
            for work in self.all():
                work.held_at = clock.boot_seconds()


class Guard:
    """A thread that checks whether leases are renewed, until it is closed.

    Args:
        works: the executing runs.
        own_process: the process only serves tasks, so the guard may end it.
        say: prints one line to the user.
    """

    def __init__(self, works: Works, own_process: bool, say: Callable[[str], None]) -> None:
        self._works = works
        self._own_process = own_process
        self._say = say
        self._closed = threading.Event()
        self._patience = patience_seconds()
        # Half of the remaining time is for runs to stop by themselves.
        self._grace = (takeover_seconds() - self._patience) / 2
        self._thread = threading.Thread(target=self._watch, name="runyard-guard", daemon=True)
        if settings.get("on_partition") != "continue":
            self._thread.start()

    def close(self) -> None:
        """Stop checking."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        pause = min(self._grace / 2, _LONGEST_LOOK_SECONDS)
        while not self._closed.wait(pause):
            self._look()

    def _look(self) -> None:
        executing = [work for work in self._works.all() if work.executes]
        now = clock.boot_seconds()
        late = [work for work in executing if not work.stopped and now - work.held_at >= self._patience]
        if late:
            self._say(
                f"Leases could not be renewed for {self._patience:g} s: stopping {len(late)} run(s), "
                "because other servers may take them over soon"
            )
        for work in late:
            work.stop("its lease could not be renewed, and another server may have taken it over")
        stuck = [work for work in executing if work.stopped and now - work.stopped_at >= self._grace]
        if self._own_process and stuck and len(stuck) == len(executing):
            self._say(f"{len(executing)} run(s) did not stop; this process exits with code {EXIT_CODE}")
            _end_children(os.getpid())
            os._exit(EXIT_CODE)


def _end_children(pid: int) -> None:
    """Kill the processes that tasks have started: they would continue without this process."""
    for child in machine.children(pid):
        _end_children(child)
        try:
            os.kill(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
