"""Long polls for changes: one thread watches the database and wakes any number of them."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import TYPE_CHECKING

from runyard.base.errors import RunyardError

if TYPE_CHECKING:
    from runyard.store.database import Database

# A token of another server (before a restart, or behind a load balancer) cannot be compared. Responding at
# once would make its holder poll without pause; ignoring it would lose a change.
_FOREIGN_TOKEN_SECONDS = 0.5
_RETRY_SECONDS = 1.0
# How soon the thread notices that it must stop.
_LOOK_SECONDS = 0.2


class Changes:
    """Counts the commits in a database and wakes the long polls that wait for the next one.

    The first request starts its thread.

    Args:
        database: the database to watch.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._instance = os.urandom(4).hex()
        self._count = 0
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._watching = threading.Event()
        self._stop = threading.Event()

    async def token(self) -> str:
        """The current token."""
        await self._ensure_watching()
        return self._token()

    async def wait(self, since: str, timeout_seconds: float) -> str:
        """Wait until the token differs from `since`, at most `timeout_seconds`; return the current token."""
        await self._ensure_watching()
        if since.partition("-")[0] != self._instance:
            timeout_seconds = min(timeout_seconds, _FOREIGN_TOKEN_SECONDS)
            since = self._token()
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._waiters.add(waiter)
        try:
            # Compared after joining the waiters, so that no change is missed in between.
            if self._token() == since and not self._stop.is_set():
                async with asyncio.timeout(timeout_seconds):
                    await waiter[1].wait()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                self._waiters.discard(waiter)
        return self._token()

    def end_waits(self) -> None:
        """Answer every long poll now, and each later one at once: the server is about to stop."""
        self._stop.set()
        self._bump()

    def close(self) -> None:
        """Stop the thread, and every wait."""
        self.end_waits()
        if self._thread is not None:
            self._thread.join(timeout=2 * _RETRY_SECONDS)

    def _token(self) -> str:
        return f"{self._instance}-{self._count}"

    async def _ensure_watching(self) -> None:
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._watch, name="runyard-changes", daemon=True)
                self._thread.start()
        if not self._watching.is_set() and not self._stop.is_set():
            await asyncio.get_running_loop().run_in_executor(None, self._watching.wait, 5.0)

    def _watch(self) -> None:
        token = None
        while not self._stop.is_set():
            try:
                if token is None:
                    token = self._database.changes()
                    self._watching.set()
                seen = self._database.wait_for_change(token, _LOOK_SECONDS)
            except RunyardError:
                # The database is unreachable. Changes meanwhile are unknown, so report one when it is back.
                self._watching.set()
                seen, token = token, None
                self._stop.wait(_RETRY_SECONDS)
                self._bump()
                continue
            if seen != token:
                token = seen
                self._bump()
        self._database.discard()

    def _bump(self) -> None:
        with self._lock:
            self._count += 1
            waiters = list(self._waiters)
        for loop, event in waiters:
            try:
                loop.call_soon_threadsafe(event.set)
            except RuntimeError:
                pass  # its event loop has ended, and the poll with it
