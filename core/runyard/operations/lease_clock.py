"""The clock of leases: no wall clock of a worker counts, and it stands still while nobody can renew.

It goes by the clock of PostgreSQL's server, or, for a database file, by the machine's boot clock, which
nobody sets. Each look brings it forward by the time since the last one, but never by more than
`longest_step_us`: after an outage of the database, a jump of that clock or a sleep of the machine, leases
hold about as long as before.
On the start-up path of every flow: nothing here may import pydantic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard import settings
from runyard.base import clock, machine

if TYPE_CHECKING:
    from runyard.store.database import Row, Transaction

_SECOND = 1_000_000
# A look that finds the clock so young does not write.
_TICK_US = _SECOND // 4
_LONGEST_STEP_SECONDS = 30.0
_LONGEST_LOOK_SECONDS = 5.0
# Of the time without renewal after which others take over: then what executes is ended.
_PATIENCE_SHARE = 0.85
_POSTGRES_NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"


def takeover_seconds() -> float:
    """How long without a renewal somebody who executes a run is in doubt; after that others take it over."""
    return float(max(settings.get("takeover_after_seconds"), settings.get("worker_lease_seconds")))


def patience_seconds() -> float:
    """How long what executes may go on after its lease was held for certain."""
    return takeover_seconds() * _PATIENCE_SHARE


def look_seconds() -> float:
    """How often leases are renewed and lost runs looked for."""
    return min(settings.get("worker_lease_seconds") / 3, takeover_seconds() / 6, _LONGEST_LOOK_SECONDS)


def longest_step_us() -> int:
    """How much time one look can bring at most: twice that between looks, and a share of a lease."""
    return int(min(_LONGEST_STEP_SECONDS, takeover_seconds() / 3) * _SECOND)


def wall(tx: Transaction) -> int:
    """The present in microseconds since 1970: of the database's server, where there is one.

    What is due is judged by it, so that workers whose clocks differ agree.
    """
    if tx.dialect == "postgresql":
        return int(tx.value(_POSTGRES_NOW))
    return clock.now_us()


def reading(tx: Transaction) -> tuple[int, str]:
    """The machine's clock as it is, outages included, in microseconds, and the boot for which it counts.

    Of two readings with the same boot the difference is how much time is between them.
    """
    return _raw(tx)


def now(tx: Transaction) -> int:
    """The time by which leases run out, in microseconds; it only grows."""
    row = tx.one("SELECT value, seen, boot FROM lease_clock WHERE id = 1")
    if row is None:
        return clock.now_us()
    return int(row["value"]) + _step(tx, row)[0]


def tick(tx: Transaction, again: bool = False) -> int:
    """As `now`, and the clock goes on from here.

    Args:
        again: the caller could not look for a while: if nobody else did meanwhile, all who execute runs
            get their whole time once more.
    """
    lock = " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    row = tx.one(f"SELECT value, seen, boot FROM lease_clock WHERE id = 1{lock}")  # noqa: S608  # fixed
    if row is None:
        # Not there yet, or another one turns it right now.
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
    """By how much the clock goes on since a look, and what that look would note: (step, seen, boot)."""
    seen, boot = _raw(tx)
    if boot != row["boot"]:
        return 0, seen, boot
    return min(max(seen - int(row["seen"]), 0), longest_step_us()), seen, boot


def _raw(tx: Transaction) -> tuple[int, str]:
    if tx.dialect == "postgresql":
        return int(tx.value(_POSTGRES_NOW)), ""
    return int(clock.boot_seconds() * _SECOND), machine.boot_id()
