"""The deadlines of pauses, by the boot clock, so that a jump of the wall clock does not matter.

This module must not import pydantic, because every flow imports it at its start.
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
    """Store in a Paused state with a time limit the reading of the boot clock at its deadline.

    The duration is the difference of the state's own two times, which are by the same clock.
    """
    limit = state.state_details.get(_MOMENT)
    if limit:
        reading, boot = lease_clock.reading(tx)
        left = clock.to_us(clock.parse_time(limit)) - state.timestamp_us
        state.state_details[_READING] = {"until": reading + left, "boot": boot}


def is_over(tx: Transaction, details: dict[str, Any], ahead_us: int = 0) -> bool:
    """Whether the deadline of a pause has passed. After a reboot the wall clock decides.

    Args:
        details: the details of the state. Without a time limit the result is false.
        ahead_us: add this time to the present time.
    """
    limit, noted = details.get(_MOMENT), details.get(_READING)
    if not limit:
        return False
    if noted:
        reading, boot = lease_clock.reading(tx)
        if noted["boot"] == boot:
            return bool(reading + ahead_us > noted["until"])
    return clock.to_us(clock.parse_time(limit)) < lease_clock.wall(tx) + ahead_us
