"""The interface of lock managers, and the base class of ours."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from runyard.base.syncing import async_twin
from runyard.base.waits import jittered


@runtime_checkable
class LockManager(Protocol):
    """Locks keys. A holder is any text that identifies the holder; it may acquire its own lock again."""

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Acquire the lock of a key.

        Args:
            acquire_timeout: seconds to wait at most; None: no limit.
            hold_timeout: seconds after which the lock expires; None: it is held until it is released, or
                until the holder's process ends.

        Returns:
            Whether the lock was acquired.
        """
        ...

    async def aacquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """As `acquire_lock`, for async code."""
        ...

    def release_lock(self, key: str, holder: str) -> None:
        """Release the lock.

        Raises:
            ValueError: this holder does not hold the lock.
        """
        ...

    def is_locked(self, key: str) -> bool:
        """Whether the lock is held."""
        ...

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether this holder holds the lock."""
        ...

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until the lock is free, at most `timeout` seconds; returns whether it is free."""
        ...

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """As `wait_for_lock`, for async code."""
        ...


class Waiting:
    """The pauses between two attempts to acquire a lock: short at first, with jitter."""

    def __init__(self, timeout: float | None) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pause = 0.002

    def again(self) -> bool:
        """Wait for the next pause; False if the timeout has passed."""
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        pause = jittered(self._pause)
        time.sleep(pause if left is None else min(pause, left))
        self._pause = min(self._pause * 1.5, 0.1)
        return True


class PolledLocks:
    """The base class of our managers, which poll the lock."""

    def _take(self, key: str, holder: str, hold_timeout: float | None) -> bool:
        """Try to acquire the lock once; returns whether it was acquired."""
        raise TypeError(f"{type(self).__name__} does not implement _take")

    def is_locked(self, key: str) -> bool:
        """Whether the lock is held."""
        raise TypeError(f"{type(self).__name__} does not implement is_locked")

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Acquire the lock of a key; see LockManager."""
        waiting = Waiting(acquire_timeout)
        while not self._take(key, holder, hold_timeout):
            if not waiting.again():
                return False
        return True

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until the lock is free; see LockManager."""
        waiting = Waiting(timeout)
        while self.is_locked(key):
            if not waiting.again():
                return False
        return True

    aacquire_lock = async_twin(acquire_lock)
    await_for_lock = async_twin(wait_for_lock)


def refuse_release(key: str, holder: str) -> ValueError:
    """The error of a release by another holder."""
    return ValueError(f"{holder} does not hold the lock of {key!r}")
