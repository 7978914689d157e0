"""Until when a pause lasts, by a clock that nobody sets: a wall clock that jumps ends none too early or late.

On the start-up path of every flow: nothing here may import pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.operations import lease_clock

if TYPE_CHECKING:
    from runyard.domain.states import State
    from runyard.store.database import Transaction

_MOMENT = "pause_timeout"
_READING = "pause_clock"


def note(tx: Transaction, state: State) -> None:
    """Keep in a pause with a time limit what the machine's clock will say then.

    How long it lasts is told by its own times, which are both of the clock of whoever proposes it.
    """
    limit = state.state_details.get(_MOMENT)
    if limit:
        reading, boot = lease_clock.reading(tx)
        left = clock.to_us(clock.parse_time(limit)) - state.timestamp_us
        state.state_details[_READING] = {"until": reading + left, "boot": boot}


def is_over(tx: Transaction, details: dict[str, Any], ahead_us: int = 0) -> bool:
    """Whether a pause has lasted as long as it may; after a start of the machine the wall clock decides.

    Args:
        details: of the state; without a time limit it is never over.
        ahead_us: judge as if it was so much later.
    """
    limit, noted = details.get(_MOMENT), details.get(_READING)
    if not limit:
        return False
    if noted:
        reading, boot = lease_clock.reading(tx)
        if noted["boot"] == boot:
            return bool(reading + ahead_us > noted["until"])
    return clock.to_us(clock.parse_time(limit)) < lease_clock.wall(tx) + ahead_us
