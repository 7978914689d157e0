"""States of flow runs and task runs: their types, names and constructors."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from runyard.base import clock, ids, kept_values, texts
from runyard.base.callers import is_awaited
from runyard.base.errors import (
    MissingResult,
    RunCancelled,
    RunCrashed,
    RunFailed,
    RunPaused,
    RunUnfinished,
)
from runyard.base.state_details import StateDetails
from runyard.base.thread_calls import in_thread
from runyard.domain.state_types import CANCELLED as CANCELLED
from runyard.domain.state_types import CANCELLING as CANCELLING
from runyard.domain.state_types import COMPLETED as COMPLETED
from runyard.domain.state_types import CRASHED as CRASHED
from runyard.domain.state_types import EXECUTING as EXECUTING
from runyard.domain.state_types import FAILED as FAILED
from runyard.domain.state_types import PAUSED as PAUSED
from runyard.domain.state_types import PENDING as PENDING
from runyard.domain.state_types import RUNNING as RUNNING
from runyard.domain.state_types import SCHEDULED as SCHEDULED
from runyard.domain.state_types import STATE_TYPES as STATE_TYPES
from runyard.domain.state_types import TERMINAL as TERMINAL
from runyard.domain.state_types import TYPES
from runyard.domain.state_types import StateType as StateType

if TYPE_CHECKING:
    from datetime import datetime
    from typing import Generic

    from typing_extensions import TypeVar

    R = TypeVar("R", default=Any, covariant=True)
else:
    from runyard.base.subscripts import Generic

    R = None

_MISSING: Any = object()
_PICKLED = ("_id", "_value", "data", "message", "name", "state_details", "timestamp_us", "type")


class State(Generic[R]):
    """One state of a run.

    Args:
        type: one of STATE_TYPES.
        name: the displayed name, such as `Late` or `TimedOut`; the default is the name of the type.
        message: the reason, for users.
        data: the stored reference to the result, or the stored description of the exception; JSON data.
        timestamp: microseconds since 1970 UTC, or an aware datetime; the default is now.
        state_details: further details, named as in the REST reference.
        id: a UUID; the default is a new one.
        value: the result or the exception itself, if it is in this process.
    """

    __slots__ = ("_details", "_id", "_value", "data", "message", "name", "timestamp_us", "type")

    def __init__(
        self,
        type: str,
        name: str | None = None,
        message: str | None = None,
        data: Any = None,
        timestamp: int | datetime | None = None,
        state_details: dict[str, Any] | None = None,
        id: str | None = None,
        value: Any = _MISSING,
    ) -> None:
        try:
            self.type = TYPES[type]
        except KeyError:
            raise ValueError(f"unknown state type {type!r}; use one of {', '.join(STATE_TYPES)}") from None
        # Texts of the user's code are limited in size, and converted to a form that every database accepts.
        self.name = texts.name(name) if name else _DEFAULT_NAMES[type]
        self.message = None if message is None else texts.message(message)
        self.data = data
        if timestamp is None:
            timestamp = clock.now_us()
        self.timestamp_us: int = timestamp if isinstance(timestamp, int) else clock.to_us(timestamp)
        self._details = StateDetails(state_details) if state_details else None
        self._id = id
        self._value = value

    @property
    def id(self) -> str:
        """The state's UUID, created on first use."""
        if self._id is None:
            self._id = ids.new_id()
        return self._id

    @property
    def has_details(self) -> bool:
        """Whether it has further details."""
        return bool(self._details)

    @property
    def state_details(self) -> StateDetails:
        """Further details, created on first use: most states have none."""
        if self._details is None:
            self._details = StateDetails()
        return self._details

    @state_details.setter
    def state_details(self, details: dict[str, Any]) -> None:
        self._details = StateDetails(details)

    @property
    def belongs_to_run(self) -> bool:
        """Whether it is the state of a run, not one that the user's code created."""
        return "task_run_id" in self.state_details or "flow_run_id" in self.state_details

    @property
    def has_value(self) -> bool:
        """Whether the result or exception is in this process."""
        return self._value is not _MISSING

    def __getstate__(self) -> dict[str, Any]:
        """The fields to pickle; without a value the marker object is left out, because it is unique."""
        return {name: getattr(self, name) for name in _PICKLED if name != "_value" or self.has_value}

    def __setstate__(self, fields: dict[str, Any]) -> None:
        self._value = _MISSING
        for name, field in fields.items():
            setattr(self, name, field)

    @property
    def timestamp(self) -> datetime:
        """When the run entered the state, as an aware UTC datetime."""
        return clock.from_us(self.timestamp_us)

    def is_scheduled(self) -> bool:
        """Whether the run waits for its scheduled time."""
        return self.type == SCHEDULED

    def is_pending(self) -> bool:
        """Whether the run was claimed and has not started yet."""
        return self.type == PENDING

    def is_running(self) -> bool:
        """Whether the run's code is executing."""
        return self.type == RUNNING

    def is_paused(self) -> bool:
        """Whether the run waits to be resumed."""
        return self.type == PAUSED

    def is_cancelling(self) -> bool:
        """Whether the run is being cancelled."""
        return self.type == CANCELLING

    def is_cancelled(self) -> bool:
        """Whether the run was cancelled."""
        return self.type == CANCELLED

    def is_completed(self) -> bool:
        """Whether the run succeeded."""
        return self.type == COMPLETED

    def is_failed(self) -> bool:
        """Whether the run's code failed."""
        return self.type == FAILED

    def is_crashed(self) -> bool:
        """Whether the process that executed the run was lost."""
        return self.type == CRASHED

    def is_final(self) -> bool:
        """Whether the run has ended."""
        return self.type in TERMINAL

    def result(self, raise_on_failure: bool = True) -> R:
        """The return value of the run; async code may await the call.

        Args:
            raise_on_failure: if the run did not succeed, raise its exception; False returns the exception.

        Raises:
            MissingResult: the run succeeded, but its value was not stored.
            Exception: the exception of the run; RunFailed (RunCrashed, RunCancelled) if that exception
                is not in this process.
        """
        if is_awaited(sys._getframe(1)):
            return self.aresult(raise_on_failure)  # type: ignore[return-value]  # the caller awaits it
        if self.type == COMPLETED:
            if self._value is _MISSING:
                if not isinstance(self.data, dict) or "storage_key" not in self.data:
                    raise MissingResult("the run's result was not stored; use persist_result=True")
                self._value = kept_values.read(self.data)
            return self._value
        if not raise_on_failure and isinstance(self._value, _SEVERAL):
            return self._value  # type: ignore[return-value]  # the states that determined this one
        failure: Any = self._value if isinstance(self._value, BaseException) else self._failure()
        if not raise_on_failure:
            return failure  # as requested, instead of raising it
        try:
            raise failure
        finally:
            del failure, self  # the exception keeps this frame alive: avoid a cycle

    async def aresult(self, raise_on_failure: bool = True) -> Any:
        """As `result`, for async code: reading a stored result does not block the event loop."""
        return await in_thread(lambda: self.result(raise_on_failure))

    def _failure(self) -> BaseException:
        if isinstance(self._value, State):
            return _exception_of(self._value)
        if isinstance(self._value, _SEVERAL[1:]):
            states = [item for item in self._value if isinstance(item, State)]
            worst = [item for item in states if item.type in (FAILED, CRASHED)] or states
            for item in worst:
                if item.type != COMPLETED:
                    return _exception_of(item)
        kind = {CRASHED: RunCrashed, CANCELLED: RunCancelled}.get(self.type, RunFailed)
        if self.type == PAUSED:
            return RunPaused(f"the run is {self.name}, it has no result yet")
        if self.type not in TERMINAL:
            return RunUnfinished(f"the run has not ended, it is {self.name}")
        return kind(self.message or self.name)

    def to_json(self) -> dict[str, Any]:
        """The state as JSON data of the REST API."""
        return {
            "id": self.id,
            "type": self.type,
            "name": self.name,
            "timestamp": clock.format_time(self.timestamp),
            "message": self.message,
            "data": self.data,
            "state_details": self.state_details,
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> State:
        """The state from the data of `to_json`; the default of `timestamp` is now."""
        moment = body.get("timestamp")
        return cls(
            body["type"],
            body.get("name"),
            body.get("message"),
            body.get("data"),
            clock.parse_time(moment) if isinstance(moment, str) else moment,
            dict(body.get("state_details") or {}),
            body.get("id"),
        )

    def model_dump(self, mode: str = "python", **_options: Any) -> dict[str, Any]:
        """As `to_json`, for code written for Prefect; without `mode="json"` the timestamp is a datetime."""
        body = self.to_json()
        return body if mode == "json" else {**body, "timestamp": self.timestamp}

    def model_dump_json(self, **_options: Any) -> str:
        """`to_json` as text."""
        return json.dumps(self.to_json())

    def model_copy(self, *, update: dict[str, Any] | None = None, deep: bool = False) -> State:
        """A copy with the given fields changed."""
        fields = {name: getattr(self, name) for name in _FIELDS} | {"id": self._id, "value": self._value}
        return State(**{**fields, **(update or {})})

    def __repr__(self) -> str:
        text = f"{self.name}({self.message!r})" if self.message else f"{self.name}()"
        return text if self.name == _DEFAULT_NAMES[self.type] else f"{text} type={self.type}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        return (self.type, self.name, self.message) == (other.type, other.name, other.message)

    def __hash__(self) -> int:
        return hash((self.type, self.name, self.message))


_FIELDS = ("type", "name", "message", "data", "timestamp", "state_details")

# The types of a value that consists of the states that determined the final state of a run.
_SEVERAL = (State, list, tuple, set, frozenset)


def _exception_of(state: State) -> BaseException:
    failure: BaseException = state.result(raise_on_failure=False)
    return failure if isinstance(failure, BaseException) else state._failure()


_DEFAULT_NAMES = {kind: kind.capitalize() for kind in STATE_TYPES}


def _scheduled(name: str, moment: datetime | None, fields: dict[str, Any]) -> State:
    details = dict(fields.pop("state_details", None) or {})
    details["scheduled_time"] = clock.format_time(moment or clock.now())
    return State(SCHEDULED, name, state_details=details, **fields)


def Scheduled(scheduled_time: datetime | None = None, **fields: Any) -> State:
    """The run waits for `scheduled_time`, an aware datetime; the default is now."""
    return _scheduled(fields.pop("name", "Scheduled"), scheduled_time, fields)


def Late(scheduled_time: datetime | None = None, **fields: Any) -> State:
    """The run was due at `scheduled_time` and has not been claimed."""
    return _scheduled("Late", scheduled_time, fields)


def AwaitingRetry(scheduled_time: datetime | None = None, **fields: Any) -> State:
    """The run will be retried at `scheduled_time`."""
    return _scheduled("AwaitingRetry", scheduled_time, fields)


def AwaitingConcurrencySlot(scheduled_time: datetime | None = None, **fields: Any) -> State:
    """The run waits for a slot of a concurrency limit."""
    return _scheduled("AwaitingConcurrencySlot", scheduled_time, fields)


def Resuming(scheduled_time: datetime | None = None, **fields: Any) -> State:
    """The suspended run resumes at `scheduled_time`."""
    return _scheduled("Resuming", scheduled_time, fields)


def Pending(**fields: Any) -> State:
    """The run was claimed and is about to start."""
    return State(PENDING, **fields)


def Running(**fields: Any) -> State:
    """The run's code is executing."""
    return State(RUNNING, **fields)


def Retrying(**fields: Any) -> State:
    """The run's code is executing again after a failure."""
    return State(RUNNING, "Retrying", **fields)


def Paused(
    timeout_seconds: float | None = None,
    pause_expiration_time: datetime | None = None,
    reschedule: bool = False,
    pause_key: str | None = None,
    **fields: Any,
) -> State:
    """The run waits to be resumed: in its process, or with `reschedule` after its process has ended.

    Args:
        timeout_seconds: the maximum duration; alternatively give the time as `pause_expiration_time`.
        pause_key: identifies the pause; a run pauses only once with the same key.
    """
    details = dict(fields.pop("state_details", None) or {})
    if timeout_seconds is not None:
        pause_expiration_time = clock.from_us(clock.now_us() + round(timeout_seconds * 1e6))
    if pause_expiration_time is not None:
        details["pause_timeout"] = clock.format_time(pause_expiration_time)
    if reschedule:
        details["pause_reschedule"] = True
    if pause_key is not None:
        details["pause_key"] = pause_key
    return State(PAUSED, fields.pop("name", None), state_details=details, **fields)


def Suspended(timeout_seconds: float | None = None, pause_key: str | None = None, **fields: Any) -> State:
    """The run waits to be resumed, and its process has ended."""
    fields.setdefault("name", "Suspended")
    return Paused(timeout_seconds, reschedule=True, pause_key=pause_key, **fields)


def Cancelling(**fields: Any) -> State:
    """The run is being cancelled."""
    return State(CANCELLING, **fields)


def Cancelled(**fields: Any) -> State:
    """The run was cancelled."""
    return State(CANCELLED, **fields)


def Completed(**fields: Any) -> State:
    """The run succeeded; `data` is the result."""
    fields.setdefault("value", fields.get("data"))
    return State(COMPLETED, fields.pop("name", None), **fields)


def Cached(**fields: Any) -> State:
    """The run succeeded without executing: its result was stored already."""
    return State(COMPLETED, "Cached", **fields)


def Failed(**fields: Any) -> State:
    """The run's code failed; `data` may be the exception."""
    if isinstance(fields.get("data"), BaseException):
        fields["value"] = fields.pop("data")
    return State(FAILED, fields.pop("name", None), **fields)


def TimedOut(**fields: Any) -> State:
    """The run exceeded its timeout."""
    return State(FAILED, "TimedOut", **fields)


def Crashed(**fields: Any) -> State:
    """The process that executed the run was lost."""
    return State(CRASHED, fields.pop("name", None), **fields)


def InfrastructurePending(**fields: Any) -> State:
    """The infrastructure for the run is being created."""
    return State(PENDING, "InfrastructurePending", **fields)


def Submitting(**fields: Any) -> State:
    """The run is being submitted to its infrastructure."""
    return State(PENDING, "Submitting", **fields)


def get_state_result(state: State, raise_on_failure: bool = True) -> Any:
    """The value of a state; see `State.result`."""
    return state.result(raise_on_failure)


def get_state_exception(state: State) -> BaseException:
    """The exception of a state that did not succeed.

    Raises:
        ValueError: the state is Completed or not final.
    """
    if state.type in (FAILED, CRASHED, CANCELLED):
        return _exception_of(state)
    raise ValueError(f"a state of type {state.type} has no exception")


def raise_state_exception(state: State) -> None:
    """Raise the exception of a state that is Failed, Crashed or Cancelled."""
    if state.type in (FAILED, CRASHED, CANCELLED):
        raise get_state_exception(state)


def is_state_iterable(value: Any) -> bool:
    """Whether a value is a non-empty list, tuple or set of states."""
    several = isinstance(value, (list, tuple, set, frozenset)) and bool(value)
    return several and all(isinstance(item, State) for item in value)
