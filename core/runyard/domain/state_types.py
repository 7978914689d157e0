"""The types of states."""

from __future__ import annotations

from enum import StrEnum

SCHEDULED = "SCHEDULED"
PENDING = "PENDING"
RUNNING = "RUNNING"
PAUSED = "PAUSED"
CANCELLING = "CANCELLING"
CANCELLED = "CANCELLED"
COMPLETED = "COMPLETED"
FAILED = "FAILED"
CRASHED = "CRASHED"


class StateType(StrEnum):
    """The types of states, equal to the texts."""

    # As of the texts: one of them finds the other in sets and dicts, without a call into Python.
    __hash__ = str.__hash__
    SCHEDULED = SCHEDULED
    PENDING = PENDING
    RUNNING = RUNNING
    PAUSED = PAUSED
    CANCELLING = CANCELLING
    CANCELLED = CANCELLED
    COMPLETED = COMPLETED
    FAILED = FAILED
    CRASHED = CRASHED


TYPES = {kind.value: kind for kind in StateType}
STATE_TYPES = tuple(TYPES)
TERMINAL = frozenset((COMPLETED, FAILED, CANCELLED, CRASHED))
EXECUTING = frozenset((PENDING, RUNNING, CANCELLING))
