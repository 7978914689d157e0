"""Locks among the threads of one process."""

from __future__ import annotations

import threading
import time

from runyard.locking.protocol import Waiting, refuse_release
from runyard.syncing import async_twin


class MemoryLockManager:
    """Keeps locks in memory; all its users in a process share them."""

    _guard = threading.Lock()
    _held: dict[str, tuple[str, float | None]] = {}  # noqa: RUF012  # shared on purpose

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Take the lock of a key; see LockManager."""
        waiting = Waiting(acquire_timeout)
        while not self._take(key, holder, hold_timeout):
            if not waiting.again():
                return False
        return True

    def _take(self, key: str, holder: str, hold_timeout: float | None) -> bool:
        with self._guard:
            if self._holder(key) not in (None, holder):
                return False
            until = None if hold_timeout is None else time.monotonic() + hold_timeout
            self._held[key] = (holder, until)
            return True

    def _holder(self, key: str) -> str | None:
        holder, until = self._held.get(key, (None, None))
        return None if until is not None and until <= time.monotonic() else holder

    def release_lock(self, key: str, holder: str) -> None:
        """Give the lock back; see LockManager."""
        with self._guard:
            if self._holder(key) != holder:
                raise refuse_release(key, holder)
            del self._held[key]

    def is_locked(self, key: str) -> bool:
        """Whether anybody holds the lock."""
        with self._guard:
            return self._holder(key) is not None

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether that holder holds it."""
        with self._guard:
            return self._holder(key) == holder

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds it; see LockManager."""
        waiting = Waiting(timeout)
        while self.is_locked(key):
            if not waiting.again():
                return False
        return True

    aacquire_lock = async_twin(acquire_lock)
    await_for_lock = async_twin(wait_for_lock)
