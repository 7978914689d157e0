"""What a type of work pool has to say: how to start, find, follow, stop and remove one job.

Everything else (claims, leases, retries, cancelling, logs, recovery) is the worker's, and the same for all
types. A further type is one class with these methods, found by an entry point of the group `runyard.workers`
that is called like the type.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from runyard.base.errors import RunyardError

# The labels by which jobs are found again.
RUN_LABEL = "io.runyard.flow-run-id"
ATTEMPT_LABEL = "io.runyard.attempt"
POOL_LABEL = "io.runyard.work-pool"
API_PORT_LABEL = "io.runyard.api-port"
HOOKS_LABEL = "io.runyard.hooks"


class CannotStart(RunyardError):
    """A job could not be started: the image is missing, the engine refuses it. The text is for the user."""


class Unreachable(RunyardError):
    """The engine or the cluster does not answer; what runs there may go on."""


@dataclass(frozen=True)
class JobRequest:
    """One job to start.

    Args:
        name: of the flow run.
        job: the pool's job configuration, resolved for this run.
        command: what to start where the configuration names no command.
        env: the variables of every job, over which the configuration's `env` goes.
        labels: by which it is found again, and those of the configuration.
        say: tells of what takes long (an image that is pulled), for the run's logs.
        is_wanted: whether it is still to be started, for what waits with it; where it is not: CannotStart.
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
        code: its exit code; None where it is not known, since the job is gone.
        reason: in words, where the infrastructure knows more than the code says.
        started: whether its command was started at all.
    """

    code: int | None
    reason: str | None = None
    started: bool = True


@dataclass(frozen=True)
class FoundJob:
    """A job that is there: its id, its labels, whether it was ever started, and whether it has ended, as far
    as is known."""

    id: str
    labels: dict[str, str] = field(default_factory=dict)
    started: bool = True
    over: bool = False


class Infrastructure(Protocol):
    """Where jobs run. Each method may be called from any thread.

    All raise Unreachable when the engine does not answer. An attribute `host_address` may say at which
    address of this machine jobs with a network of their own find the API that the worker serves. A method
    `configure(pool, job)` is called before all others where there is one, with the name of the pool and its
    job configuration as its defaults make it.

    A worker that itself runs at the engine can be asked for there: `here()` says what names it, as JSON, or
    None; and `is_gone(here)`, called by other workers, whether it has ended for certain. It answers soon,
    and False in doubt. Without the two, only workers of one machine can tell that another one is gone.
    """

    def place(self) -> str:
        """What names this engine or cluster among all others."""
        ...

    def start(self, request: JobRequest) -> str:
        """Start a job; its id.

        Raises:
            CannotStart: with the reason for the user.
        """
        ...

    def find(self, labels: dict[str, str]) -> list[FoundJob]:
        """Our jobs that have all these labels, whether they still run or not."""
        ...

    def follow(
        self, job_id: str, since: float | None
    ) -> Iterator[tuple[str, bytes] | tuple[str, bytes, int]]:
        """What a job prints, as (`stdout` or `stderr`, bytes), until it ends or the connection breaks.

        A third part may be the moment at which it was printed, by the job's own clock, in microseconds since
        1970: each piece is a line then, or a part of one. `since` is by that clock too, and pieces of before
        are no harm.

        What the infrastructure itself tells of the job comes among it, a text at a time, as `info` or
        `warning`.

        Args:
            job_id: which.
            since: only what was printed after this moment, in seconds since 1970; None: all.
        """
        ...

    def wait(self, job_id: str) -> JobEnd:
        """Wait until a job has ended."""
        ...

    def stop(self, job_id: str, grace_seconds: float) -> None:
        """Ask a job to end, and kill it after `grace_seconds`; a job that is gone is no error."""
        ...

    def remove(self, job_id: str) -> None:
        """Remove what is left of a job that ended; one that is gone is no error."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


def command_words(given: Any) -> list[str]:
    """The words of a job's command: a list of them, or a text that is split as a shell would.

    Raises:
        CannotStart: its quotes do not match.
    """
    if not isinstance(given, str):
        return [str(part) for part in given or ()]
    try:
        return shlex.split(given)
    except ValueError as error:
        raise CannotStart(f"command: {given!r} cannot be split as a shell would: {error}") from None
