"""Stops what a server of background tasks executes before others may take it over.

Where a run is given to another server while this one cannot renew its lease, both would execute it. So what
was not renewed for most of that time is stopped here: by an exception in its thread, and where that does not
help, as with code that waits in C, by the end of the process, if nothing else happens in it.
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
        journal: of the run.
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
        """Whether code of the user may still be run for it."""
        return self._thread is not None and not self.journal.ending

    def __enter__(self) -> None:
        """This thread executes it in the block."""
        with self._lock:
            if self.stopped:
                raise TerminationSignal
            self._thread = ctypes.c_ulong(threading.get_ident())

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            if self._thread is not None:
                # One that is on its way would end what the thread does next.
                _set_exception(self._thread, None)
            self._thread = None

    def stop(self, why: str) -> None:
        """Have it end by an exception, with nothing reported; only once."""
        with self._lock:
            if self.stopped or self.journal.ending:
                return
            self.stopped, self.stopped_at = why, clock.boot_seconds()
            self.journal.refused = StaleAttempt(why)
            if self._thread is not None:
                _set_exception(self._thread, ctypes.py_object(TerminationSignal))


class Works:
    """What this process executes and holds, by the ids of the runs; used by several threads."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._works)

    def add(self, task_run_id: str, work: Work) -> int:
        """One more; how many there are."""
        with self._lock:
            self._works[task_run_id] = work
            return len(self._works)

    def drop(self, task_run_id: str, work: Work) -> None:
        """It is over, unless the run was claimed again meanwhile."""
        with self._lock:
            if self._works.get(task_run_id) is work:
                del self._works[task_run_id]

    def all(self) -> list[Work]:
        """What is executed now."""
        with self._lock:
            return list(self._works.values())

    def renew(self, client: Client, seconds: float) -> None:
        """Hold all for so many seconds from now, 0 gives them back; what is another's by now is stopped."""
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
        """The database or the API is away; nobody takes over what is in a file that nobody can use."""
        if isinstance(client, LocalClient) and client.database.dialect == "sqlite":
            for work in self.all():
                work.held_at = clock.boot_seconds()


class Guard:
    """Looks whether leases are renewed, in a thread of its own, until it is closed.

    Args:
        works: what is executed.
        own_process: the process does nothing but serve tasks, and may be ended.
        say: prints one line to the user.
    """

    def __init__(self, works: Works, own_process: bool, say: Callable[[str], None]) -> None:
        self._works = works
        self._own_process = own_process
        self._say = say
        self._closed = threading.Event()
        self._patience = patience_seconds()
        # Half of the time that is left then is for ends in good order.
        self._grace = (takeover_seconds() - self._patience) / 2
        self._thread = threading.Thread(target=self._watch, name="runyard-guard", daemon=True)
        if settings.get("on_partition") != "continue":
            self._thread.start()

    def close(self) -> None:
        """Look no more."""
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
                f"Leases could not be renewed for {self._patience:g} s: what runs ({len(late)}) is stopped, "
                "since others may take it over soon"
            )
        for work in late:
            work.stop("its lease could not be renewed, and others may have taken it over")
        stuck = [work for work in executing if work.stopped and now - work.stopped_at >= self._grace]
        if self._own_process and stuck and len(stuck) == len(executing):
            self._say(
                f"What runs ({len(executing)}) did not stop; this process ends, with exit code {EXIT_CODE}"
            )
            _end_children(os.getpid())
            os._exit(EXIT_CODE)


def _end_children(pid: int) -> None:
    """What tasks have started and left running would execute on without their process."""
    for child in machine.children(pid):
        _end_children(child)
        try:
            os.kill(child, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
