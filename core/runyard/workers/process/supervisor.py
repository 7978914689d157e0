"""Launches claimed runs through the launcher, watches their processes and collects their output."""

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
from runyard.workers.process.process_constants import HOOK_SECONDS
from runyard.workers.process.supervised_process import RunProcess
from runyard.workers.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.workers.process.launcher_channel import Channel
    from runyard.workers.process.reporting import Reports

_BEATS_PER_LEASE = 10
# How long a killed process may take to end.
_END_SECONDS = 2.0


class Supervisor(Watching[RunProcess]):
    """The processes of this worker's runs.

    Args:
        channel: the channel to the launcher.
        beats: the write end of the heartbeat pipe.
        lease_seconds: the duration of the runs' leases.
        environment: variables for every run.
        write_logs: writes a list of log bodies.
        launcher_pid: the launcher's process id.
        beating: send heartbeats as long as this process lives; else only when `beat` is called.
        reports: executes the report calls of runs; None: the runs make these calls themselves.
    """

    runs_here = True

    def __init__(
        self,
        channel: Channel,
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
        self._channel = channel
        self._beats = beats
        self._launcher_pid = launcher_pid
        self._packages = Packages()
        self._reports = reports
        # Replaced launchers and their process ids; each ends with the last of its runs.
        self._retired: dict[Channel, int] = {}
        self._register_channel()
        self._stopped = threading.Event()
        self._beats_lock = threading.Lock()
        self._older_beats: dict[Channel, int] = {}
        if beating:
            # A thread, as a hanging database must not stop the heartbeats. They prove only that this process
            # was neither stopped nor killed.
            threading.Thread(target=self._beat_on, name="runyard-beats", daemon=True).start()

    def identity(self) -> tuple[str | None, str | None]:
        """The place and the proof by which others detect the death of this worker's runs."""
        return machine.identity(self._launcher_pid)

    def beat(self, held_at: float) -> None:
        """Tell the launcher that the worker held the leases of all runs at a time of the boot clock."""
        with self._beats_lock:
            for file in (self._beats, *self._older_beats.values()):
                try:
                    os.write(file, launcher.BEAT.pack(held_at))
                except OSError:
                    pass  # the launcher is stopped and the pipe full, or it is being replaced

    def refresh(self) -> bool:
        """Start a new launcher if installed packages have changed; return whether they have.

        Call it before claiming runs: the claim records the current launcher as proof of their end. Runs
        of the replaced launcher continue there.
        """
        if not self._packages.changed():
            return False
        self._retired[self._channel] = self._launcher_pid
        with self._beats_lock:
            self._older_beats[self._channel] = self._beats
            self._channel, self._beats, self._launcher_pid = launcher.spawn(patience_seconds())
        self._register_channel()
        self._close_idle_channels()
        return True

    def accepts(self) -> bool:
        """Whether runs can be started: always true for processes of this machine."""
        return True

    def forget(self, process: RunProcess) -> None:
        """Handle a reported end; nothing to do for processes."""

    def launch(self, claimed: ClaimedRun, job: dict[str, Any], hooks: bool = False) -> RunProcess:
        """Start a claimed run; a failure is reported as the end of the run.

        Args:
            hooks: only call the hooks of its final state.
        """
        process = RunProcess(claimed, job, self.logs, hooks, self._reports is not None)
        if hooks:
            process.kill_at = time.monotonic() + HOOK_SECONDS
        try:
            process.launch(self._channel, self._environment)
        except (OSError, ValueError) as error:
            process.abandon()
            process.exit_code, process.failure = 1, f"the run could not be launched: {error}"
            process.unwatched = isinstance(error, ConnectionError)  # the launcher does not exist now
            self._end(process)
            return process
        self._add(process)
        self._register(process.status.file, partial(self._read_status, process))
        if self._reports is not None and process.reports is not None:
            self._register(process.reports.file, partial(self._read_reports, process))
            self._reports.watch(process)
        return process

    def answer_reports(self, outage: bool) -> None:
        """Execute the report calls of runs; with `outage`, tell the runs to make them themselves."""
        if self._reports is not None:
            self._reports.answer(outage)

    def stop(self, process: RunProcess, grace_seconds: float) -> None:
        """Send SIGTERM to a run's group, and SIGKILL after `grace_seconds`."""
        process.stop(grace_seconds)

    def kill(self, process: RunProcess) -> None:
        """Send SIGKILL to a run's group."""
        process.signal(signal.SIGKILL)

    def close(self) -> None:
        """Close the channels to the launchers, which then kill the remaining runs."""
        self._stopped.set()
        for channel, pid in (*self._retired.items(), (self._channel, self._launcher_pid)):
            channel.close()
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

    def _register_channel(self) -> None:
        self._register(self._channel.fileno(), partial(self._hear, self._channel))

    def _close_idle_channels(self) -> None:
        """Close the channels to replaced launchers without runs."""
        busy = {process.channel for process in self.running.values()}
        for channel in [channel for channel in self._retired if channel not in busy]:
            self._close_channel(channel, self._retired.pop(channel))

    def _close_channel(self, channel: Channel, pid: int) -> None:
        self._forget(channel.fileno())
        channel.close()
        _wait_for(pid)
        with self._beats_lock:
            if channel in self._older_beats:
                os.close(self._older_beats.pop(channel))

    def _hear(self, channel: Channel) -> None:
        messages = channel.receive()
        if messages is None:
            self._lose_launcher(channel)
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
            # Execute the calls that it sent before it ended.
            self._read_reports(process)
            self._forget(process.reports.file)
            self._reports.forget(process)
        process.finish()
        self._end(process)
        if self._retired:
            self._close_idle_channels()

    def _end(self, process: RunProcess) -> None:
        self._end_with(process, None if process.unwatched and process.pid is not None else process.failure)

    def _lose_launcher(self, channel: Channel) -> None:
        """Handle the death of a launcher: the kernel killed its runs; clean up and start another launcher."""
        its = [process for process in self.running.values() if process.channel is channel]
        self._close_channel(channel, self._retired.pop(channel, self._launcher_pid))
        _end_groups([process.pid for process in its if process.pid is not None])
        if channel is self._channel:
            with self._beats_lock:
                os.close(self._beats)
                self._channel, self._beats, self._launcher_pid = launcher.spawn(patience_seconds())
            self._register_channel()
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
    """Send SIGKILL to groups whose parent has gone, and wait until their leaders have ended.

    Only then may a run count as ended, as the next attempt may start at once. The wait has a limit, for
    processes that the kernel cannot end (their disk hangs): other leases must be renewed.
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
