"""The exceptions that users' flows meet, by the names of Prefect; the tree itself is `errors.py`.

Signal (BaseException)      ends a run from outside; `except Exception` does not swallow it
├── Abort                   the orchestrator refused that this run goes on
├── Pause                   the run is to be suspended: its process ends, until it is resumed
└── TerminationSignal       the process was asked to stop (SIGTERM)
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

# The names under which Prefect has the same.
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
    """Something that needs a run was used outside of one."""


class MappingLengthMismatch(RunyardError, ValueError):
    """The arguments of `.map()` have different lengths."""


class MappingMissingIterable(RunyardError, ValueError):
    """No argument of `.map()` can be iterated."""


class RunNameError(RunyardError, ValueError):
    """The name of a run cannot be made from its template."""


class InvalidNameError(RunyardError, ValueError):
    """A flow cannot have this name."""


class ReservedArgumentError(RunyardError, TypeError):
    """A flow or a task has an argument that every call of one has."""


class UpstreamTaskError(RunyardError):
    """A task was not started because one that it needs did not complete."""


class HashError(RunyardError, ValueError):
    """No cache key can be made of a value."""


class FlowPauseTimeout(RunyardError):
    """A run was paused and nobody resumed it in time."""


class FlowRunWaitTimeout(RunyardError, TimeoutError):
    """A run that was waited for was not over in time."""


class NotPausedError(RunyardError):
    """A run that is not paused was to be resumed."""


class RunTimedOut(TimeoutError):
    """The engine's own timeout, told apart from a TimeoutError that the user's code raised.

    `limit` is the call whose time was over, since the limit of a flow interrupts its tasks as well; `is_past`
    says that this call has ended by it.
    """

    limit: object = None
    is_past: bool = False


class SerializationError(RunyardError, ValueError):
    """A value cannot be written, or read again."""


class UnreadableResult(SerializationError):
    """A kept result is there, but cannot be read here; the engine runs its task again."""


class InfrastructureError(RunyardError):
    """What executes a run does not do what it was asked."""


class InfrastructureNotFound(InfrastructureError):
    """What executed a run is not there any more."""


class InfrastructureNotAvailable(InfrastructureError):
    """What executes a run cannot be reached from here."""


class Signal(BaseException):
    """Ends a run from outside."""


PrefectSignal = ExternalSignal = Signal


class Abort(Signal):
    """The orchestrator refused that this run goes on; its process ends quietly."""


class Pause(Signal):
    """The run is to be suspended.

    Args:
        body: of the operation `pause_flow_run`.
    """

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__("the run is suspended")
        self.body = body


class TerminationSignal(Signal):
    """The process was asked to stop."""


def exception_traceback(exc: Exception) -> str:
    """The traceback of an exception as text."""
    from traceback import TracebackException

    return "".join(TracebackException.from_exception(exc).format())
