"""Which workers are online, by a clock that nobody sets: a wall clock that jumps makes none look lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.operations import lease_clock

if TYPE_CHECKING:
    from runyard.store.database import Transaction

# A worker counts as online until it has missed so many of its heartbeats.
MISSED_HEARTBEATS = 3
DEFAULT_HEARTBEAT_SECONDS = 30.0
_WINDOW = (
    f"{MISSED_HEARTBEATS} * 1000000 * coalesce(w.heartbeat_interval_seconds, {DEFAULT_HEARTBEAT_SECONDS})"
)
# SQL that is true for a worker `w` that is online, with the parameters of `present`. After a start of the
# machine its boot clock says nothing about earlier heartbeats, and the wall clock decides. A heartbeat of the
# future was made before a clock was set back.
ONLINE = f"""(w.stopped = 0 AND CASE
    WHEN w.beat_boot = :boot THEN w.beat BETWEEN :beat - {_WINDOW} AND :beat + {_WINDOW}
    ELSE w.last_heartbeat_time BETWEEN :now - {_WINDOW} AND :now + {_WINDOW} END)"""


def present(tx: Transaction) -> dict[str, Any]:
    """The parameters of `ONLINE`: `now` by the wall clock, and `beat` and `boot`; times in microseconds."""
    beat, boot = lease_clock.reading(tx)
    return {"now": lease_clock.wall(tx), "beat": beat, "boot": boot}
