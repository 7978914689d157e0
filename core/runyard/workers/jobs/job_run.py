"""One run as a job: its state, and the processing of its output."""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from runyard.base.texts import visible
from runyard.workers import terminal
from runyard.workers.jobs import marked_lines
from runyard.workers.process.process_constants import HOOK_SECONDS
from runyard.workers.run_output import Pipe, RunOutput
from runyard.workers.watching import WatchedRun

if TYPE_CHECKING:
    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.workers.run_output import LogBuffer


# A shorter password occurs in too many other words to be hidden alone.
_LONG_PASSWORD = 8


class JobRun(WatchedRun):
    """A claimed run and its job.

    Args:
        claimed: the result of the claim.
        job: the pool's job configuration, resolved for this run.
        logs: the buffer for its output.
        hooks: call the hooks of the run's final state instead of running the flow.
    """

    def __init__(
        self, claimed: ClaimedRun, job: dict[str, Any], logs: LogBuffer, hooks: bool = False
    ) -> None:
        super().__init__(claimed, job, hooks)
        self._echo = job.get("stream_output") is not False
        self._output = RunOutput(logs, claimed.flow_run_id)
        reach = self._output.secrets.reach
        self.pipes = [
            Pipe(partial(self._take, name), None, self._output.hide, reach) for name in ("stdout", "stderr")
        ]
        # Whether a line with the time follows each output; and each stream's lines that wait for it.
        self.tells_moments = False
        self._waiting: dict[str, list[str]] = {"stdout": [], "stderr": []}
        # The id of the job, once it is started.
        self.id: str | None = None
        # Whether its command was started, as far as known.
        self.started = True
        # The grace period of a requested stop; a job that is not started yet is then not started at all.
        self.stop_within: float | None = None
        self._over_since: float | None = None

    @property
    def over(self) -> bool:
        """Whether the run has been over at lease renewals for longer than its hooks may take."""
        return self._over_since is not None and time.monotonic() > self._over_since + HOOK_SECONDS

    @over.setter
    def over(self, is_over: bool) -> None:
        if is_over and self._over_since is None:
            self._over_since = time.monotonic()

    def hide(self, text: str) -> None:
        """Hide this text in the output: the run's API credentials, which a command may print."""
        password = text.partition(":")[2]
        self._output.secrets.register([text, *([password] if len(password) >= _LONG_PASSWORD else [])])

    def may_call_hooks(self) -> bool:
        """Whether another job may call the run's hooks: it must have started, without a user's command."""
        return self.started and not (self.hooks or self.id is None or self.job.get("command"))

    def read_status(self) -> None:
        """Nothing to read: the status messages of a job arrive with its output."""

    def _take(self, stream: str, lines: list[str]) -> None:
        waiting, seen = self._waiting[stream], []
        kept: list[str] = []
        moments: list[int] = []
        for line in lines:
            at = marked_lines.moment_of(line)
            if at is not None:
                moments += [at] * len(waiting)
                kept += waiting
                waiting.clear()
                continue
            text, facts, keep = marked_lines.read(line)
            if facts is not None:
                self.hear(facts)
            if text is not None:
                seen.append(text)
                if keep:
                    waiting.append(text)
        if not self.tells_moments:
            moments += [0] * len(waiting)
            kept += waiting
            waiting.clear()
        if kept:
            self._output.keep(stream, kept, moments)
        if seen and self._echo:
            terminal.write(stream, "".join(f"{visible(line, colours=True)}\n" for line in seen))

    def close_ends(self) -> None:
        """Close the write ends of the pipes; called by the writing thread."""
        for pipe in self.pipes:
            if pipe.write_end >= 0:
                os.close(pipe.write_end)
                pipe.write_end = -1

    def finish(self) -> None:
        """Read the rest of the pipes and close the read ends; the write ends stay open."""
        for pipe in self.pipes:
            if pipe.open:
                pipe.drain()
            pipe.close()
        for stream, lines in self._waiting.items():
            if lines:  # a last line without an end
                self._output.keep(stream, lines)
        self._output.finish()
