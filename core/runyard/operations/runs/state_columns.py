"""Converts a state to the columns of a flow run or a task run, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from runyard.base import texts
from runyard.domain.states import STATE_TYPES, State
from runyard.operations.json_columns import to_json

if TYPE_CHECKING:
    from runyard.store.database import Row


# The columns that change when a run enters a state, in `flow_runs` and `task_runs`.
STATE_COLUMNS = (
    "updated",
    "state_id",
    "state_type",
    "state_name",
    "state_timestamp",
    "state",
    "run_count",
    "expected_start_time",
    "next_scheduled_start_time",
    "start_time",
    "end_time",
    "total_run_time",
)

SET_STATE_COLUMNS = ", ".join(f"{name} = :{name}" for name in STATE_COLUMNS)
TERMINAL_SQL = "('COMPLETED', 'FAILED', 'CANCELLED', 'CRASHED')"


def encode_state(state: State) -> str:
    """Encode a state for the `state` column."""
    return to_json(state.to_json())


def decode_state(text: str | None) -> State | None:
    """Decode the `state` column. None if it is null. See `state_of`."""
    if text is None:
        return None
    return State.from_json(texts.with_storable_keys(json.loads(text), text))


def state_of(row: Row) -> State | None:
    """The state of a run's row. If the state is unreadable, it is built from the other columns."""
    try:
        state = decode_state(row["state"])
        if state is not None and texts.is_too_deep(state.data, row["state"]):
            state.data = None
        return state
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        kind, name, moment, id = (row.get(f"state_{part}") for part in ("type", "name", "timestamp", "id"))
        if kind not in STATE_TYPES:
            return None
        return State(kind, name, "The rest of this state cannot be read.", None, moment, None, id)
