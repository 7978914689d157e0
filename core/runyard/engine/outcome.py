"""The final state of a run, from its return value or its exception."""

from __future__ import annotations

from typing import Any

from runyard.base.exceptions import TerminationSignal
from runyard.base.redaction import redact
from runyard.base.tracebacks import describe as describe
from runyard.base.tracebacks import shown as shown
from runyard.base.tracebacks import without_engine
from runyard.domain.states import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    TERMINAL,
    State,
)


def state_of_value(value: Any, kind: str) -> State:
    """The final state of a run that returned `value`, in which futures are already replaced by states.

    Args:
        value: a state that the user created becomes the run's state (Cancelling becomes Cancelled). For a
            flow, the state of another run, or a list, tuple or set of states, determines the final state,
            and is its result. A task that returns the state of another run enters the same state.
            Any other value is the result of a completed run.
        kind: `Flow` or `Task`.
    """
    if isinstance(value, State):
        if value.type == CANCELLING and not value.belongs_to_run:
            # The run's code has ended: nothing is left to stop.
            return State(CANCELLED, message=redact(value.message) if value.message else None)
        if value.type not in TERMINAL and value.type != PAUSED:
            return _together([value], value)
        return _own(value) if kind == "Task" or not value.belongs_to_run else _together([value], value)
    several = isinstance(value, (list, tuple, set, frozenset))
    if several and value and all(isinstance(item, State) for item in value):
        return _together(list(value), value)
    return State(COMPLETED, value=value)


def _own(state: State) -> State:
    """A copy of a returned state for the run: same type and name, new id and time."""
    fields: dict[str, Any] = {}
    if isinstance(state.data, dict) and "storage_key" in state.data:
        fields["data"] = state.data
    try:
        fields["value"] = state.result(raise_on_failure=False)
    except Exception:  # noqa: S110  # a state without a value stays one
        pass
    message = redact(state.message) if state.message else state.message
    return State(state.type, state.name, message, **fields)


def _together(states: list[State], value: Any) -> State:
    total = len(states)
    counts: dict[str, int] = {
        kind: sum(state.type == kind for state in states) for kind in {s.type for s in states}
    }
    failed = counts.get(FAILED, 0) + counts.get(CRASHED, 0)
    if counts.get(COMPLETED, 0) == total:
        return State(COMPLETED, message="All states completed.", value=value)
    if counts.get(CANCELLED):
        return State(CANCELLED, message=f"{counts[CANCELLED]}/{total} states cancelled.", value=value)
    if counts.get(PAUSED):
        return State(PAUSED, message=f"{counts[PAUSED]}/{total} states paused.", value=value)
    if failed:
        return State(FAILED, message=f"{failed}/{total} states failed.", value=value)
    open_ones = sum(state.type not in TERMINAL for state in states)
    return State(FAILED, message=f"{open_ones}/{total} states are not final.", value=value)


def state_of_error(error: BaseException, kind: str) -> State:
    """The state of a run whose code raised.

    Args:
        error: the exception; one that ends the process means Crashed.
        kind: `Flow` or `Task`.
    """
    without_engine(error)
    if isinstance(error, Exception):
        return State(FAILED, message=f"{kind} run encountered an exception: {describe(error)}", value=error)
    return State(CRASHED, message=crash_message(error), value=error)


def is_signal(error: BaseException) -> bool:
    """Whether a signal caused the exception; on an event loop a signal causes a CancelledError."""
    return (
        isinstance(error, (KeyboardInterrupt, TerminationSignal)) or type(error).__name__ == "CancelledError"
    )


def crash_message(error: BaseException) -> str:
    """The message of a run that was ended from outside of its code."""
    reasons = {
        "KeyboardInterrupt": "Execution was aborted by an interrupt signal.",
        "TerminationSignal": "Execution was aborted by a termination signal.",
        "SystemExit": "Execution was aborted by Python system exit call.",
        "CancelledError": "Execution was cancelled by the runtime environment.",
    }
    return reasons.get(type(error).__name__) or f"Execution was interrupted by {describe(error)}"


def timed_out(seconds: float, kind: str, error: BaseException) -> State:
    """The state of a run that took longer than its `timeout_seconds`."""
    return State(FAILED, "TimedOut", f"{kind} run exceeded timeout of {seconds:g} second(s)", value=error)
