"""The child process of a worker that runs background tasks: the worker starts, watches and stops it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING

from runyard.base.errors import InvalidInput
from runyard.base.texts import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runyard.engine.task_definition import TaskDefinition

_LOOK_SECONDS = 0.5
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
# How long to wait for the last output of a killed process.
_ECHO_SECONDS = 1.0
# After running this long the process counts as healthy: the next pause is the shortest again.
_SOUND_SECONDS = 60.0


class TaskServer:
    """Runs `runyard task serve` in a child process, so that no user code runs in the worker's process.

    Args:
        entrypoints: the tasks, as arguments of `task serve`.
        say: prints one line to the user (level, text).
        echo: prints lines of the process's output; None: the process writes to this process's streams.

    Raises:
        InvalidInput: the tasks cannot be served; the process has printed the reason.
    """

    def __init__(
        self,
        entrypoints: Sequence[str],
        say: Callable[[str, str], None],
        echo: Callable[[str], None] | None = None,
    ) -> None:
        self.next_at = 0.0
        self._echo = echo
        self._echoing: threading.Thread | None = None
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
        """Whether the process is alive."""
        return self._process.poll() is None

    def check(self) -> None:
        """Restart the process if it ended without a stop request."""
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
        """Pass on stop requests: the first finishes the runs, the second gives them back, the third kills."""
        while self._asked < times:
            self._asked += 1
            if self.running:
                self._process.send_signal(signal.SIGKILL if self._asked > 2 else signal.SIGTERM)

    def close(self) -> None:
        """Kill the process and wait for its end."""
        self._ours.close()
        self._process.kill()
        self._process.wait()
        if self._echoing is not None:
            # A process that outlives it may hold the other end.
            self._echoing.join(_ECHO_SECONDS)

    def _start(self) -> None:
        self._ours, theirs = socket.socketpair()
        # -P: without the current folder, whose modules could hide those of the standard library.
        command = [sys.executable, "-P", "-m", "runyard", "task", "serve", *self._entrypoints]
        try:
            # Its own process group: Ctrl-C reaches only the worker, which passes it on.
            self._process = subprocess.Popen(
                [*command, "--beside", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=None if self._echo is None else subprocess.PIPE,
                stderr=None if self._echo is None else subprocess.STDOUT,
                process_group=0,
            )
        finally:
            theirs.close()
        if self._echo is not None and self._process.stdout is not None:
            self._echoing = threading.Thread(
                target=_echo_lines, args=(self._process.stdout, self._echo), name="runyard-echo", daemon=True
            )
            self._echoing.start()
        self._started = time.monotonic()


def _echo_lines(output: IO[bytes], echo: Callable[[str], None]) -> None:
    with output:
        for line in output:
            text = line.decode(errors="replace").rstrip("\r\n")
            echo(f"{visible(text, colours=True)}\n")


def serve_beside(tasks: Sequence[TaskDefinition], limit: int, file: int) -> None:
    """Serve tasks in a worker's child process until a signal arrives or the worker ends.

    Args:
        tasks: the tasks to serve.
        limit: the maximum number of concurrent runs.
        file: the descriptor of a socket to the worker; it closes when the worker ends.
    """
    # Only the process that serves tasks needs it (7 ms).
    from runyard.workers.task_worker import TaskWorker

    server = TaskWorker(*tasks, limit=limit, say=lambda line: print(line, flush=True), own_process=True)
    worker = socket.socket(fileno=file)

    def stop_with_worker() -> None:
        try:
            worker.send(b"!")
            worker.recv(1)
        except ConnectionError:
            pass  # the worker ended with unread data in the socket
        server.stop()

    threading.Thread(target=stop_with_worker, name="runyard-worker", daemon=True).start()
    server.start()
