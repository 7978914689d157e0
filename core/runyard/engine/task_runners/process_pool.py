"""The process pool: submitted tasks run in child processes, one task at a time in each."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections import deque
from typing import TYPE_CHECKING

from runyard.base import waits
from runyard.base.thread_calls import release_thread
from runyard.engine.task_runners.remote_runners import RemoteTaskRunner

if TYPE_CHECKING:
    from typing import Self

    from runyard.engine.submission import Submission

_LENGTH = struct.Struct("!Q")
# How long an idle child may take to end.
_END_SECONDS = 5.0


def write_frame(connection: socket.socket, data: bytes) -> None:
    """Send bytes, preceded by their length."""
    connection.sendall(_LENGTH.pack(len(data)))
    connection.sendall(data)


def read_frame(connection: socket.socket) -> bytes | None:
    """Receive the bytes of one `write_frame`; None if the connection is closed."""
    head = _read(connection, _LENGTH.size)
    return None if head is None else _read(connection, _LENGTH.unpack(head)[0])


def _read(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray(size)
    view, at = memoryview(data), 0
    while at < size:
        try:
            got = connection.recv_into(view[at:])
        except ConnectionError:
            return None
        if not got:
            return None
        at += got
    return bytes(data)


class _Child:
    """A process that runs tasks, and ends when this process ends."""

    def __init__(self) -> None:
        self._connection, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "runyard.engine.task_runners.pool_process", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
            )
        write_frame(self._connection, pickle.dumps((sys.path, sys.argv)))

    def run(self, packet: bytes) -> bytes | None:
        """Run a packet and return its outcome; None if the process ended."""
        try:
            write_frame(self._connection, packet)
        except ConnectionError:
            return None
        return read_frame(self._connection)

    def end(self) -> int:
        """Ask the process to end, and wait; returns its exit code, negative for a signal."""
        self._connection.close()
        try:
            return self.process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def kill(self) -> None:
        """Kill the process."""
        self.process.kill()


class ProcessPoolTaskRunner(RemoteTaskRunner):
    """Runs submitted tasks in other processes, so that Python code uses several cores.

    cloudpickle pickles tasks, arguments and results; the script does not need `if __name__ == "__main__"`.
    If a process is killed, the run of its task becomes Crashed. Tasks that a task submits run in threads of
    the task's process.

    Args:
        max_workers: the maximum number of processes; the default is the number of cores.
    """

    def __init__(self, max_workers: int | None = None) -> None:
        super().__init__()
        if max_workers is not None and max_workers < 1:
            raise ValueError(f"invalid max_workers={max_workers}; give 1 or more")
        self._given = max_workers
        self.max_workers: int = max_workers or os.cpu_count() or 1
        self._jobs: deque[tuple[bytes, Submission]] = deque()
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._children: set[_Child] = set()
        self._idle = 0
        self._stopped = False

    def duplicate(self) -> Self:
        """A new runner with the same limit."""
        return type(self)(self._given)

    def send(self, packet: bytes, work: Submission) -> None:
        """Queue the packet for the next free process."""
        with self._changed:
            self._jobs.append((packet, work))
            if self._idle >= len(self._jobs):
                self._changed.notify()
            elif len(self._threads) < self.max_workers:
                name = f"runyard-process-{len(self._threads)}"
                thread = threading.Thread(target=self._serve, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def stop(self, cancel: bool) -> None:
        """End the processes; with `cancel`, by killing them."""
        with self._changed:
            self._stopped = True
            if cancel:
                self._jobs.clear()
                for child in self._children:
                    child.kill()
            self._changed.notify_all()
        waits.for_threads([thread for thread in self._threads if thread is not threading.current_thread()])

    def _serve(self) -> None:
        """Send jobs to one process, and start a new process if it was lost."""
        child: _Child | None = None
        try:
            while (job := self._next()) is not None:
                child = self._feed(child, *job)
        finally:
            if child is not None:
                self._forget(child)
            release_thread()

    def _next(self) -> tuple[bytes, Submission] | None:
        with self._changed:
            while not self._jobs:
                if self._stopped:
                    return None
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return self._jobs.popleft()

    def _feed(self, child: _Child | None, packet: bytes, work: Submission) -> _Child | None:
        """Run a job; returns the process for the next job."""
        if child is not None and child.process.poll() is not None:
            self._forget(child)
            child = None
        if child is None:
            try:
                child = self._start()
            except OSError as error:
                work.lost(f"no process could be started for it: {error}")
                return None
            if child is None:
                return None
        outcome = child.run(packet)
        if outcome is not None:
            work.finish(outcome)
            return child
        code = self._forget(child)
        if not self._cancelled:
            work.lost(f"its process {_ended_by(code)}")
        return None

    def _start(self) -> _Child | None:
        child = _Child()
        with self._changed:
            if not self._cancelled:
                self._children.add(child)
                return child
        child.kill()
        child.end()
        return None

    def _forget(self, child: _Child) -> int:
        with self._changed:
            self._children.discard(child)
        return child.end()


def _ended_by(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (often: out of memory)" if name == "SIGKILL" else ""
    return f"was killed by {name}{hint}"
