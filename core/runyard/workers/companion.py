"""The process beside a worker that runs background tasks: started, watched and stopped by it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from runyard.base.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runyard.engine.task_definition import TaskDefinition

_LOOK_SECONDS = 0.5
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# What ran so long is taken for sound: its end does not make the next pause longer.
_SOUND_SECONDS = 60.0


class TaskServer:
    """`runyard task serve` in a process of its own, so that no code of the user runs in the worker's.

    Args:
        entrypoints: of tasks, as `task serve` takes them.
        say: prints one line to the user (level, text).

    Raises:
        InvalidInput: the tasks cannot be served; the process has said why.
    """

    def __init__(self, entrypoints: Sequence[str], say: Callable[[str, str], None]) -> None:
        self.next_at = 0.0
        self._entrypoints = list(entrypoints)
        self._say = say
        self._asked = 0
        self._pause = _FIRST_PAUSE_SECONDS
        self._restart_at: float | None = None
        self._start()
        if not self._ours.recv(1):
            self.close()
            raise InvalidInput(f"--task {' --task '.join(entrypoints)}: not served, for the reason above")

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def check(self) -> None:
        """Start the process again if it has ended unasked."""
        now = time.monotonic()
        if now < self.next_at:
            return
        self.next_at = now + _LOOK_SECONDS
        if self.running or self._asked:
            return
        if self._restart_at is None:
            if now - self._started > _SOUND_SECONDS:
                self._pause = _FIRST_PAUSE_SECONDS
            self._restart_at = now + self._pause
            self._say(
                "ERROR",
                f"The process that runs background tasks ended with exit code {self._process.returncode}; "
                f"it is started again in {self._pause:g} s",
            )
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)
        elif now >= self._restart_at:
            self._restart_at = None
            self._ours.close()
            self._start()

    def stop(self, times: int) -> None:
        """Ask it to end as often as the worker was asked: first to finish, then to give back, then to die."""
        while self._asked < times:
            self._asked += 1
            if self.running:
                self._process.send_signal(signal.SIGKILL if self._asked > 2 else signal.SIGTERM)

    def close(self) -> None:
        """End the process, however far it is."""
        self._ours.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> None:
        self._ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "runyard", "task", "serve", *self._entrypoints]
        try:
            # A group of its own: the terminal's Ctrl-C is the worker's, who passes it on.
            self._process = subprocess.Popen(
                [*command, "--beside", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,
            )
        finally:
            theirs.close()
        self._started = time.monotonic()


def serve_beside(tasks: Sequence[TaskDefinition], limit: int, file: int) -> None:
    """Serve tasks as the process beside a worker does: until a signal, or until the worker is gone.

    Args:
        tasks: which.
        limit: how many runs at a time.
        file: the descriptor of a socket to the worker, who holds the other end as long as it lives.
    """
    from runyard.workers.task_worker import TaskWorker

    server = TaskWorker(*tasks, limit=limit, say=lambda line: print(line, flush=True), own_process=True)
    worker = socket.socket(fileno=file)

    def outlive_nobody() -> None:
        try:
            worker.send(b"!")
            worker.recv(1)
        except ConnectionError:
            pass  # it went without having read what it was told
        server.stop()

    threading.Thread(target=outlive_nobody, name="runyard-worker", daemon=True).start()
    server.start()
