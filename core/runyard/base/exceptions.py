"""The exceptions that users' flows meet, with Prefect's names; the tree itself is in `errors.py`.

Signal (BaseException)      ends a run from outside; `except Exception` does not catch it
├── Abort                   the orchestrator refused to let this run continue
├── Pause                   the run is to be suspended: its process ends until the run is resumed
└── TerminationSignal       the process received SIGTERM
"""

from __future__ import annotations

from typing import Any

from runyard.base.errors import (
    Conflict,
    EntrypointError,
    InvalidInput,
    MissingExtra,
    MissingResult,
    NotAllowed,
    NotFound,
    ParameterError,
    RunCancelled,
    RunCrashed,
    RunFailed,
    RunPaused,
    RunUnfinished,
    RunyardError,
    SettingError,
    StaleAttempt,
)

__all__ = [
    "Abort",
    "CancelledRun",
    "Conflict",
    "CrashedRun",
    "EntrypointError",
    "FailedRun",
    "FlowPauseTimeout",
    "FlowRunWaitTimeout",
    "InvalidInput",
    "MappingLengthMismatch",
    "MappingMissingIterable",
    "MissingContextError",
    "MissingResult",
    "NotFound",
    "NotPausedError",
    "ObjectNotFound",
    "ParameterError",
    "ParameterTypeError",
    "Pause",
    "PausedRun",
    "RunCancelled",
    "RunCrashed",
    "RunFailed",
    "RunNameError",
    "RunPaused",
    "RunTimedOut",
    "RunUnfinished",
    "RunyardError",
    "Signal",
    "StaleAttempt",
    "TerminationSignal",
    "UpstreamTaskError",
]

# Prefect's names of the same classes.
FailedRun = RunFailed
CrashedRun = RunCrashed
CancelledRun = RunCancelled
PausedRun = RunPaused
UnfinishedRun = RunUnfinished
ObjectNotFound = MissingProfileError = NotFound
ObjectAlreadyExists = Conflict
ObjectLimitReached = ProtectedBlockError = NotAllowed
ObjectUnsupported = BlockMissingCapabilities = InvalidRepositoryURLError = InvalidInput
PrefectImportError = MissingExtra
ParameterTypeError = ParameterBindError = SignatureMismatchError = ParameterError
PrefectException = RunyardError
PrefectHTTPStatusError = RunyardError
ConfigurationError = ProfileSettingsValidationError = SettingError
MissingFlowError = UnspecifiedFlowError = ScriptError = EntrypointError
ValidationError = InvalidInput


class MissingContextError(RunyardError, RuntimeError):
    """A function that needs a run was called outside of one."""


class MappingLengthMismatch(RunyardError, ValueError):
    """The arguments of `.map()` have different lengths."""


class MappingMissingIterable(RunyardError, ValueError):
    """None of the arguments of `.map()` is iterable."""


class RunNameError(RunyardError, ValueError):
    """The template of a run's name is invalid."""


class InvalidNameError(RunyardError, ValueError):
    """The name of a flow is invalid."""


class ReservedArgumentError(RunyardError, TypeError):
    """A flow or task has a parameter with the name of an argument of every call."""


class UpstreamTaskError(RunyardError):
    """A task was not started because a task that it depends on did not complete."""


class HashError(RunyardError, ValueError):
    """A value has no cache key."""


class FlowPauseTimeout(RunyardError):
    """A paused run was not resumed in time."""


class FlowRunWaitTimeout(RunyardError, TimeoutError):
    """A run did not finish within the time for which the caller waited."""


class NotPausedError(RunyardError):
    """The run to resume is not paused."""


class RunTimedOut(TimeoutError):
    """The timeout of the engine, as opposed to a TimeoutError from user code.

    `limit` is the call whose time limit expired, because the limit of a flow also interrupts its tasks.
    `is_past` is true once that call has ended.
    """

    limit: object = None
    is_past: bool = False


class SerializationError(RunyardError, ValueError):
    """A value cannot be serialized or deserialized."""


class UnreadableResult(SerializationError):
    """A stored result exists but cannot be read here; the engine runs its task again."""


class InfrastructureError(RunyardError):
    """The infrastructure of a run did not do what it was asked."""


class InfrastructureNotFound(InfrastructureError):
    """The infrastructure of a run does not exist any more."""


class InfrastructureNotAvailable(InfrastructureError):
    """The infrastructure of a run cannot be reached from here."""


class Signal(BaseException):
    """Ends a run from outside."""


PrefectSignal = ExternalSignal = Signal


class Abort(Signal):
    """The orchestrator refused to let this run continue; its process ends without an error."""


class Pause(Signal):
    """The run is to be suspended.

    Args:
        body: the body of the operation `pause_flow_run`.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__("the run is suspended")
        self.body = body


class TerminationSignal(Signal):
    """The process received SIGTERM."""


def exception_traceback(exc: Exception) -> str:
    """The traceback of an exception as text."""
    from traceback import TracebackException

    return "".join(TracebackException.from_exception(exc).format())
