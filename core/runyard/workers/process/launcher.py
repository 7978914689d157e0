"""The launcher: a warm, single-threaded process that forks runs and owns their process groups.

It is forked from the worker before the worker opens anything or starts a thread. It starts a run when the
worker says so, tells the worker how each ended, and ends all of them when the worker has not held their
leases for `patience_seconds` (it was stopped, it hangs, it reaches no database) or is gone. It never opens
the database.
"""

from __future__ import annotations

import gc
import os
import selectors
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.workers.process import child
from runyard.workers.process.launcher_channel import Channel

if TYPE_CHECKING:
    from collections.abc import Callable

# A moment on the boot clock, as on the pipe of beats.
BEAT = struct.Struct("=d")
# Stopping signals reach the whole group in a terminal; the worker decides what they mean for the runs.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Launcher:
    """The state of a launcher.

    Args:
        channel: the line to the worker.
        beats: the read end of the pipe on which the worker says when it held its leases for certain.
        patience_seconds: how long after that moment the runs may go on.
    """

    def __init__(self, channel: Channel, beats: int, patience_seconds: float) -> None:
        self.channel = channel
        self.beats = beats
        self.patience_seconds = patience_seconds
        self.keys: dict[int, str] = {}
        self.last_beat = clock.boot_seconds()
        # Processes that were ended because of that.
        self.unwatched: set[int] = set()
        self._ended, self._wake = socket.socketpair()
        self._ended.setblocking(False)
        self._wake.setblocking(False)

    def run(self) -> None:
        """Serve until the worker is gone, then end what still runs."""
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        os.set_blocking(self.beats, False)
        selector = selectors.DefaultSelector()
        for file in (self.channel, self.beats, self._ended):
            selector.register(file, selectors.EVENT_READ)
        alive = True
        while alive:
            left = self.last_beat + self.patience_seconds - clock.boot_seconds()
            selector.select(max(left, 0.01) if self.keys else None)
            # The beats first: after a stop of both processes the worker's new beats count.
            self._read_beats()
            if self.keys and clock.boot_seconds() - self.last_beat > self.patience_seconds:
                self.unwatched.update(self.keys)
                self.end_all()
            alive = self._serve(selector)
            self._reap()
        self.end_all()

    def end_all(self) -> None:
        """Kill every run with its whole group, and tell the worker, if it ever listens again."""
        for pid in self.keys:
            _kill_group(pid, signal.SIGKILL)

    def _read_beats(self) -> None:
        try:
            while data := os.read(self.beats, BEAT.size * 512):
                (self.last_beat,) = BEAT.unpack(data[-BEAT.size :])
        except BlockingIOError:
            pass

    def _serve(self, selector: selectors.BaseSelector) -> bool:
        try:
            while self._ended.recv(4096):
                pass
        except BlockingIOError:
            pass
        for key, _ in selector.select(0):
            if key.fileobj is not self.channel:
                continue
            messages = self.channel.receive()
            if messages is None:
                return False
            for message, files in messages:
                self._handle(message, files)
        return True

    def _handle(self, message: dict[str, Any], files: list[int]) -> None:
        if message["do"] == "launch":
            self._launch(message, files)
        elif message["do"] == "signal":
            for pid, key in self.keys.items():
                if key == message["key"]:
                    _kill_group(pid, message["signal"])

    def _launch(self, message: dict[str, Any], files: list[int]) -> None:
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(
                {"event": "exit", "key": message["key"], "code": 1, "failure": f"cannot fork: {error}"}
            )
            pid = -1
        if pid == 0:
            child.main(message, files, parent, self._drop_inherited)
        for file in files:
            os.close(file)
        if pid > 0:
            self.keys[pid] = message["key"]
            self._tell({"event": "started", "key": message["key"], "pid": pid})

    def _drop_inherited(self) -> None:
        """In the child: give up what belongs to the launcher."""
        signal.set_wakeup_fd(-1)
        for number in (*_IGNORED, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.channel.close()
        os.close(self.beats)
        self._ended.close()
        self._wake.close()

    def _reap(self) -> None:
        while self.keys:
            # Looked at before it is reaped: until then nobody else can get this number, so that the
            # signal reaches what the run left behind and nothing else.
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            _kill_group(ended.si_pid, signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            key = self.keys.pop(ended.si_pid, None)
            unwatched = ended.si_pid in self.unwatched
            self.unwatched.discard(ended.si_pid)
            if key is not None:
                code = os.waitstatus_to_exitcode(status)
                self._tell({"event": "exit", "key": key, "code": code, "unwatched": unwatched})

    def _tell(self, message: dict[str, Any]) -> None:
        try:
            self.channel.send(message)
        except OSError:
            pass  # the worker is gone; the loop sees it at its next turn


def _kill_group(pid: int, number: int) -> None:
    """Signal a run's group; a run so young that it has none yet gets the signal itself."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def serve(channel: Channel, beats: int, patience_seconds: float) -> None:
    """Be a launcher until the worker is gone."""
    child.prepare()
    Launcher(channel, beats, patience_seconds).run()


def _settle_memory() -> None:
    """Have the collector leave alone what is there: each page that it marks could not be shared any more."""
    gc.collect()
    gc.freeze()


def fork(patience_seconds: float, before: Callable[[], None] | None = None) -> tuple[Channel, int, int]:
    """Fork a launcher from this process, which must have no other threads.

    Args:
        patience_seconds: how long without a beat the launcher lets runs go on.
        before: called in the new process first, to close what is not its own.

    Returns:
        The line to it, the write end of the pipe for beats, and its process id.
    """
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    _settle_memory()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ours.close()
            os.close(write_end)
            if before is not None:
                before()
            serve(Channel(theirs), read_end, patience_seconds)
            code = 0
        finally:
            os._exit(code)
    theirs.close()
    os.close(read_end)
    os.set_blocking(write_end, False)
    return Channel(ours), write_end, pid


def spawn(patience_seconds: float) -> tuple[Channel, int, int]:
    """Start a launcher in a fresh interpreter, where this process has threads that a fork would break.

    Returns:
        As `fork`.
    """
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    for file in (theirs.fileno(), read_end):
        os.set_inheritable(file, True)
    # Without the current folder, where a module may be named as one of the library's.
    code = "import sys; here = sys.path.pop(0); from runyard.workers.process.launcher import main; "
    code += "main(here, *sys.argv[1:])"
    arguments = [sys.executable, "-c", code, str(theirs.fileno()), str(read_end), str(patience_seconds)]
    pid = os.posix_spawn(sys.executable, arguments, os.environ)
    theirs.close()
    os.close(read_end)
    os.set_blocking(write_end, False)
    return Channel(ours), write_end, pid


def main(here: str, line: str, beats: str, patience_seconds: str) -> None:
    """What a spawned launcher runs; the arguments are an entry of `sys.path`, two descriptors, seconds."""
    for file in (int(line), int(beats)):
        os.set_inheritable(file, False)
    try:
        child.preload()
    except ImportError as error:
        # A package is being replaced: runs import it themselves and say what they lack, and once it is
        # there another launcher is made.
        print(f"runyard: runs start without what they need loaded: {error}", file=sys.stderr)
    sys.path.insert(0, here)
    _settle_memory()
    serve(Channel(socket.socket(fileno=int(line))), int(beats), float(patience_seconds))
