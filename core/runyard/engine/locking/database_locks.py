"""Locks among all processes that share a database: leased rows that the holder's process renews."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from runyard.base import texts
from runyard.base.errors import RunyardError
from runyard.base.thread_calls import release_thread
from runyard.client.engine_client import shared_client
from runyard.engine.locking.lock_protocol import PolledLocks, refuse_release
from runyard.engine.outages import waited_for
from runyard.operations.limits import locks

if TYPE_CHECKING:
    from runyard.client import Client

# If the holder's process is killed, the lock becomes free after this time.
LEASE_SECONDS = 10.0
# Names the lock in the message about an outage of the database.
_WHAT = "the lock of a result"
_managers: WeakSet[DatabaseLockManager] = WeakSet()


class DatabaseLockManager(PolledLocks):
    """Stores locks in the database of this process's client.

    Args:
        client: the default is the client of the settings.
    """

    def __init__(self, client: Client | None = None) -> None:
        self._given = client
        self._hold_nothing()
        _managers.add(self)

    def _hold_nothing(self) -> None:
        self._guard = threading.Lock()
        # Held while a lock is renewed or released: a concurrent renewal would acquire the lock again.
        self._asking = threading.Lock()
        self._renewed: dict[str, str] = {}
        self._thread: threading.Thread | None = None
        self._changed = threading.Event()

    @property
    def _client(self) -> Client:
        return self._given or shared_client()

    def _take(self, key: str, holder: str, hold_timeout: float | None) -> bool:
        seconds = LEASE_SECONDS if hold_timeout is None else hold_timeout
        if not waited_for(lambda: self._ask(key, holder, seconds), _WHAT, "acquire"):
            return False
        if hold_timeout is None:
            self._renew(key, holder)
        return True

    def _ask(self, key: str, holder: str, seconds: float) -> bool:
        body = {"name": _name(key), "holder": holder, "lease_seconds": seconds}
        return bool(self._client.call(locks.acquire_lock, body)["acquired"])

    def release_lock(self, key: str, holder: str) -> None:
        """Release the lock; see LockManager."""
        with self._guard:
            renewed = self._renewed.get(key) == holder
            if renewed:
                del self._renewed[key]
            self._changed.set()
        body, tries = {"name": _name(key), "holder": holder}, 0

        def release() -> bool:
            nonlocal tries
            tries += 1
            with self._asking:
                return bool(self._client.call(locks.release_lock, body)["released"])

        released = waited_for(release, _WHAT, "release")
        # The lease may have expired, or an earlier attempt whose response was lost has released it.
        if not released and not renewed and tries == 1:
            raise refuse_release(key, holder)

    def _holder(self, key: str) -> Any:
        name = _name(key)
        return waited_for(lambda: self._client.call(locks.read_lock, {"name": name}), _WHAT, "read")["holder"]

    def is_locked(self, key: str) -> bool:
        """Whether the lock is held."""
        return self._holder(key) is not None

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether this holder holds the lock."""
        return bool(self._holder(key) == holder)

    def _renew(self, key: str, holder: str) -> None:
        """Renew the lock in a thread until it is released; the thread ends with the last lock."""
        with self._guard:
            self._renewed[key] = holder
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="runyard-locks", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        try:
            while True:
                self._changed.wait(LEASE_SECONDS / 4)
                with self._guard:
                    self._changed.clear()
                    if not self._renewed:
                        self._thread = None
                        return
                    held = dict(self._renewed)
                for key, holder in held.items():
                    with self._asking:
                        if self._renewed.get(key) != holder:
                            continue  # released meanwhile
                        try:
                            self._ask(key, holder, LEASE_SECONDS)
                        except RunyardError:
                            continue  # retried soon; the lock is held until the lease expires
        finally:
            release_thread()


def _name(key: str) -> str:
    return texts.indexed(f"key:{key}")


def _after_fork() -> None:
    """A forked child renews no locks: its parent does, and may have held this module's locks."""
    for manager in list(_managers):
        manager._hold_nothing()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
