"""Locks among the threads of one process."""

from __future__ import annotations

import threading
import time

from runyard.engine.locking.lock_protocol import PolledLocks, refuse_release


class MemoryLockManager(PolledLocks):
    """Stores locks in memory; all managers in a process share them."""

    _guard = threading.Lock()
    _held: dict[str, tuple[str, float | None]] = {}  # noqa: RUF012  # shared on purpose

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
        """Release the lock; see LockManager."""
        with self._guard:
            if self._holder(key) != holder:
                raise refuse_release(key, holder)
            del self._held[key]

    def is_locked(self, key: str) -> bool:
        """Whether the lock is held."""
        with self._guard:
            return self._holder(key) is not None

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether this holder holds the lock."""
        with self._guard:
            return self._holder(key) == holder
