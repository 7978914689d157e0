"""The launcher: a single-threaded process with all modules loaded, which forks runs and kills their groups.

The worker forks it before it opens files or starts threads. The launcher starts a run when the worker tells
it to, reports how each run ended, and kills all runs when the worker has gone, or has not renewed their
leases for `patience_seconds` (it is stopped, it hangs, it cannot reach the database). The launcher never
opens the database.
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

# A time of the boot clock: one message on the pipe of heartbeats.
BEAT = struct.Struct("=d")
# A terminal sends stopping signals to the whole process group; only the worker handles them.
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Launcher:
    """The state of a launcher.

    Args:
        channel: the channel to the worker.
        beats: the read end of the pipe on which the worker sends when it last held its leases.
        patience_seconds: how long after that time the runs may continue.
    """

    def __init__(self, channel: Channel, beats: int, patience_seconds: float) -> None:
        self.channel = channel
        self.beats = beats
        self.patience_seconds = patience_seconds
        self.keys: dict[int, str] = {}
        self.last_beat = clock.boot_seconds()
        # Processes that were killed because no heartbeat arrived.
        self.unwatched: set[int] = set()
        self._ended, self._wake = socket.socketpair()
        self._ended.setblocking(False)
        self._wake.setblocking(False)

    def run(self) -> None:
        """Serve until the worker has gone, then kill the remaining runs."""
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
            # Read heartbeats first: after a stop of both processes the worker's new heartbeats count.
            self._read_beats()
            if self.keys and clock.boot_seconds() - self.last_beat > self.patience_seconds:
                self.unwatched.update(self.keys)
                self.end_all()
            alive = self._serve(selector)
            self._reap()
        self.end_all()

    def end_all(self) -> None:
        """Kill every run with its whole process group."""
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
        """In the child: close the launcher's files and reset its signal handlers."""
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
            # Do not reap yet: until then the kernel does not reuse this process id, so that the signal
            # reaches only the run's remaining processes.
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
            pass  # the worker has gone; the loop notices it in its next turn


def _kill_group(pid: int, number: int) -> None:
    """Signal a run's process group; a new run without a group gets the signal itself."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def serve(channel: Channel, beats: int, patience_seconds: float) -> None:
    """Work as a launcher until the worker has gone."""
    child.prepare()
    Launcher(channel, beats, patience_seconds).run()


def _settle_memory() -> None:
    """Exclude existing objects from garbage collection: pages that the collector marks cannot be shared."""
    gc.collect()
    gc.freeze()


def fork(patience_seconds: float, before: Callable[[], None] | None = None) -> tuple[Channel, int, int]:
    """Fork a launcher from this process, which must not have other threads.

    Args:
        patience_seconds: how long the runs may continue without a heartbeat.
        before: called first in the new process, to close files of other owners.

    Returns:
        The channel to it, the write end of the heartbeat pipe, and its process id.
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
    """Start a launcher in a new interpreter, for a process with threads, which a fork would break.

    Returns:
        The same values as `fork`.
    """
    ours, theirs = socket.socketpair()
    read_end, write_end = os.pipe()
    for file in (theirs.fileno(), read_end):
        os.set_inheritable(file, True)
    # Without the current folder, whose modules could hide those of the standard library.
    code = "import sys; here = sys.path.pop(0); from runyard.workers.process.launcher import main; "
    code += "main(here, *sys.argv[1:])"
    arguments = [sys.executable, "-c", code, str(theirs.fileno()), str(read_end), str(patience_seconds)]
    pid = os.posix_spawn(sys.executable, arguments, os.environ)
    theirs.close()
    os.close(read_end)
    os.set_blocking(write_end, False)
    return Channel(ours), write_end, pid


def main(here: str, channel: str, beats: str, patience_seconds: str) -> None:
    """The main function of a spawned launcher; gets an entry of `sys.path`, two descriptors, seconds."""
    for file in (int(channel), int(beats)):
        os.set_inheritable(file, False)
    try:
        child.preload()
    except ImportError as error:
        # A package is being replaced. Runs import it themselves and report what is missing. The worker starts
        # another launcher when the package is complete.
        print(f"runyard: runs start without preloaded modules: {error}", file=sys.stderr)
    sys.path.insert(0, here)
    _settle_memory()
    serve(Channel(socket.socket(fileno=int(channel))), int(beats), float(patience_seconds))
