"""The protocol of a type of work pool: start, find, follow, stop and remove one job.

The worker does everything else (claims, leases, retries, cancelling, logs, recovery) in the same way for all
types.
Another type is one class with these methods, declared as an entry point of the group `runyard.workers` with
the name of
the type.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from runyard.base.errors import RunyardError

# The labels by which jobs are found.
RUN_LABEL = "io.runyard.flow-run-id"
ATTEMPT_LABEL = "io.runyard.attempt"
POOL_LABEL = "io.runyard.work-pool"
API_PORT_LABEL = "io.runyard.api-port"
HOOKS_LABEL = "io.runyard.hooks"


class CannotStart(RunyardError):
    """A job cannot be started: the image is missing, or the engine refuses it. The text is for the user."""


class Unreachable(RunyardError):
    """The engine or the cluster does not answer; its jobs may continue."""


@dataclass(frozen=True)
class JobRequest:
    """One job to start.

    Args:
        name: of the flow run.
        job: the pool's job configuration, resolved for this run.
        command: the command, if the configuration has none.
        env: the variables of every job; the configuration's `env` overrides them.
        labels: to find it again, and those of the configuration.
        say: reports long operations (an image pull) in the run's logs.
        is_wanted: whether it is still to be started; if `start` waits and this becomes False, raise
            CannotStart.
    """

    name: str
    job: dict[str, Any]
    command: list[str]
    env: dict[str, str]
    labels: dict[str, str]
    say: Callable[[str], None]
    is_wanted: Callable[[], bool] = lambda: True


@dataclass(frozen=True)
class JobEnd:
    """How a job ended.

    Args:
        code: its exit code; None if it is unknown because the job is gone.
        reason: in words, if the infrastructure knows more than the code.
        started: whether its command was started at all.
    """

    code: int | None
    reason: str | None = None
    started: bool = True


@dataclass(frozen=True)
class FoundJob:
    """An existing job: its id, labels, whether it ever started, and whether it has ended, if known."""

    id: str
    labels: dict[str, str] = field(default_factory=dict)
    started: bool = True
    over: bool = False


class Infrastructure(Protocol):
    """The infrastructure of a pool's jobs. The worker calls each method from any thread.

    All raise Unreachable if the engine does not answer. An optional attribute `host_address` is the address
    of this machine
    at which jobs with their own network reach the API that the worker serves. An optional method
    `configure(pool, job)` is
    called before all others, with the name of the pool and its job configuration filled with the variables'
    defaults.

    For workers that run on the engine themselves, `here()` returns an identity as JSON, or None; and
    `is_gone(here)`, called
    by other workers, returns whether that worker has certainly ended. It must answer fast, and False in
    doubt. Without the
    two, only workers on the same machine can detect that another one is gone.
    """

    def place(self) -> str:
        """A text that identifies this engine or cluster."""
        ...

    def start(self, request: JobRequest) -> str:
        """Start a job; return its id.

        Raises:
            CannotStart: with the reason for the user.
        """
        ...

    def find(self, labels: dict[str, str]) -> list[FoundJob]:
        """Our jobs that have all these labels, running or not."""
        ...

    def follow(
        self, job_id: str, since: float | None
    ) -> Iterator[tuple[str, bytes] | tuple[str, bytes, int]]:
        """The output of a job, as (`stdout` or `stderr`, bytes), until it ends or the connection breaks.

        A third item may be the time at which a piece was printed, by the job's clock, in microseconds since
        1970; then each piece
        is a line, or a part of one. `since` uses the same clock; earlier pieces are ignored.

        Messages of the infrastructure about the job are yielded as `info` or `warning`.

        Args:
            job_id: the job.
            since: only what was printed after this moment, in seconds since 1970; None: all.
        """
        ...

    def wait(self, job_id: str) -> JobEnd:
        """Wait until a job has ended."""
        ...

    def stop(self, job_id: str, grace_seconds: float) -> None:
        """Ask a job to end, and kill it after `grace_seconds`; does nothing if the job is gone."""
        ...

    def remove(self, job_id: str) -> None:
        """Delete what remains of an ended job; does nothing if the job is gone."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def command_words(given: Any) -> list[str]:
    """The words of a job's command: a list, or a text that is split like in a shell.

    Raises:
        CannotStart: its quotes do not match.
    """
    if not isinstance(given, str):
        return [str(part) for part in given or ()]
    try:
        return shlex.split(given)
    except ValueError as error:
        raise CannotStart(f"command: {given!r} cannot be split as a shell would: {error}") from None
