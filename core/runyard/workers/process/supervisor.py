"""Launches claimed runs through the launcher, watches their processes and keeps what they print."""

from __future__ import annotations

import os
import selectors
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from runyard.base import clock, machine
from runyard.operations.lease_clock import patience_seconds
from runyard.workers.process import launcher
from runyard.workers.process.packages import Packages
from runyard.workers.process.run_environment import HOOK_SECONDS
from runyard.workers.process.supervised_process import RunProcess
from runyard.workers.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.workers.process.launcher_channel import Channel
    from runyard.workers.process.reporting import Reports

_BEATS_PER_LEASE = 10
# How long a killed process may take to be gone.
_END_SECONDS = 2.0


class Supervisor(Watching[RunProcess]):
    """The processes of this worker's runs.

    Args:
        line: to the launcher.
        beats: the write end of the pipe on which the worker shows its life.
        lease_seconds: of the runs' leases.
        environment: what every run gets.
        write_logs: writes a list of log bodies.
        launcher_pid: the launcher's process id.
        beating: its runs go on as long as this process lives; otherwise as long as `beat` is called.
        reports: makes the calls by which runs report their start and end; None where they do that themselves.
    """

    runs_here = True

    def __init__(
        self,
        line: Channel,
        beats: int,
        launcher_pid: int,
        lease_seconds: float,
        environment: dict[str, str | None],
        write_logs: Callable[[list[dict[str, Any]]], None],
        beating: bool = True,
        reports: Reports | None = None,
    ) -> None:
        super().__init__(write_logs, lease_seconds)
        self._environment = environment
        self._line = line
        self._beats = beats
        self._launcher_pid = launcher_pid
        self._packages = Packages()
        self._reports = reports
        # Launchers that were replaced, with their processes; each goes with the last of its runs.
        self._retired: dict[Channel, int] = {}
        self._register_line()
        self._stopped = threading.Event()
        self._beats_lock = threading.Lock()
        self._older_beats: dict[Channel, int] = {}
        if beating:
            # A thread, so that a database that hangs does not look like a worker that hangs. It proves that
            # this process was neither stopped nor killed, and no more.
            threading.Thread(target=self._beat_on, name="runyard-beats", daemon=True).start()

    def identity(self) -> tuple[str | None, str | None]:
        """Where and by what the death of this worker's runs can be proved."""
        return machine.identity(self._launcher_pid)

    def beat(self, held_at: float) -> None:
        """Tell the launcher that the leases of all runs were held at a moment of the boot clock."""
        with self._beats_lock:
            for file in (self._beats, *self._older_beats.values()):
                try:
                    os.write(file, launcher.BEAT.pack(held_at))
                except OSError:
                    pass  # the launcher is stopped and will find the beats there are, or is being replaced

    def refresh(self) -> bool:
        """Make a fresh launcher where installed packages have changed; whether that was so.

        To be called before runs are claimed: what proves their end is the launcher of that moment. Runs of
        the former launcher go on with it.
        """
        if not self._packages.changed():
            return False
        self._retired[self._line] = self._launcher_pid
        with self._beats_lock:
            self._older_beats[self._line] = self._beats
            self._line, self._beats, self._launcher_pid = launcher.spawn(patience_seconds())
        self._register_line()
        self._dismiss()
        return True

    def accepts(self) -> bool:
        """Whether runs can be started: always, by this machine."""
        return True

    def forget(self, process: RunProcess) -> None:
        """The end of a run is reported; nothing is left of its process."""

    def launch(self, claimed: ClaimedRun, job: dict[str, Any], hooks: bool = False) -> RunProcess:
        """Start a claimed run; what goes wrong is reported as the end of the run.

        Args:
            hooks: only call the hooks of its final state.
        """
        process = RunProcess(claimed, job, self.logs, hooks, self._reports is not None)
        if hooks:
            process.kill_at = time.monotonic() + HOOK_SECONDS
        try:
            process.launch(self._line, self._environment)
        except (OSError, ValueError) as error:
            process.abandon()
            process.exit_code, process.failure = 1, f"the run could not be launched: {error}"
            process.unwatched = isinstance(error, ConnectionError)  # there is no launcher right now
            self._end(process)
            return process
        self._add(process)
        self._register(process.status.file, partial(self._read_status, process))
        if self._reports is not None and process.reports is not None:
            self._register(process.reports.file, partial(self._read_reports, process))
            self._reports.watch(process)
        return process

    def answer_reports(self, outage: bool) -> None:
        """Make the calls that runs have sent; with `outage`, tell them that this cannot be done now."""
        if self._reports is not None:
            self._reports.answer(outage)

    def stop(self, process: RunProcess, grace_seconds: float) -> None:
        """SIGTERM to a run's group, SIGKILL after `grace_seconds`."""
        process.stop(grace_seconds)

    def kill(self, process: RunProcess) -> None:
        """SIGKILL to a run's group."""
        process.signal(signal.SIGKILL)

    def close(self) -> None:
        """Let the launcher go; it ends what still runs."""
        self._stopped.set()
        for line, pid in (*self._retired.items(), (self._line, self._launcher_pid)):
            line.close()
            _wait_for(pid)
        self.selector.close()

    def _beat_on(self) -> None:
        while not self._stopped.is_set():
            self.beat(clock.boot_seconds())
            self._stopped.wait(self._lease_seconds / _BEATS_PER_LEASE)

    def _read_status(self, process: RunProcess) -> None:
        if not process.read_status():
            self._forget(process.status.file)

    def _read_reports(self, process: RunProcess) -> None:
        if self._reports is None or process.reports is None:
            return
        self._reports.take(process)
        if not process.reports.open:
            self._forget(process.reports.file)

    def _register_line(self) -> None:
        self._register(self._line.fileno(), partial(self._hear, self._line))

    def _dismiss(self) -> None:
        """Let replaced launchers go that have no run any more."""
        busy = {process.line for process in self.running.values()}
        for line in [line for line in self._retired if line not in busy]:
            self._let_go(line, self._retired.pop(line))

    def _let_go(self, line: Channel, pid: int) -> None:
        self._forget(line.fileno())
        line.close()
        _wait_for(pid)
        with self._beats_lock:
            if line in self._older_beats:
                os.close(self._older_beats.pop(line))

    def _hear(self, line: Channel) -> None:
        messages = line.receive()
        if messages is None:
            self._lose_launcher(line)
            return
        for message, _ in messages:
            process = self.running.get(message["key"])
            if process is None:
                continue
            if message["event"] == "started":
                process.pid = message["pid"]
            else:
                process.failure = process.failure or message.get("failure")
                process.unwatched = bool(message.get("unwatched"))
                process.exit_code = message["code"]
                self._finish(process)

    def _finish(self, process: RunProcess) -> None:
        self._remove(process)
        self._forget(process.status.file)
        if self._reports is not None and process.reports is not None:
            # What it had sent is done, though nobody waits for the answer.
            self._read_reports(process)
            self._forget(process.reports.file)
            self._reports.forget(process)
        process.finish()
        self._end(process)
        if self._retired:
            self._dismiss()

    def _end(self, process: RunProcess) -> None:
        if process.failure and process.pid is None:
            self.logs.add(process.flow_run_id, "runyard.worker", process.failure, level=40)
        self.ended.append(process)

    def _lose_launcher(self, line: Channel) -> None:
        """A launcher is gone, and the kernel ended its runs; clear what they left and start another."""
        its = [process for process in self.running.values() if process.line is line]
        self._let_go(line, self._retired.pop(line, self._launcher_pid))
        _end_groups([process.pid for process in its if process.pid is not None])
        if line is self._line:
            with self._beats_lock:
                os.close(self._beats)
                self._line, self._beats, self._launcher_pid = launcher.spawn(patience_seconds())
            self._register_line()
        for process in its:
            process.exit_code = -int(signal.SIGKILL)
            process.failure = process.failure or "the launcher of the worker was killed"
            process.unwatched = True
            self._finish(process)


def _wait_for(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def _end_groups(pids: list[int]) -> None:
    """SIGKILL to groups that have no parent to wait for them any more, and wait until their leaders ended.

    A run counts as ended only then: the next attempt may start at once. A process that the kernel cannot
    end (its disk hangs) is given up after a while, as the leases of others must be renewed.
    """
    ends = []
    for pid in pids:
        try:
            if hasattr(os, "pidfd_open"):
                ends.append(os.pidfd_open(pid))
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
    deadline = time.monotonic() + _END_SECONDS
    with selectors.DefaultSelector() as selector:
        for end in ends:
            selector.register(end, selectors.EVENT_READ)
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                selector.unregister(key.fileobj)
    for end in ends:
        os.close(end)
