"""What a lock manager is, and what all of ours share."""

from __future__ import annotations

import time
from typing import Protocol, runtime_checkable

from runyard.base.syncing import async_twin
from runyard.base.waits import jittered


@runtime_checkable
class LockManager(Protocol):
    """Guards keys. A holder is any text that names who holds; it may take its own lock again."""

    def acquire_lock(
        self,
        key: str,
        holder: str,
        acquire_timeout: float | None = None,
        hold_timeout: float | None = None,
    ) -> bool:
        """Take the lock of a key.

        Args:
            acquire_timeout: seconds to wait at most; None: as long as it takes.
            hold_timeout: seconds after which it is free again by itself; None: when released, or when
                the process that holds it is gone.

        Returns:
            Whether it was taken.
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
        """Give the lock back.

        Raises:
            ValueError: that holder does not hold it.
        """
        ...

    def is_locked(self, key: str) -> bool:
        """Whether anybody holds the lock."""
        ...

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether that holder holds it."""
        ...

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds it, at most `timeout` seconds; whether that is so."""
        ...

    async def await_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """As `wait_for_lock`, for async code."""
        ...


class Waiting:
    """The pauses between two looks at a lock: short at first, and never all at once."""

    def __init__(self, timeout: float | None) -> None:
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._pause = 0.002

    def again(self) -> bool:
        """Wait a little; false when the time is over."""
        left = None if self._deadline is None else self._deadline - time.monotonic()
        if left is not None and left <= 0:
            return False
        pause = jittered(self._pause)
        time.sleep(pause if left is None else min(pause, left))
        self._pause = min(self._pause * 1.5, 0.1)
        return True


class PolledLocks:
    """What our managers share: they try, wait a little, and try again."""

    def _take(self, key: str, holder: str, hold_timeout: float | None) -> bool:
        """Take the lock now; whether that was possible."""
        raise TypeError(f"{type(self).__name__} does not say how to take a lock")

    def is_locked(self, key: str) -> bool:
        """Whether anybody holds the lock."""
        raise TypeError(f"{type(self).__name__} does not say who holds a lock")

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

    def wait_for_lock(self, key: str, timeout: float | None = None) -> bool:
        """Wait until nobody holds it; see LockManager."""
        waiting = Waiting(timeout)
        while self.is_locked(key):
            if not waiting.again():
                return False
        return True

    aacquire_lock = async_twin(acquire_lock)
    await_for_lock = async_twin(wait_for_lock)


def refuse_release(key: str, holder: str) -> ValueError:
    """The error of a release by somebody who does not hold the lock."""
    return ValueError(f"{holder} does not hold the lock of {key!r}")
