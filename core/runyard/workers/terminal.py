"""The worker's terminal output, and the signals that stop the worker."""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Protocol

from runyard import settings
from runyard.base.texts import counted, visible

if TYPE_CHECKING:
    from collections.abc import Callable

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
# The limit of buffered output for a slow terminal. Lines beyond it are dropped and counted.
_MOST_CHARACTERS = 4 << 20
# How long an ending worker waits for its terminal.
_CLOSE_SECONDS = 2.0
# Output within this time is shown together.
_GATHER_SECONDS = 0.01
# With more buffered output than this, it is shown at once.
_HURRY_CHARACTERS = 1 << 20


class Signals:
    """Counts SIGINT, SIGTERM, SIGHUP and SIGQUIT; the first two also if they were ignored at the start.

    SIGHUP stays ignored if it was ignored, as by nohup. The first SIGQUIT counts as two signals, to stop
    without waiting for the runs. Outside the main thread, which alone receives signals, only `wake` works.
    """

    def __init__(self, on_signal: Callable[[], None]) -> None:
        self._on_signal = on_signal
        self._received = False
        self._before: dict[int, Any] = {}
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)

    def wake(self) -> None:
        """Make the socket readable, like a signal."""
        try:
            self._theirs.send(b"!")
        except OSError:
            pass  # it is already readable, or closed

    def __enter__(self) -> socket.socket:
        if threading.current_thread() is not threading.main_thread():
            return self._ours
        signal.set_wakeup_fd(self._theirs.fileno(), warn_on_full_buffer=False)
        for number in _stopping():
            self._before[number] = signal.signal(number, self._handle)
        return self._ours

    def _handle(self, number: int, _frame: object) -> None:
        if not self._received and number == getattr(signal, "SIGQUIT", None):
            self._on_signal()
        self._received = True
        self._on_signal()

    def __exit__(self, *_: object) -> None:
        if self._before:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(-1)
        self._ours.close()
        self._theirs.close()


def _stopping() -> list[int]:
    """The signals that stop a worker."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) is not signal.SIG_IGN:
        numbers.append(hangup)
    if hasattr(signal, "SIGQUIT"):
        numbers.append(signal.SIGQUIT)
    return [int(number) for number in numbers]


class Region(Protocol):
    """Lines that stay at the bottom of a terminal, below the output; see `live_region`. For one thread."""

    def wait_seconds(self) -> float:
        """How long the region stays as it is, if no output comes."""
        ...

    def gather_seconds(self) -> float:
        """How long to gather output before it is shown together."""
        ...

    def show(self, texts: list[tuple[str, str]]) -> None:
        """Write output (stream, lines) above the region, and draw the region if it has changed.

        Raises:
            OSError: the terminal has gone.
        """
        ...

    def erase(self) -> None:
        """Remove the region."""
        ...


class Terminal:
    """Writes the worker's standard streams in a thread, so that a broken stream never stops the worker.

    A slow reader delays only the output. A closed stream gets no more output.
    """

    def __init__(self) -> None:
        self._region: Region | None = None
        self._drawn: Region | None = None
        # Show the output now instead of gathering more.
        self._hurry = threading.Event()
        self._lock = threading.Condition()
        self._waiting: deque[tuple[str, str]] = deque()
        self._characters = 0
        self._left_out = 0
        self._writing = False
        self._thread: threading.Thread | None = None
        self._gone: set[int] = set()

    def write(self, name: str, text: str) -> None:
        """Show lines on `stdout` or `stderr`; never waits and never raises an error."""
        with self._lock:
            if self._characters + len(text) > _MOST_CHARACTERS:
                self._left_out += text.count("\n")
                return
            if self._left_out:
                note = f"(not shown, as the terminal was too slow: {counted(self._left_out, 'line')})\n"
                self._left_out = 0
                self._put(name, note)
            self._put(name, text)
            if self._characters > _HURRY_CHARACTERS:
                self._hurry.set()
            self._wake()

    def flush(self, seconds: float = _CLOSE_SECONDS) -> None:
        """Wait until all output is written, at most `seconds`."""
        self._hurry.set()
        with self._lock:
            self._lock.wait_for(lambda: not (self._waiting or self._writing), seconds)

    def set_region(self, region: Region | None) -> None:
        """Show a region from now on; None: remove the present one, and wait until it is removed."""
        with self._lock:
            self._region = region
            self._wake()
        if region is None:
            self._hurry.set()
            with self._lock:
                self._lock.wait_for(lambda: self._drawn is None, _CLOSE_SECONDS)

    @property
    def region(self) -> Region | None:
        """The present region."""
        return self._region

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="runyard-terminal", daemon=True)
            self._thread.start()
        self._lock.notify_all()

    def _put(self, name: str, text: str) -> None:
        self._waiting.append((name, text))
        self._characters += len(text)

    def _work(self) -> None:
        while True:
            with self._lock:
                self._writing = False
                self._hurry.clear()
                self._lock.notify_all()
                seconds = None if self._region is None else self._region.wait_seconds()
                self._lock.wait_for(lambda: self._waiting or self._region is not self._drawn, seconds)
                self._writing = True
                region = self._region
            # Each wake-up of this thread interrupts the others, so it waits and writes their output together.
            self._hurry.wait(_GATHER_SECONDS if region is None else region.gather_seconds())
            with self._lock:
                waiting, self._waiting = self._waiting, deque()
                self._characters = 0
            texts = [
                (name, "".join(text for _, text in same))
                for name, same in groupby(waiting, key=itemgetter(0))
            ]
            if self._drawn is not None or self._region is not None:
                texts = self._show_region(texts)
            for name, text in texts:
                self._show(name, text)

    def _show_region(self, texts: list[tuple[str, str]]) -> list[tuple[str, str]]:
        """Show output with the region; return what is still to be shown, as the region was removed."""
        region = self._region
        try:
            if self._drawn is not None and self._drawn is not region:
                self._drawn.erase()
            if region is not None:
                region.show(texts)
                texts = []
        except Exception:  # the terminal has gone, or the view cannot be drawn: the plain output continues
            self._region = region = None
        with self._lock:
            self._drawn = region
            self._lock.notify_all()
        return texts

    def _show(self, name: str, text: str) -> None:
        stream = getattr(sys, name)
        try:
            number = stream.fileno()
        except (AttributeError, OSError, ValueError):
            _write_object(stream, text)  # closed, or not a file, as in a notebook
            return
        if number in self._gone:
            return
        try:
            write_file(number, text.encode(stream.encoding or "utf-8", "backslashreplace"))
        except OSError as error:
            # A full disk may have space again later; other errors are permanent.
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                self._gone.add(number)


def _write_object(stream: Any, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except (AttributeError, OSError, ValueError):
        pass  # the output is lost; the worker continues


def write_file(number: int, data: bytes) -> None:
    """Write all data to a file, also if it does not block."""
    while data:
        try:
            data = data[os.write(number, data) :]
        except BlockingIOError:
            select.select([], [number], [])


_terminal = Terminal()
write = _terminal.write
flush = _terminal.flush
set_region = _terminal.set_region


def is_screen() -> bool:
    """Whether both standard streams are a terminal that can move its cursor."""
    try:
        both = os.isatty(sys.stdout.fileno()) and os.isatty(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):
        return False  # closed, or not files
    return both and os.environ.get("TERM", "") not in ("", "dumb")


def show(line: str) -> None:
    """Print one line on stdout."""
    write("stdout", f"{visible(line)}\n")


def say_to_terminal(level: str, text: str) -> None:
    """Print one line on stderr, in the format of log lines."""
    if _LEVELS.index(level) < _LEVELS.index(_shown_level()):
        return
    moment = time.time()
    stamp = time.strftime("%H:%M:%S", time.localtime(moment))
    line = f"{stamp}.{int(moment % 1 * 1000):03d} | {level:<7} | runyard.worker - {visible(text)}\n"
    write("stderr", line)


def _shown_level() -> str:
    level = settings.get("logging_level").upper()
    return level if level in _LEVELS else "INFO"
