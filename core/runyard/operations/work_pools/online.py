"""Which workers are online. The boot clock decides, so a jump of the wall clock does not matter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runyard.operations import lease_clock

if TYPE_CHECKING:
    from runyard.store.database import Transaction

# A worker is offline after it has missed this many heartbeats.
MISSED_HEARTBEATS = 3
DEFAULT_HEARTBEAT_SECONDS = 30.0
# A queue is ready if a worker polled it within this time.
READY_SECONDS = 60
_WINDOW = (
    f"{MISSED_HEARTBEATS} * 1000000 * coalesce(w.heartbeat_interval_seconds, {DEFAULT_HEARTBEAT_SECONDS})"
)
# SQL that is true if the worker `w` is online. `present` gives its parameters. After a reboot the boot clock
# cannot be compared with earlier heartbeats, so the wall clock decides. A heartbeat in the future was written
# before a clock was set back.
ONLINE = f"""(w.stopped = 0 AND CASE
    WHEN w.beat_boot = :boot THEN w.beat BETWEEN :beat - {_WINDOW} AND :beat + {_WINDOW}
    ELSE w.last_heartbeat_time BETWEEN :now - {_WINDOW} AND :now + {_WINDOW} END)"""


def present(tx: Transaction) -> dict[str, Any]:
    """The parameters of `ONLINE`: `now` (wall clock), `beat` and `boot` (boot clock), in microseconds."""
    beat, boot = lease_clock.reading(tx)
    return {"now": lease_clock.wall(tx), "beat": beat, "boot": boot}
