"""The first process of a run's container: `python -m runyard.workers.jobs.container_main`.

It starts the run as its child and passes on its output without secrets, its status messages, and signals.
It also reaps orphaned processes, as the first process of a container must.
"""

from __future__ import annotations

import os
import selectors
import signal
import sys
from functools import partial
from typing import Any

from runyard.base import descriptors
from runyard.base.redaction import Secrets
from runyard.engine.logging.handlers import CONSOLE_VARIABLE
from runyard.workers.jobs import marked_lines
from runyard.workers.process.process_constants import ENTER, RUN_MODULE
from runyard.workers.process.status_channel import STATUS_VARIABLE, StatusReader
from runyard.workers.run_output import Pipe

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# The status messages for the worker. Secrets stay in this process.
_TOLD = ("failure", "ending", "reported", "state_type", "state_name")
_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run the flow run that the environment names; return its exit code as a shell does."""
    secrets = Secrets()
    status_read, status_write = os.pipe()
    status = StatusReader(status_read, partial(_hear, secrets))

    def hide(text: str) -> str:
        status.read()
        return secrets.redact(text)

    pipes = [Pipe(partial(_pass_on, number), None, hide, secrets.reach) for number in (1, 2)]
    console = Pipe(
        lambda texts: _pass_on(2, [marked_lines.shown(text) for text in texts]),
        None,
        hide,
        secrets.reach,
    )
    pipes.append(console)
    pid = os.fork()
    if pid == 0:
        _become_run([pipe.write_end for pipe in pipes], status_write)
    for file in (*(pipe.write_end for pipe in pipes), status_write):
        os.close(file)
    for number in _PASSED_ON:
        signal.signal(number, lambda number, _frame: _send(pid, number))
    code = _watch(pid, pipes, status)
    return code if code >= 0 else 128 - code


def _become_run(files: list[int], status_file: int) -> None:
    """In the child: become the run, which the kernel kills when the first process ends."""
    try:
        os.setsid()
        if sys.platform == "linux":
            import ctypes

            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.dup2(files[0], 1)
        os.dup2(files[1], 2)
        for number in (files[2], status_file):
            os.set_inheritable(number, True)
        # So that the run's output appears at once.
        os.environ.setdefault("PYTHONUNBUFFERED", "1")
        os.environ[CONSOLE_VARIABLE] = descriptors.name_of(files[2])
        os.environ[STATUS_VARIABLE] = descriptors.name_of(status_file)
        os.execv(sys.executable, [sys.executable, "-m", RUN_MODULE, ENTER])  # noqa: S606 - no shell is needed
    finally:
        os._exit(127)


def _send(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        pass  # it has ended


def _hear(secrets: Secrets, said: dict[str, Any]) -> None:
    """Handle a status message: keep secrets here, pass on the rest to the worker."""
    secrets.register(said.get("secrets"))
    told = {name: said[name] for name in _TOLD if name in said}
    if told:
        _pass_on(2, [marked_lines.facts(told)])
    if "failure" in told:
        # For those who read the container's output. The worker stores it from the facts.
        _pass_on(2, [marked_lines.shown(line) for line in told["failure"].splitlines()])


def _watch(pid: int, pipes: list[Pipe], status: StatusReader) -> int:
    """Pass on output until the run has ended; return its exit code, negative for a signal."""
    end = os.pidfd_open(pid)
    with selectors.DefaultSelector() as selector:
        for pipe in pipes:
            selector.register(pipe.read_end, selectors.EVENT_READ, pipe.read)
        selector.register(status.file, selectors.EVENT_READ, status.read)
        selector.register(end, selectors.EVENT_READ, None)
        code: int | None = None
        while code is None:
            for key, _ in selector.select(1.0):
                if key.data is not None and not key.data():
                    # Either closed or empty for now; forget only closed ones.
                    _forget_closed(selector, key, pipes, status)
            code = _reap(pid)
    status.read()
    for pipe in pipes:
        if pipe.open:
            pipe.drain()
    return code


def _forget_closed(
    selector: selectors.BaseSelector, key: selectors.SelectorKey, pipes: list[Pipe], status: StatusReader
) -> None:
    if key.fd == status.file or any(pipe.read_end == key.fd and not pipe.open for pipe in pipes):
        selector.unregister(key.fd)


def _reap(pid: int) -> int | None:
    """Reap ended processes; return the run's exit code if it is among them, else None."""
    code = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if ended == 0:
            return code
        if ended == pid:
            code = os.waitstatus_to_exitcode(status)


def _pass_on(file: int, lines: list[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    while data:
        data = data[os.write(file, data) :]


if __name__ == "__main__":
    os._exit(main())  # output is unbuffered, so no cleanup is needed
