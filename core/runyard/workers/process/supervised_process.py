"""One run under supervision: its launch message and its process."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from runyard.base.scratch import Scratch
from runyard.deployments.steps.execute import folder_of
from runyard.workers.process.process_constants import HOOKS_VARIABLE, PLACE_VARIABLE, RUN_MODULE
from runyard.workers.process.report_socket import ReportSocket
from runyard.workers.process.run_place import place
from runyard.workers.process.status_channel import StatusReader
from runyard.workers.run_output import Pipe, RunOutput
from runyard.workers.watching import WatchedRun

if TYPE_CHECKING:
    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.workers.process.launcher_channel import Channel
    from runyard.workers.run_output import LogBuffer


# Prefixes of variables that only a new interpreter reads.
_FRESH = ("PYTHON", "LD_", "DYLD_")


class RunProcess(WatchedRun):
    """A claimed run and its process.

    Args:
        claimed: the result of the claim.
        job: the pool's job configuration, resolved for this run.
        logs: the buffer for its output.
        hooks: call the hooks of the run's final state instead of running the flow.
        reports: a forked run reports its start and end through this process.
    """

    def __init__(
        self,
        claimed: ClaimedRun,
        job: dict[str, Any],
        logs: LogBuffer,
        hooks: bool = False,
        reports: bool = False,
    ) -> None:
        super().__init__(claimed, job, hooks)
        echo = job.get("stream_output") is not False
        self._output = RunOutput(logs, claimed.flow_run_id)
        reach = self._output.secrets.reach
        self.pipes = [
            Pipe(partial(self._output.keep, name), name if echo else None, self._hide, reach)
            for name in ("stdout", "stderr")
        ]
        if echo:
            self.pipes.append(Pipe(None, "stderr", self._hide, reach))
        status_read, self._status_write = os.pipe()
        self.status = StatusReader(status_read, self.hear)
        self.reports = ReportSocket() if reports and not hooks and _argv(job) is None else None
        self.pid: int | None = None
        # The channel to the launcher that starts it.
        self.channel: Channel | None = None
        # The run was over at the last renewal of its lease.
        self.over = False
        self._scratch: Scratch | None = None

    def may_call_hooks(self) -> bool:
        """Whether another process may call the run's hooks: it must have started, without a command."""
        failed = self.failure and not self.unwatched
        return not (self.hooks or failed or self.pid is None or self.job.get("command"))

    def launch(self, channel: Channel, environment: dict[str, str | None]) -> None:
        """Send the launch message to the launcher.

        Args:
            channel: the channel to the launcher.
            environment: variables for every run of this worker; None removes a variable.

        Raises:
            OSError: too many open files, no space for a folder, or no launcher.
        """
        claimed = self.claimed
        run, deployment = claimed.flow_run, claimed.deployment
        cwd = self.job.get("working_dir")
        if not cwd and deployment is not None:
            if deployment.pull_steps:
                cwd = folder_of(deployment.pull_steps)
            if deployment.pull_steps and cwd is None:
                self._scratch = Scratch()
                cwd = self._scratch.path
            elif deployment.path and os.path.isdir(deployment.path):
                cwd = deployment.path
        message = {
            "do": "launch",
            "key": self.key,
            "flow_run_id": self.flow_run_id,
            "attempt": self.attempt,
            "env": {
                **environment,
                "RUNYARD__FLOW_RUN_ID": self.flow_run_id,
                "RUNYARD__ATTEMPT": str(self.attempt),
                PLACE_VARIABLE: place(),
                "PREFECT__FLOW_RUN_ID": self.flow_run_id,
                **_words(self.job.get("env")),
                **({HOOKS_VARIABLE: "1"} if self.hooks else {}),
            },
            "cwd": cwd,
            "scratch": self._scratch is not None,
            "argv": _argv(self.job),
            # A run in an environment is forked too: it finds or creates that, then executes its Python.
            "environment": self.job.get("environment"),
            "python": self.job.get("python"),
            "reports": self.reports is not None,
            "claim": {
                "flow_run": run.model_dump(mode="json", include={"name", "parameters"}),
                "deployment": deployment.model_dump(mode="json", include={"entrypoint", "path", "pull_steps"})
                if deployment
                else None,
            },
        }
        out, err, *console = (pipe.write_end for pipe in self.pipes)
        reports = (self.reports.run_end,) if self.reports is not None else ()
        channel.send(message, (out, err, self._status_write, *reports, *console))
        self.channel = channel
        for file in (out, err, self._status_write, *console):
            os.close(file)
        self._status_write = -1
        if self.reports is not None:
            self.reports.close_run_end()

    def read_status(self) -> bool:
        """Read the status messages of the run's process; return whether more may come."""
        return self.status.read()

    def hear(self, said: dict[str, Any]) -> None:
        """Handle a status message, including secrets to hide."""
        super().hear(said)
        self._output.secrets.register(said.get("secrets"))

    def _hide(self, text: str) -> str:
        """Remove secrets from a text: the run reported each secret before it could print it."""
        self.read_status()
        return self._output.hide(text)

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM to the group now, and SIGKILL after `grace_seconds`; may be called again."""
        deadline = time.monotonic() + grace_seconds
        if self.kill_at is None or deadline < self.kill_at:
            self.kill_at = deadline
            self.signal(signal.SIGTERM if grace_seconds > 0 else signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Tell the launcher to signal the run's group."""
        if self.channel is None:
            return
        try:
            self.channel.send({"do": "signal", "key": self.key, "signal": int(number)})
        except OSError:
            pass  # the launcher has gone, and its runs with it

    def finish(self) -> None:
        """Read the rest of the output, and close all files."""
        self.read_status()
        for pipe in self.pipes:
            if pipe.open:
                pipe.drain()
            pipe.close()
        self._output.finish()
        os.close(self.status.file)
        if self.reports is not None:
            self.reports.close()
        if self._scratch:
            self._scratch.remove_soon()

    def abandon(self) -> None:
        """Close the files of a launch that was not sent."""
        for pipe in self.pipes:
            os.close(pipe.write_end)
        os.close(self._status_write)
        self.finish()


def _argv(job: dict[str, Any]) -> list[str] | None:
    """The command of a run; None: fork the launcher, also for a run in an environment."""
    command = job.get("command")
    if command and isinstance(command, str):
        try:
            return shlex.split(command)
        except ValueError as error:
            raise ValueError(f"command {command!r} cannot be split as a shell would: {error}") from None
    if command:
        return [str(word) for word in command]
    if job.get("environment"):
        return None
    python = job.get("python")
    if python is None and any(name.startswith(_FRESH) for name in job.get("env") or {}):
        python = sys.executable
    return [str(python), "-m", RUN_MODULE] if python else None


def _words(env: dict[str, Any] | None) -> dict[str, str | None]:
    return {name: None if value is None else str(value) for name, value in (env or {}).items()}
