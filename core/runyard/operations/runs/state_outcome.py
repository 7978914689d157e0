"""What became of a proposed state."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from runyard.domain.states import (
    State,
)

if TYPE_CHECKING:
    pass


class Outcome(NamedTuple):
    """What became of a proposed state.

    Args:
        status: ACCEPT, REJECT, WAIT or ABORT.
        state: the state the run is in now.
        reason: why it is not the proposed one.
        delay_seconds: when to ask again, of a WAIT.
        written: a state was written.
    """

    status: str
    state: State
    reason: str | None = None
    delay_seconds: int = 0
    written: bool = False
