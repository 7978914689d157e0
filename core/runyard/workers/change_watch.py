"""How an idle worker notices commits: it polls the local database, or long-polls the API."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from runyard.base.errors import RunyardError
from runyard.base.waits import jittered
from runyard.client import LocalClient, connect

if TYPE_CHECKING:
    from runyard.client import Client

_LONG_POLL_SECONDS = 20.0
_RETRY_SECONDS = 2.0


class Watcher(Protocol):
    """Notifies the main loop of changes."""

    # How often the loop calls `changed`; None: `file` becomes readable after a change.
    interval_seconds: float | None
    file: socket.socket | None

    def changed(self) -> bool:
        """Whether a change was committed since the last call."""
        ...

    def close(self) -> None:
        """Stop watching."""
        ...


class LocalWatcher:
    """Polls the database's change token; one read takes some microseconds.

    Args:
        client: a client of the database.
        interval_seconds: the polling interval.
    """

    file: socket.socket | None = None

    def __init__(self, client: LocalClient, interval_seconds: float) -> None:
        self.interval_seconds: float | None = interval_seconds
        self._client = client
        self._seen: Any = None

    def changed(self) -> bool:
        """Whether another connection committed since the last call."""
        token = self._client.changes()
        changed = token != self._seen
        self._seen = token
        return changed

    def close(self) -> None:
        """Nothing to close."""


class HttpWatcher:
    """A thread with its own connection that long-polls the API."""

    interval_seconds: float | None = None

    def __init__(self) -> None:
        self._ours, self._wake = socket.socketpair()
        self._ours.setblocking(False)
        self.file: socket.socket | None = self._ours
        self._wake.setblocking(False)
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, name="runyard-changes", daemon=True).start()

    def changed(self) -> bool:
        """Whether the API reported a change since the last call."""
        try:
            return bool(self._ours.recv(4096))
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Stop the thread after its current poll."""
        self._stopped.set()

    def _watch(self) -> None:
        client = connect()
        seen: Any = None
        while not self._stopped.is_set():
            try:
                if seen is None:
                    token = client.changes()
                else:
                    token = client.wait_for_change(seen, _LONG_POLL_SECONDS)
            except RunyardError:
                # Changes may have been missed during an outage: the next token counts as a change.
                seen = None
                time.sleep(jittered(_RETRY_SECONDS, most=1.5))
                continue
            if token != seen:
                seen = token
                try:
                    self._wake.send(b"!")
                except OSError:
                    pass  # the buffer is full: the loop will read it


def watch(client: Client, interval_seconds: float) -> Watcher:
    """Create the watcher for the client's type."""
    if isinstance(client, LocalClient):
        return LocalWatcher(client, interval_seconds)
    return HttpWatcher()
