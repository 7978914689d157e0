"""The protocol of a work pool type: how to start, find, follow, stop and remove one job.

The worker does everything else (claims, leases, retries, cancelling, logs, recovery) in the same way for all
types. To add a type, write a class with these methods and register it as an entry point of the group
`runyard.workers` under the type's name.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from runyard.base.errors import RunyardError

# The labels by which a worker finds its jobs.
RUN_LABEL = "io.runyard.flow-run-id"
ATTEMPT_LABEL = "io.runyard.attempt"
POOL_LABEL = "io.runyard.work-pool"
API_PORT_LABEL = "io.runyard.api-port"
HOOKS_LABEL = "io.runyard.hooks"


class CannotStart(RunyardError):
    """A job could not be started: for example its image is missing. The text is for the user."""


class Unreachable(RunyardError):
    """The engine or the cluster does not respond; its jobs may continue."""


@dataclass(frozen=True)
class JobRequest:
    """One job to start.

    Args:
        name: the name of the flow run.
        job: the pool's job configuration, resolved for this run.
        command: the command to start if the configuration has none.
        env: variables of every job; the configuration's `env` overrides them.
        labels: labels for finding the job, and those of the configuration.
        say: reports slow steps (such as pulling an image) to the run's logs.
        is_wanted: whether the job must still be started; code that waits raises CannotStart if not.
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
        code: its exit code; None if unknown, as the job was removed.
        reason: an explanation, if the infrastructure knows more than the exit code.
        started: whether its command was started.
    """

    code: int | None
    reason: str | None = None
    started: bool = True


@dataclass(frozen=True)
class FoundJob:
    """An existing job: its id, its labels, whether it was started, and whether it has ended, as far as
    known."""

    id: str
    labels: dict[str, str] = field(default_factory=dict)
    started: bool = True
    over: bool = False


class Infrastructure(Protocol):
    """The place where jobs run. Other threads may call each method.

    All methods raise Unreachable if the engine does not respond. The optional attribute `host_address` is the
    address of this machine under which jobs with their own network reach the API that the worker serves. The
    optional method `configure(pool, job)` is called first, with the pool's name and its job configuration
    with default values.

    A worker may itself run in the engine or cluster. Then two optional methods let other workers detect its
    death: `here()` returns JSON that identifies this worker there, or None; `is_gone(here)`, called by other
    workers, returns whether it has certainly ended. `is_gone` responds fast, and returns False in doubt.
    Without these methods only workers of the same machine can detect that a worker has gone.
    """

    def place(self) -> str:
        """A unique name of this engine or cluster."""
        ...

    def start(self, request: JobRequest) -> str:
        """Start a job; return its id.

        Raises:
            CannotStart: the job cannot be started; the text is for the user.
        """
        ...

    def find(self, labels: dict[str, str]) -> list[FoundJob]:
        """Find the jobs that have all these labels, running or ended."""
        ...

    def follow(
        self, job_id: str, since: float | None
    ) -> Iterator[tuple[str, bytes] | tuple[str, bytes, int]]:
        """Yield a job's output as (`stdout` or `stderr`, bytes), until it ends or the connection breaks.

        An optional third item is the time of the output by the job's clock, in microseconds since 1970. Then
        each item is a line or a part of a line. `since` uses the same clock; older output may be repeated.

        Messages of the infrastructure about the job are yielded as `info` or `warning`, one text per item.

        Args:
            job_id: the job.
            since: only output after this time, in seconds since 1970; None: all.
        """
        ...

    def wait(self, job_id: str) -> JobEnd:
        """Wait until a job has ended."""
        ...

    def stop(self, job_id: str, grace_seconds: float) -> None:
        """Ask a job to stop, and kill it after `grace_seconds`; a missing job is not an error."""
        ...

    def remove(self, job_id: str) -> None:
        """Remove an ended job; a missing job is not an error."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def command_words(given: Any) -> list[str]:
    """Split a job's command into words: it is a list, or a string in shell syntax.

    Raises:
        CannotStart: a quote is missing.
    """
    if not isinstance(given, str):
        return [str(part) for part in given or ()]
    try:
        return shlex.split(given)
    except ValueError as error:
        raise CannotStart(f"command: {given!r} cannot be split as a shell would: {error}") from None
