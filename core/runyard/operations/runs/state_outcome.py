"""The outcome of a proposed state."""

from __future__ import annotations

from typing import NamedTuple

from runyard.domain.states import (
    State,
)


class Outcome(NamedTuple):
    """The outcome of a proposed state.

    Args:
        status: ACCEPT, REJECT, WAIT or ABORT.
        state: the present state of the run.
        reason: why the state differs from the proposed one.
        delay_seconds: for WAIT: after how many seconds to propose again.
        written: whether a state was written.
    """

    status: str
    state: State
    reason: str | None = None
    delay_seconds: int = 0
    written: bool = False
