"""Starts claimed runs as jobs of an infrastructure, watches them and collects their output.

It has the interface of `supervisor.Supervisor`, whose runs are processes of this machine. Each job has two
threads: one waits for its end, the other copies its output. They pass events to the worker's loop through a
queue.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from runyard.base import machine
from runyard.base.errors import RunyardError
from runyard.engine.local_run_lease import KEEPS_LEASE_VARIABLE
from runyard.workers.infrastructure import base
from runyard.workers.infrastructure.base import CannotStart, JobEnd, JobRequest, Unreachable
from runyard.workers.jobs import marked_lines
from runyard.workers.jobs.job_run import JobRun
from runyard.workers.process.process_constants import CANNOT_START, HOOK_SECONDS, HOOKS_VARIABLE
from runyard.workers.terminal import say_to_terminal
from runyard.workers.watching import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from runyard.operations.flow_runs.claim_flow_runs import ClaimedRun
    from runyard.workers.infrastructure.base import FoundJob, Infrastructure

COMMAND = ["python", "-m", "runyard.workers.jobs.container_main"]
# The pause between two attempts to reach an engine that does not respond.
_AWAY_SECONDS = 1.0
_LONGEST_AWAY_SECONDS = 30.0
# A label that no job has.
_NONE = {base.RUN_LABEL: "none"}
# The time limit for the rest of a job's output, which may arrive late or wait for a slow database.
_LAST_WORDS_SECONDS = 600.0
_GONE = 137
# How long an earlier attempt that is over may take to end.
_ENDING_SECONDS = 3.0
# Messages of the infrastructure about a job, and their log levels.
_LEVELS = {"info": 20, "warning": 30}


class Since:
    """The position up to which a job's output is already stored.

    Args:
        at: the time of the last line, in microseconds since 1970.
        lines: the number of stored lines with that time.
    """

    def __init__(self, at: int, lines: int) -> None:
        self.seconds = at / 1e6
        self._at = at
        self._lines = lines

    def is_before(self, at: int) -> bool:
        """Whether the next output, printed at `at`, is not stored yet; called once for each."""
        if at == self._at and self._lines:
            self._lines -= 1
            return False
        return at >= self._at


class JobSupervisor(Watching[JobRun]):
    """The jobs of this worker's runs.

    Args:
        infrastructure: the engine or cluster.
        pool: the work pool.
        environment: returns the variables of a claimed run, some of which are specific to it.
        write_logs: writes a list of log bodies.
        labels: labels of every job.
        lease_seconds: the duration of the runs' leases.
    """

    def __init__(
        self,
        infrastructure: Infrastructure,
        pool: str,
        environment: Callable[[ClaimedRun], dict[str, str]],
        write_logs: Callable[[list[dict[str, Any]]], None],
        labels: dict[str, str],
        lease_seconds: float,
    ) -> None:
        super().__init__(write_logs, lease_seconds)
        self._infrastructure = infrastructure
        self._pool = pool
        self._environment = environment
        self._labels = labels
        self._answers = True
        self._answers_lock = threading.Lock()
        # The number of failed starts since the last success, because the engine did not work.
        self._refused_in_a_row = 0
        self._closed = False
        self._events: deque[Callable[[], None]] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.setblocking(False)
        self._register(self._wake_read.fileno(), self._take_events)
        self._place = infrastructure.place()
        facts = {
            "kind": "job",
            "machine": machine.place(),
            "boot": machine.boot_id(),
            "pids": machine.pid_namespace(),
            "worker": [os.getpid(), machine.started(os.getpid())],
        }
        here = getattr(infrastructure, "here", None)
        if here is not None and (where := here()) is not None:
            facts["here"] = where
        self._proof = json.dumps(facts)

    def identity(self) -> tuple[str | None, str | None]:
        """The place and proof by which others detect the end of this worker's runs: jobs in the engine."""
        return self._place, self._proof

    def beat(self, held_at: float) -> None:
        """Nothing to do: jobs continue without their worker, so they need no heartbeat."""

    def refresh(self) -> bool:
        """Nothing to do: each job starts from its image, not from preloaded packages."""
        return False

    def accepts(self) -> bool:
        """Whether jobs can be started: not while the engine does not respond."""
        return self._answers

    def launch(self, claimed: ClaimedRun, job: dict[str, Any], hooks: bool = False) -> JobRun:
        """Start a claimed run; a failure is reported as the end of the run.

        Args:
            hooks: only call the hooks of its final state.
        """
        run = JobRun(claimed, job, self.logs, hooks)
        if hooks:
            run.kill_at = time.monotonic() + HOOK_SECONDS
        self._begin(run, partial(self._start, run))
        return run

    def adopt(self, claimed: ClaimedRun, job: dict[str, Any], found: FoundJob, since: Since | None) -> None:
        """Continue watching the job of a worker that has gone.

        Args:
            claimed: the claim of that worker.
            job: the pool's job configuration, resolved for this run.
            found: the job.
            since: the position up to which that worker stored the output; None: it stored nothing.
        """
        run = JobRun(claimed, job, self.logs, base.HOOKS_LABEL in found.labels)
        run.adopted = True
        run.id = found.id
        self._begin(run, partial(self._watch, run, since))

    def _begin(self, run: JobRun, work: Callable[[], None]) -> None:
        run.hide(self._environment(run.claimed).get("RUNYARD_API_AUTH_STRING", ""))
        self._add(run)
        threading.Thread(target=work, name="runyard-job", daemon=True).start()

    # In a job's threads

    def _end_earlier(self, run: JobRun) -> None:
        """Stop the jobs of earlier attempts, which their workers lost: none may run beside this attempt."""
        until = time.monotonic() + _ENDING_SECONDS
        while earlier := self._earlier(run):
            if time.monotonic() < until:  # a job that has reported its end may be about to end
                time.sleep(0.2)
                continue
            for job in earlier:
                self._infrastructure.stop(job.id, 0.0)
                attempt = job.labels[base.ATTEMPT_LABEL]
                text = f"The job of attempt {attempt}, whose worker was lost, still ran and was stopped"
                self._later(partial(self._note, run, text, _LEVELS["warning"]))
            return

    def _earlier(self, run: JobRun) -> list[FoundJob]:
        if run.attempt == 1 or run.hooks:
            return []
        found = self._infrastructure.find({base.RUN_LABEL: run.flow_run_id})
        attempts = [(job, job.labels.get(base.ATTEMPT_LABEL, "")) for job in found]
        return [
            job
            for job, attempt in attempts
            if not job.over and attempt.isdigit() and int(attempt) < run.attempt
        ]

    def _start(self, run: JobRun) -> None:
        try:
            self._end_earlier(run)
            request = JobRequest(
                name=run.name,
                job=run.job,
                command=COMMAND,
                env=self._env_of(run),
                labels=self._labels_of(run),
                say=lambda text: self._later(partial(self._note, run, text)),
                is_wanted=lambda: run.stop_within is None and not self._closed,
            )
            run.id = self._infrastructure.start(request)
        except CannotStart as error:
            self._give_up(run, str(error))
            return
        except RunyardError as error:
            self._refused_in_a_row += 1
            self._away(str(error))
            self._give_up(run, str(error), unwatched=True)
            return
        except Exception as error:
            self._give_up(run, f"the job could not be started: {type(error).__name__}: {error}")
            return
        self._refused_in_a_row = 0
        if run.stop_within is not None:
            self._stop(run, run.stop_within)
        self._watch(run, None)

    def _give_up(self, run: JobRun, reason: str, unwatched: bool = False) -> None:
        run.close_ends()
        self._later(partial(self._end, run, JobEnd(1, reason), unwatched))

    def _away(self, reason: str) -> None:
        """Claim no runs until the engine responds again; warn once."""
        with self._answers_lock:
            if not self._answers:
                return
            self._answers = False
        say_to_terminal("WARNING", f"No run is claimed for now: {reason}")
        threading.Thread(target=self._await_answer, name="runyard-jobs-answer", daemon=True).start()

    def _await_answer(self) -> None:
        if self._refused_in_a_row > 1:
            # It responds but starts nothing: pause longer, so that waiting runs do not use up their attempts.
            time.sleep(min(_AWAY_SECONDS * 2**self._refused_in_a_row, _LONGEST_AWAY_SECONDS))
        while not self._closed:
            try:
                self._infrastructure.find(_NONE)
                break
            except RunyardError:
                time.sleep(_AWAY_SECONDS)
        self._later(self._back)

    def _back(self) -> None:
        self._answers = True
        say_to_terminal("INFO", f"{self._place.partition(':')[0].capitalize()} answers again")

    def _watch(self, run: JobRun, since: Since | None) -> None:
        reader = threading.Thread(target=self._copy, args=(run, since), name="runyard-job-logs", daemon=True)
        reader.start()
        was_away = False
        while True:
            try:
                end = self._infrastructure.wait(str(run.id))
                break
            except Unreachable as error:
                was_away = True
                self._away(str(error))
                time.sleep(_AWAY_SECONDS)
        if was_away and end.code:
            more = f": {end.reason}" if end.reason else ""
            end = JobEnd(end.code, f"it ended while its engine did not answer{more}", end.started)
        reader.join(_LAST_WORDS_SECONDS)
        self._later(partial(self._end, run, end, False))

    def _copy(self, run: JobRun, kept: Since | None) -> None:
        """Copy a job's output into the run's pipes until the job ends."""
        numbers = {name: pipe.write_end for name, pipe in zip(("stdout", "stderr"), run.pipes, strict=True)}
        since = None if kept is None else kept.seconds
        passes = kept is None
        try:
            while run.exit_code is None:
                try:
                    for stream, data, at in map(
                        _with_moment, self._infrastructure.follow(str(run.id), since)
                    ):
                        if stream in _LEVELS:
                            text = data.decode("utf-8", "replace")
                            self._later(partial(self._note, run, text, _LEVELS[stream]))
                            continue
                        if at is None:
                            since, passes = time.time(), True
                            _write(numbers[stream], data)
                            continue
                        # Compare by the job's clock, as this machine's clock may differ.
                        passes = passes or (kept is not None and kept.is_before(at))
                        if not passes:
                            continue
                        since, run.tells_moments = at / 1e6, True
                        if data.endswith(b"\n"):
                            data += marked_lines.moment(at).encode() + b"\n"
                        _write(numbers[stream], data)
                    return
                except Unreachable:
                    time.sleep(_AWAY_SECONDS)
        except OSError:
            pass  # the run is over, and its pipes are closed
        finally:
            run.close_ends()

    def _env_of(self, run: JobRun) -> dict[str, str]:
        return {
            **self._environment(run.claimed),
            "RUNYARD__FLOW_RUN_ID": run.flow_run_id,
            "RUNYARD__ATTEMPT": str(run.attempt),
            "PREFECT__FLOW_RUN_ID": run.flow_run_id,
            KEEPS_LEASE_VARIABLE: "1",
            **({HOOKS_VARIABLE: "1"} if run.hooks else {}),
        }

    def _labels_of(self, run: JobRun) -> dict[str, str]:
        return {
            base.RUN_LABEL: run.flow_run_id,
            base.ATTEMPT_LABEL: str(run.attempt),
            base.POOL_LABEL: self._pool,
            **({base.HOOKS_LABEL: "1"} if run.hooks else {}),
            **self._labels,
            "io.prefect.flow-run-id": run.flow_run_id,
            "io.prefect.flow-run-name": run.name,
            "io.prefect.work-pool-name": self._pool,
        }

    def _stop(self, run: JobRun, grace_seconds: float) -> None:
        while run.exit_code is None:
            try:
                self._infrastructure.stop(str(run.id), grace_seconds)
                return
            except Unreachable:
                time.sleep(_AWAY_SECONDS)

    def _later(self, event: Callable[[], None]) -> None:
        """Pass an event to the worker's loop."""
        self._events.append(event)
        with suppress(OSError):  # full, so that it wakes the loop anyway; or closed
            self._wake_write.send(b"\0")

    # In the worker's loop

    def stop(self, run: JobRun, grace_seconds: float) -> None:
        """Send SIGTERM to a job, and SIGKILL after `grace_seconds` or its own `stop_grace_seconds`."""
        own = run.job.get("stop_grace_seconds")
        if grace_seconds > 0 and own is not None:
            grace_seconds = float(own)
        if run.stop_within is not None and run.stop_within <= grace_seconds:
            return
        run.stop_within = grace_seconds
        if run.id is not None:
            threading.Thread(
                target=self._stop, args=(run, grace_seconds), name="runyard-job-stop", daemon=True
            ).start()

    def kill(self, run: JobRun) -> None:
        """Send SIGKILL to a job."""
        self.stop(run, 0.0)

    def close(self) -> None:
        """Close the connection to the engine; the jobs continue."""
        self._closed = True
        self._infrastructure.close()
        self.selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def _take_events(self) -> None:
        with suppress(BlockingIOError):
            while self._wake_read.recv(4096):
                pass
        while self._events:
            self._events.popleft()()

    def _note(self, run: JobRun, text: str, level: int = _LEVELS["info"]) -> None:
        self.logs.add(run.flow_run_id, "runyard.worker", text, level=level)

    def _end(self, run: JobRun, end: JobEnd, unwatched: bool) -> None:
        """Handle the end of a job, or its failed start."""
        if run.key not in self.running:
            return
        run.exit_code = _GONE if end.code is None else end.code
        # The run itself reports why it could not begin; else the engine may know.
        why = run.failure or (None if run.id and end.started else end.reason)
        run.failure = end.reason if end.code == CANNOT_START and end.reason else run.failure or end.reason
        run.started = end.started
        run.unwatched = unwatched
        self._remove(run)
        run.finish()
        self._end_with(run, why)

    def forget(self, run: JobRun) -> None:
        """Handle a reported end: remove the job, if its configuration says so."""
        if run.id is not None and (run.job.get("auto_remove") or run.hooks):
            threading.Thread(
                target=self._clear, args=(run.id,), name="runyard-job-remove", daemon=True
            ).start()

    def _clear(self, job_id: str) -> None:
        with suppress(Unreachable):
            self._infrastructure.remove(job_id)


def _with_moment(piece: tuple[Any, ...]) -> tuple[str, bytes, int | None]:
    stream, data, *more = piece
    return stream, data, more[0] if more else None


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]
