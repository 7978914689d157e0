"""Locks among the processes that share a folder; the system releases a file lock when its process ends."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from typing import Any

from runyard.engine.locking.lock_protocol import PolledLocks, refuse_release


class FileSystemLockManager(PolledLocks):
    """Stores locks as files in a folder, which several processes may share.

    Args:
        lock_files_directory: the folder; created if missing.
    """

    def __init__(self, lock_files_directory: Any) -> None:
        self.lock_files_directory = os.path.abspath(os.path.expanduser(str(lock_files_directory)))
        self._guard = threading.Lock()
        # key -> (holder, open file, when it expires)
        self._mine: dict[str, tuple[str, int, float | None]] = {}

    def _path(self, key: str) -> str:
        os.makedirs(self.lock_files_directory, exist_ok=True)
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        return os.path.join(self.lock_files_directory, f"{name}.lock")

    def _take(self, key: str, holder: str, hold_timeout: float | None) -> bool:
        until = None if hold_timeout is None else time.monotonic() + hold_timeout
        with self._guard:
            self._give_up_old(key)
            if key in self._mine:
                if self._mine[key][0] != holder:
                    return False
                self._mine[key] = (holder, self._mine[key][1], until)
                return True
            file = os.open(self._path(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
                return False
            self._mine[key] = (holder, file, until)
            return True

    def _give_up_old(self, key: str) -> None:
        held = self._mine.get(key)
        if held is not None and held[2] is not None and held[2] <= time.monotonic():
            os.close(self._mine.pop(key)[1])

    def release_lock(self, key: str, holder: str) -> None:
        """Release the lock; see LockManager."""
        with self._guard:
            self._give_up_old(key)
            held = self._mine.get(key)
            if held is None or held[0] != holder:
                raise refuse_release(key, holder)
            os.close(self._mine.pop(key)[1])

    def is_locked(self, key: str) -> bool:
        """Whether the lock is held."""
        with self._guard:
            self._give_up_old(key)
            if key in self._mine:
                return True
            file = os.open(self._path(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                return True
            finally:
                os.close(file)
            return False

    def is_lock_holder(self, key: str, holder: str) -> bool:
        """Whether this holder, in this process, holds the lock."""
        with self._guard:
            self._give_up_old(key)
            return key in self._mine and self._mine[key][0] == holder
