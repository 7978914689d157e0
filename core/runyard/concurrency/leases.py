"""Slots that this process holds: one thread renews their leases until they are given back."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from runyard.concurrency import lines
from runyard.errors import LeaseGone, RunyardError

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client

# How long the thread stays when nothing is held: what follows soon finds it there.
_LINGER_SECONDS = 5.0

_guard = threading.Lock()
_wanted = threading.Event()
_held: dict[str, Lease] = {}
_thread: threading.Thread | None = None


class Lease:
    """Slots that are held.

    Args:
        client: of whom they were taken.
        lease_id: under which.
        names: of the limits.
        seconds: how long without renewal.
    """

    __slots__ = ("_due", "_seconds", "client", "lease_id", "lost", "names", "on_lost")

    def __init__(self, client: Client, lease_id: str, names: list[str], seconds: float) -> None:
        self.client = client
        self.lease_id = lease_id
        self.names = names
        self.lost = False
        self.on_lost: Callable[[], None] | None = None
        self._seconds = seconds
        self._due = time.monotonic() + seconds / 3

    def keep(self) -> None:
        """Have it renewed until it is released."""
        global _thread
        with _guard:
            _held[self.lease_id] = self
            if _thread is None:
                _wanted.clear()
                _thread = threading.Thread(target=_work, name="runyard-slots", daemon=True)
                _thread.start()
            elif self._seconds / 3 < _LINGER_SECONDS:
                _wanted.set()  # it may be due before the thread would look again

    def release(self) -> None:
        """Give the slots back. Where the database is away, the lease runs out instead."""
        with _guard:
            _held.pop(self.lease_id, None)
        give_back(self.client, self.lease_id, self.names)

    def renew(self) -> None:
        """Hold it longer."""
        from runyard.operations.limit_slots import renew_slots

        try:
            self.client.call(renew_slots, self.lease_id, {"lease_duration": self._seconds})
        except LeaseGone:
            with _guard:
                given_back = _held.pop(self.lease_id, None) is None
            if not given_back:
                self.lost = True
                if self.on_lost is not None:
                    self.on_lost()
        except RunyardError:
            # Tried again soon: a lease that ran out is still ours until somebody needs the slots.
            self._due = time.monotonic() + min(1.0, self._seconds / 10)
        else:
            self._due = time.monotonic() + self._seconds / 3


def give_back(client: Client, lease_id: str, names: list[str]) -> None:
    """Give back what may be held under a lease."""
    from runyard.operations.limit_slots import decrement_slots_with_lease

    try:
        client.call(decrement_slots_with_lease, {"lease_id": lease_id})
    except RunyardError as error:
        told = ", ".join(names)
        print(f"runyard: slots of {told} come back only when their lease is over: {error}", file=sys.stderr)
    lines.freed(names)


def _work() -> None:
    from runyard.engine.connection import release_thread

    global _thread
    try:
        while True:
            now = time.monotonic()
            with _guard:
                due = [lease for lease in _held.values() if lease._due <= now]
            for lease in due:
                lease.renew()
            with _guard:
                soonest = min((lease._due for lease in _held.values()), default=None)
            wait = _LINGER_SECONDS if soonest is None else max(0.0, soonest - time.monotonic())
            woken = _wanted.wait(min(wait, _LINGER_SECONDS))
            with _guard:
                _wanted.clear()
                if not woken and not _held:
                    _thread = None
                    return
    finally:
        release_thread()


def _after_fork() -> None:
    """A forked child holds nothing: its parent goes on renewing."""
    global _guard, _wanted, _thread
    _guard, _wanted, _thread = threading.Lock(), threading.Event(), None
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
