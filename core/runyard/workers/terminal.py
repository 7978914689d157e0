"""The worker's side of the terminal: what it prints, and the signals that stop it."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from runyard import settings

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Signals:
    """SIGINT and SIGTERM counted, also where the worker was started with one of them ignored.

    Outside of the main thread, which alone gets signals, there is only `wake`.
    """

    def __init__(self, on_signal: Callable[[], None]) -> None:
        self._on_signal = on_signal
        self._before: dict[int, Any] = {}
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)

    def wake(self) -> None:
        """Make the socket readable, as a signal does."""
        try:
            self._theirs.send(b"!")
        except OSError:
            pass  # it is readable already, or nobody waits any more

    def __enter__(self) -> socket.socket:
        if threading.current_thread() is not threading.main_thread():
            return self._ours
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, lambda *_: self._on_signal())
        return self._ours

    def __exit__(self, *_: object) -> None:
        if self._before:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)
        self._ours.close()
        self._theirs.close()


def say_to_terminal(level: str, text: str) -> None:
    """One line on stderr, as log lines look."""
    if _LEVELS.index(level) < _LEVELS.index(_shown_level()):
        return
    moment = time.time()
    stamp = time.strftime("%H:%M:%S", time.localtime(moment))
    try:
        print(f"{stamp}.{int(moment % 1 * 1000):03d} | {level:<7} | runyard.worker - {text}", file=sys.stderr)
    except OSError:
        pass  # nobody looks at the worker any more; it works on


def _shown_level() -> str:
    level = settings.get("logging_level").upper()
    return level if level in _LEVELS else "INFO"
