"""Slots that this process holds: one thread renews their leases until they are given back."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

from runyard.base.errors import ApiUnavailable, LeaseGone, RunyardError, StoreError
from runyard.base.thread_calls import release_thread
from runyard.engine.concurrency import slot_queue
from runyard.operations.limits.limit_slots import decrement_slots_with_lease, renew_slots

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.client import Client

# How long the thread stays when nothing is held: what follows soon finds it there.
_LINGER_SECONDS = 5.0
# How often it is tried to give back what could not be given back at once.
_OWED_SECONDS = 0.2
# How long a process that ends waits for that.
_SETTLE_SECONDS = 30.0

_guard = threading.Lock()
_wanted = threading.Event()
_held: dict[str, Lease] = {}
# What could not be given back, as the database was away.
_owed: list[_Owed] = []
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
        with _guard:
            _held[self.lease_id] = self
            # It may be due before the thread would look again.
            _let_work(soon=self._seconds / 3 < _LINGER_SECONDS)

    def release(self) -> None:
        """Give the slots back; where the database is away, as soon as it is there again."""
        with _guard:
            _held.pop(self.lease_id, None)
        give_back(self.client, self.lease_id, self.names, self._seconds)

    def renew(self) -> None:
        """Hold it longer."""
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


class _Owed:
    """What may be held under a lease and is to be given back, until the lease is over at the latest."""

    def __init__(self, client: Client, lease_id: str, names: list[str], seconds: float) -> None:
        self._client = client
        self._lease_id = lease_id
        self._names = names
        self._until = time.monotonic() + seconds

    def give_back(self) -> bool:
        """Try it; whether nothing is left to be tried."""
        try:
            self._client.call(decrement_slots_with_lease, {"lease_id": self._lease_id})
        except RunyardError as error:
            if isinstance(error, (StoreError, ApiUnavailable)) and time.monotonic() < self._until:
                return False
            self.leave(error)
        slot_queue.freed(self._names)
        return True

    def leave(self, why: object) -> None:
        """Say that nothing more is done."""
        told = ", ".join(self._names)
        print(f"runyard: slots of {told} come back only when their lease is over: {why}", file=sys.stderr)


def give_back(client: Client, lease_id: str, names: list[str], seconds: float) -> None:
    """Give back what may be held under a lease: at once, or beside the caller while the database is away.

    Args:
        seconds: how long the lease is.
    """
    owed = _Owed(client, lease_id, names, seconds)
    if owed.give_back():
        return
    with _guard:
        _owed.append(owed)
        _let_work(soon=True)
    atexit.unregister(_settle)
    atexit.register(_settle)


def _settle() -> None:
    """A process ends when it has given everything back, or waited long enough."""
    until = time.monotonic() + _SETTLE_SECONDS
    try:
        while _owed and _thread is not None and _thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    for owed in list(_owed):
        owed.leave("the database is away as this process ends")


def _let_work(soon: bool) -> None:
    """With the guard held: the thread is there, and looks again soon."""
    global _thread
    if _thread is None:
        _wanted.clear()
        _thread = threading.Thread(target=_work, name="runyard-slots", daemon=True)
        _thread.start()
    elif soon:
        _wanted.set()


def _work() -> None:
    global _thread
    try:
        while True:
            now = time.monotonic()
            with _guard:
                due = [lease for lease in _held.values() if lease._due <= now]
            for lease in due:
                lease.renew()
            # One that fails may have waited for long, and leases are to be renewed.
            while _owed and _owed[0].give_back():
                _owed.pop(0)
            with _guard:
                soonest = min((lease._due for lease in _held.values()), default=None)
            wait = _LINGER_SECONDS if soonest is None else max(0.0, soonest - time.monotonic())
            woken = _wanted.wait(min(wait, _OWED_SECONDS if _owed else _LINGER_SECONDS))
            with _guard:
                _wanted.clear()
                if not woken and not _held and not _owed:
                    _thread = None
                    return
    finally:
        release_thread()


def _after_fork() -> None:
    """A forked child holds nothing: its parent goes on renewing."""
    global _guard, _wanted, _thread
    _guard, _wanted, _thread = threading.Lock(), threading.Event(), None
    _held.clear()
    _owed.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
