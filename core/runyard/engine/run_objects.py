"""The in-memory records of executing runs, and the rows that the journal writes for them."""

from __future__ import annotations

import json
import time
from typing import Any, Protocol, TypeVar

from runyard.base import clock, ids
from runyard.domain.run_progress import RunProgress
from runyard.domain.states import COMPLETED, State
from runyard.operations.runs.run_records import FlowRunRow, FlowStateRow, TaskRunRow, TaskStateRow

S = TypeVar("S", TaskStateRow, FlowStateRow)

_last = (-1, "")


def time_text(microseconds: int) -> str:
    """As `clock.format_time`, but it formats each second only once: times usually increase."""
    global _last
    second, rest = divmod(microseconds, 1_000_000)
    known, text = _last
    if second != known:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _last = (second, text)
    return f"{text}.{rest:06d}Z"


# Created once: `json.dumps` with options creates an encoder for every call.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def to_json(value: Any) -> str:
    """Compact JSON."""
    return _encode(value)


def state_json(state: State, details: str) -> str:
    """The whole state as JSON text; `details` is the JSON text of its state_details."""
    message = "null" if state.message is None else to_json(state.message)
    data = "null" if state.data is None else to_json(state.data)
    name = f'"{state.name}"' if state.name.isalnum() else to_json(state.name)
    return (
        f'{{"id":"{state.id}","type":"{state.type}","name":{name},'
        f'"timestamp":"{time_text(state.timestamp_us)}","message":{message},"data":{data},'
        f'"state_details":{details}}}'
    )


class KeepsStates(Protocol):
    """The interface of a journal that records states."""

    def task_state(self, run: TaskRun, state: State) -> None:
        """Record a new state of a task run."""

    def flow_state(self, run: FlowRun, state: State) -> None:
        """Record a new state of a subflow run."""


class Run(RunProgress):
    """The base class of flow runs and task runs: id, name, tags, state and counters.

    Times are microseconds since 1970; hooks get `start_time`, `end_time` and `expected_start_time` as
    aware datetimes.
    """

    __slots__ = (
        "_details",
        "created_us",
        "id",
        "name",
        "tags",
    )

    def __init__(self, id: str, name: str, tags: Any) -> None:
        self.created_us = clock.now_us()
        super().__init__(self.created_us)
        self.id = id
        self.name = name
        self.tags = tags
        self._details = "{}"

    def let_go(self) -> None:
        """The run has ended: drop the exception from its state.

        The frames of the traceback refer to this record. Without this, the cycle keeps the arguments of
        every failed task in memory until the next garbage collection.
        """
        state = self.state
        if state.type != COMPLETED and state.has_value:
            self.state = State(
                state.type,
                state.name,
                state.message,
                state.data,
                state.timestamp_us,
                state.state_details,
                state.id,
            )

    @property
    def start_time(self) -> Any:
        """When the run first entered Running, or None."""
        return None if self.start_us is None else clock.from_us(self.start_us)

    @property
    def end_time(self) -> Any:
        """When the run ended, or None."""
        return None if self.end_us is None else clock.from_us(self.end_us)

    @property
    def expected_start_time(self) -> Any:
        """The scheduled start."""
        return clock.from_us(self.created_us)

    @property
    def state_type(self) -> str:
        """The type of its state."""
        return self.state.type

    @property
    def state_name(self) -> str:
        """The name of its state."""
        return self.state.name

    def _state_row(self, row: type[S], state: State) -> S:
        data = None if state.data is None else to_json(state.data)
        details = self._with(state.state_details) if state.has_details else self._details
        # `_value_`, because `value` is a property in Python.
        kind = state.type._value_
        return row(state.id, self.id, kind, state.name, state.timestamp_us, state.message, data, details)

    def _with(self, details: dict[str, Any]) -> str:
        return to_json({**json.loads(self._details), **details})

    def _state_columns(self, state: State) -> tuple[str, str, str, int, str]:
        details = self._with(state.state_details) if state.has_details else self._details
        return (state.id, state.type._value_, state.name, state.timestamp_us, state_json(state, details))


class TaskRun(Run):
    """One run of a task."""

    __slots__ = (
        "dynamic_key",
        "flow_run_id",
        "flow_run_run_count",
        "policy",
        "task_inputs",
        "task_key",
        "task_version",
    )

    def __init__(
        self,
        name: str,
        flow_run_id: str | None,
        task_key: str,
        dynamic_key: str,
        tags: Any = (),
        flow_run_run_count: int = 0,
        policy: str = "{}",
        task_version: str | None = None,
    ) -> None:
        super().__init__(ids.new_id(), name, tags)
        self.flow_run_id = flow_run_id
        self.task_key = task_key
        self.dynamic_key = dynamic_key
        self.flow_run_run_count = flow_run_run_count
        self.policy = policy
        self.task_version = task_version
        self.task_inputs: dict[str, Any] = {}
        place = f'"flow_run_id":"{flow_run_id}",' if flow_run_id else ""
        self._details = f'{{{place}"task_run_id":"{self.id}"}}'

    def move(self, state: State, journal: KeepsStates) -> None:
        """Enter a state and record it."""
        self.enter(state)
        journal.task_state(self, state)

    def state_row(self, state: State) -> TaskStateRow:
        """The row of its history for a state it entered."""
        return self._state_row(TaskStateRow, state)

    def row(self, now: int) -> TaskRunRow:
        """The run's row. Positional arguments take a third of the time; the type checker checks the order."""
        state = self.state
        return TaskRunRow(
            self.id, self.created_us, now, self.name, self.flow_run_id, self.task_key, self.dynamic_key,
            self.task_version, self.policy, to_json(sorted(self.tags)) if self.tags else "[]",
            to_json(self.task_inputs) if self.task_inputs else "{}", *self._state_columns(state),
            self.run_count, self.flow_run_run_count, self.created_us, self.next_scheduled_us,
            self.start_us, self.end_us, self.total_us,
        )  # fmt: skip


class FlowRun(Run):
    """One run of a flow.

    Args:
        id: its id.
        name: its name.
        flow_name: the name of its flow, which identifies the flow's row.
    """

    __slots__ = (
        "attempt",
        "context_json",
        "deployment_id",
        "flow_id",
        "flow_name",
        "flow_version",
        "parameters",
        "parameters_json",
        "parent_task_run_id",
        "pause_keys",
        "policy",
        "resumes",
        "retries_used",
        "root_flow_run_id",
        "stored",
    )

    def __init__(self, id: str, name: str, flow_name: str, tags: Any = ()) -> None:
        super().__init__(id, name, tags)
        self.flow_name = flow_name
        self.flow_id: str | None = None
        self.flow_version: str | None = None
        self.deployment_id: str | None = None
        self.parent_task_run_id: str | None = None
        self.root_flow_run_id: str | None = None
        self.attempt: int | None = None
        # Whether the run was stored before this process started it.
        self.stored = False
        # How many of its retries have started, in this process and before.
        self.retries_used = 0
        # How often it was suspended and resumed, and the keys of the pauses it has passed.
        self.resumes = 0
        self.pause_keys: set[str] = set()
        self.parameters: dict[str, Any] = {}
        self.parameters_json = "{}"
        # The data that restores the parameters, see `engine.recording`.
        self.context_json = "{}"
        self.policy = "{}"
        self._details = f'{{"flow_run_id":"{id}"}}'

    def move(self, state: State, journal: KeepsStates) -> None:
        """Enter a state and record it; only for subflows, whose states need no permission of the rules."""
        self.enter(state)
        journal.flow_state(self, state)

    def state_row(self, state: State) -> FlowStateRow:
        """The row of its history for a state it entered."""
        return self._state_row(FlowStateRow, state)

    def row(self, now: int) -> FlowRunRow:
        """The run's row, with positional arguments as in `TaskRun.row`."""
        state = self.state
        return FlowRunRow(
            self.id, self.created_us, now, self.name, self.flow_name, self.flow_version,
            self.parameters_json, self.context_json, self.policy,
            to_json(sorted(self.tags)) if self.tags else "[]", self.parent_task_run_id,
            self.root_flow_run_id, *self._state_columns(state), self.run_count, self.created_us,
            self.next_scheduled_us, self.start_us, self.end_us, self.total_us,
        )  # fmt: skip
