"""Leases of the slots that this process holds: one thread renews them until they are released."""

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

# How long the idle thread waits for new leases before it ends.
_LINGER_SECONDS = 5.0
# The interval between retries of failed releases.
_OWED_SECONDS = 0.2
# How long an exiting process waits for failed releases.
_SETTLE_SECONDS = 30.0

_guard = threading.Lock()
_wanted = threading.Event()
_held: dict[str, Lease] = {}
# Leases that could not be released because the database was unavailable.
_owed: list[_Owed] = []
_thread: threading.Thread | None = None


class Lease:
    """The lease of held slots.

    Args:
        client: the client that acquired them.
        lease_id: the id of the lease.
        names: the names of the limits.
        seconds: how long the lease lasts without renewal.
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
        """Renew the lease until it is released."""
        with _guard:
            _held[self.lease_id] = self
            # The renewal may be due before the thread's next turn.
            _let_work(soon=self._seconds / 3 < _LINGER_SECONDS)

    def release(self) -> None:
        """Release the slots; in an outage, as soon as the database is available again."""
        with _guard:
            _held.pop(self.lease_id, None)
        give_back(self.client, self.lease_id, self.names, self._seconds)

    def renew(self) -> None:
        """Renew the lease once."""
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
            # Retry soon: this process keeps an expired lease until another one needs the slots.
            self._due = time.monotonic() + min(1.0, self._seconds / 10)
        else:
            self._due = time.monotonic() + self._seconds / 3


class _Owed:
    """A lease that must be released; it is retried until the lease expires."""

    def __init__(self, client: Client, lease_id: str, names: list[str], seconds: float) -> None:
        self._client = client
        self._lease_id = lease_id
        self._names = names
        self._until = time.monotonic() + seconds

    def give_back(self) -> bool:
        """Try to release the lease; returns False if it must be retried."""
        try:
            self._client.call(decrement_slots_with_lease, {"lease_id": self._lease_id})
        except RunyardError as error:
            if isinstance(error, (StoreError, ApiUnavailable)) and time.monotonic() < self._until:
                return False
            self.leave(error)
        slot_queue.freed(self._names)
        return True

    def leave(self, why: object) -> None:
        """Report that the lease will not be released."""
        told = ", ".join(self._names)
        print(f"runyard: slots of {told} become free only when their lease expires: {why}", file=sys.stderr)


def give_back(client: Client, lease_id: str, names: list[str], seconds: float) -> None:
    """Release a lease immediately; in an outage, the thread of this module retries it.

    Args:
        seconds: the duration of the lease.
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
    """At exit, wait until all leases are released, up to a limit."""
    until = time.monotonic() + _SETTLE_SECONDS
    try:
        while _owed and _thread is not None and _thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    for owed in list(_owed):
        owed.leave("the database is unavailable as this process exits")


def _let_work(soon: bool) -> None:
    """Start or wake the thread. The caller holds the guard."""
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
            # Stop at the first failure: it may have taken long, and leases must be renewed.
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
    """A forked child holds no leases: the parent continues to renew them."""
    global _guard, _wanted, _thread
    _guard, _wanted, _thread = threading.Lock(), threading.Event(), None
    _held.clear()
    _owed.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
