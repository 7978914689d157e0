"""The names of `prefect.states` that scripts use: our states, and Prefect's helper functions."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from typing import TYPE_CHECKING, Any

from runyard.base.syncing import also_awaited
from runyard.client.schemas.actions import StateCreate
from runyard.domain import states
from runyard.domain.states import CRASHED, FAILED, TERMINAL, State, StateType
from runyard.engine.outcome import crash_message, state_of_value
from runyard.engine.resolve import to_states

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from runyard.client.schemas.actions import StateCreate


class StateGroup:
    """Counts several states by type.

    Args:
        states: the states of runs that belong together.
    """

    def __init__(self, states: Iterable[State]) -> None:
        self.states = list(states)
        self.type_counts = Counter(StateType(state.type) for state in self.states)
        self.total_count = len(self.states)
        self.cancelled_count = self.type_counts[StateType.CANCELLED]
        self.paused_count = self.type_counts[StateType.PAUSED]
        self.fail_count = self.type_counts[StateType.FAILED] + self.type_counts[StateType.CRASHED]
        self.final_count = sum(state.type in TERMINAL for state in self.states)
        self.not_final_count = self.total_count - self.final_count

    def all_completed(self) -> bool:
        """Whether every run succeeded."""
        return self.type_counts[StateType.COMPLETED] == self.total_count

    def any_cancelled(self) -> bool:
        """Whether a run was cancelled."""
        return self.cancelled_count > 0

    def any_failed(self) -> bool:
        """Whether a run failed or crashed."""
        return self.fail_count > 0

    def any_paused(self) -> bool:
        """Whether a run is paused."""
        return self.paused_count > 0

    def all_final(self) -> bool:
        """Whether every run has a final state."""
        return self.not_final_count == 0

    def counts_message(self) -> str:
        """Such as `total=3, 'COMPLETED'=2, 'FAILED'=1`."""
        open_ones = [f"not_final={self.not_final_count}"] if self.not_final_count else []
        counts = [f"{kind.value!r}={count}" for kind, count in self.type_counts.items()]
        return ", ".join([f"total={self.total_count}", *open_ones, *counts])

    def __repr__(self) -> str:
        return f"StateGroup<{self.counts_message()}>"


def format_exception(exc: BaseException, tb: TracebackType | None = None) -> str:
    """`ValueError: message`; with a traceback, also the traceback."""
    if tb is not None:
        return "".join(traceback.format_exception(type(exc), exc, tb))
    return f"{type(exc).__name__}: {exc}"


async def exception_to_failed_state(exc: BaseException | None = None, **fields: Any) -> State:
    """The Failed state of an exception, by default of the one being handled.

    Args:
        exc: the exception.
        fields: more fields of the state; a `message` is put before the exception's.

    Raises:
        ValueError: no exception was given, and none is being handled.
    """
    error = exc or sys.exc_info()[1]
    if error is None:
        raise ValueError("no exception was given, and none is being handled")
    message = f"{fields.pop('message', None) or ''} {format_exception(error)}".strip()
    return State(FAILED, fields.pop("name", None), message, value=error, **_known(fields))


async def exception_to_crashed_state(exc: BaseException, **fields: Any) -> State:
    """The Crashed state of an exception that was raised outside user code."""
    return State(CRASHED, None, crash_message(exc), value=exc, **_known(fields))


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    # Prefect writes the exception into a result store with these; here the state contains it.
    return {name: value for name, value in fields.items() if name not in ("result_store", "write_result")}


get_state_exception = also_awaited(states.get_state_exception)
raise_state_exception = also_awaited(states.raise_state_exception)
get_state_result = also_awaited(states.get_state_result)


async def aget_state_exception(state: State) -> BaseException:
    """As `get_state_exception`, for async code."""
    return states.get_state_exception(state)


async def araise_state_exception(state: State) -> None:
    """As `raise_state_exception`, for async code."""
    states.raise_state_exception(state)


async def return_value_to_state(retval: Any, result_store: Any = None, **_options: Any) -> State:
    """The final state of a run that returned `retval`; the state contains the value."""
    return state_of_value(to_states(retval), "Flow")


def to_state_create(state: State) -> StateCreate:
    """The state as it is proposed to the API."""
    return StateCreate.of(state)


TERMINAL_STATES = TERMINAL


def __getattr__(name: str) -> Any:
    return getattr(states, name)
