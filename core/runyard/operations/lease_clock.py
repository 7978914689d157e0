"""The lease clock: it decides when leases expire, and stands still while no process can renew a lease.

The wall clocks of workers do not matter. The lease clock follows the clock of the PostgreSQL server, or, for
a database file, the boot clock of the machine. Each tick advances it by the time since the last tick, but by
no more than `longest_step_us`. So leases stay valid about as long as before after an outage of the database,
a jump of that clock or a sleep of the machine.

This module must not import pydantic, because every flow imports it at its start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard import settings
from runyard.base import clock, machine

if TYPE_CHECKING:
    from runyard.store.database import Row, Transaction

_SECOND = 1_000_000
# A tick within this time after the last tick does not write.
_TICK_US = _SECOND // 4
_LONGEST_STEP_SECONDS = 30.0
_LONGEST_LOOK_SECONDS = 5.0
# A process ends its run after this share of the takeover time without a renewed lease.
_PATIENCE_SHARE = 0.85
_POSTGRES_NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


def takeover_seconds() -> float:
    """How long after the last renewal of its lease another process takes over a run."""
    return float(max(settings.get("takeover_after_seconds"), settings.get("worker_lease_seconds")))


def patience_seconds() -> float:
    """How long a process may continue its run after the last time it certainly held the lease."""
    return takeover_seconds() * _PATIENCE_SHARE


def look_seconds() -> float:
    """The interval between renewals of leases, and between searches for lost runs."""
    return min(settings.get("worker_lease_seconds") / 3, takeover_seconds() / 6, _LONGEST_LOOK_SECONDS)


def longest_step_us() -> int:
    """The most by which one tick advances the clock: a share of the takeover time."""
    return int(min(_LONGEST_STEP_SECONDS, takeover_seconds() / 3) * _SECOND)


def wall(tx: Transaction) -> int:
    """The present time in microseconds since 1970, by the clock of the database server if one exists.

    It decides which runs are due, so that workers with different clocks agree.
    """
    if tx.dialect == "postgresql":
        return int(tx.value(_POSTGRES_NOW))
    return clock.now_us()


def reading(tx: Transaction) -> tuple[int, str]:
    """The raw clock in microseconds, outages included, and the id of the boot that it belongs to.

    The difference of two readings with the same boot id is the time between them.
    """
    return _raw(tx)


def now(tx: Transaction) -> int:
    """The time of the lease clock, in microseconds. It never decreases."""
    row = tx.one("SELECT value, seen, boot FROM lease_clock WHERE id = 1")
    if row is None:
        return clock.now_us()
    return int(row["value"]) + _step(tx, row)[0]


def tick(tx: Transaction, again: bool = False) -> int:
    """Advance the lease clock, and return its time.

    Args:
        again: the caller could not tick for a while. If no other process did so in this time, all leases
            are extended by the full takeover time.
    """
    lock = " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    row = tx.one(f"SELECT value, seen, boot FROM lease_clock WHERE id = 1{lock}")  # noqa: S608  # fixed
    if row is None:
        # The row does not exist yet, or another transaction updates it now.
        _begin(tx)
        return now(tx)
    step, seen, boot = _step(tx, row)
    value = int(row["value"]) + step
    gap = seen - int(row["seen"])
    if boot == row["boot"] and 0 <= gap < _TICK_US:
        return value
    tx.execute(
        "UPDATE lease_clock SET value = :value, seen = :seen, boot = :boot WHERE id = 1",
        {"value": value, "seen": seen, "boot": boot},
    )
    whole = int(takeover_seconds() * _SECOND)
    if again and (boot != row["boot"] or not 0 <= gap <= whole / 2):
        for table in ("leases", "background_tasks"):
            sql = f"UPDATE {table} SET expires = :whole WHERE expires < :whole"  # noqa: S608  # fixed
            tx.execute(sql, {"whole": value + whole})
    return value


def _begin(tx: Transaction) -> None:
    seen, boot = _raw(tx)
    tx.execute(
        """INSERT INTO lease_clock (id, value, seen, boot) VALUES (1, :value, :seen, :boot)
           ON CONFLICT (id) DO NOTHING""",
        {"value": clock.now_us(), "seen": seen, "boot": boot},
    )


def _step(tx: Transaction, row: Row) -> tuple[int, int, str]:
    """By how much to advance the clock since the last tick, and what to store: (step, seen, boot)."""
    seen, boot = _raw(tx)
    if boot != row["boot"]:
        return 0, seen, boot
    return min(max(seen - int(row["seen"]), 0), longest_step_us()), seen, boot


def _raw(tx: Transaction) -> tuple[int, str]:
    if tx.dialect == "postgresql":
        return int(tx.value(_POSTGRES_NOW)), ""
    return int(clock.boot_seconds() * _SECOND), machine.boot_id()
