"""The slots of concurrency limits: acquire, renew and release. Without pydantic.

Slots in use are rows of `limit_slots`, each held under a lease. The number of slots in use is the sum of
these rows, not a counter, so no slot can leak. If the slots of a limit decay, they become free by
themselves: the limit stores only `taken` at the time `taken_at`, and its rows tell what is released early.
"""

from __future__ import annotations

import json
import math
from typing import Any

from runyard.base import ids
from runyard.base.errors import InvalidInput, LeaseGone, Locked, StaleAttempt
from runyard.base.quoting import command_of
from runyard.base.texts import counted
from runyard.base.waits import jittered
from runyard.domain import slots as arithmetic
from runyard.domain.states import CANCELLED, CRASHED, SCHEDULED
from runyard.operations import lease_clock
from runyard.operations.operation import operation
from runyard.store.database import Row, Transaction

TAG_PREFIX = "tag:"
MODES = ("concurrency", "rate_limit")
_LEAST_LEASE_SECONDS, _MOST_LEASE_SECONDS = 1.0, 86_400.0
_DEFAULT_LEASE_SECONDS = 300.0
# A lease that expired can be renewed until another client needs its slots. After this time it is deleted.
_FORGET_AFTER_US = 3_600 * 1_000_000
# When to retry for a run that is marked as lost: its attempt may still acquire its lease again.
_LOST_LOOK_SECONDS = 1.0
_LIVE = "(expires IS NULL OR expires > :now)"


def in_use(tx: Transaction, limit: Row, now_us: int | None = None) -> float:
    """How many slots of a limit are in use.

    Args:
        limit: the row of `concurrency_limits`.
        now_us: the time of the lease clock; by default the present time.
    """
    rate = limit["slot_decay_per_second"]
    if rate > 0:
        return arithmetic.decayed(limit["taken"], limit["taken_at"], lease_clock.wall(tx), rate)
    sql = f"SELECT coalesce(sum(slots), 0) FROM limit_slots WHERE limit_id = :id AND {_LIVE}"  # noqa: S608  # fixed
    now = lease_clock.now(tx) if now_us is None else now_us
    return float(tx.value(sql, {"id": limit["id"], "now": now}))


def set_taken(tx: Transaction, limit_id: str, taken: float) -> None:
    """Set how many slots of a limit with decay are in use now."""
    tx.execute(
        "UPDATE concurrency_limits SET taken = :taken, taken_at = :now WHERE id = :id",
        {"taken": taken, "now": lease_clock.wall(tx), "id": limit_id},
    )


def override(tx: Transaction, limit: Row, taken: int) -> None:
    """Set how many slots of a limit are in use. The present holders lose their slots."""
    tx.execute("DELETE FROM limit_slots WHERE limit_id = :id", {"id": limit["id"]})
    set_taken(tx, limit["id"], taken)
    if taken:
        hold(tx, ids.new_id(), limit["id"], taken, None, None, lease_clock.now(tx))


def hold(
    tx: Transaction,
    lease_id: str,
    limit_id: str,
    slots: int,
    holder: str | None,
    expires: int | None,
    now_us: int,
    run_id: str | None = None,
) -> None:
    """Insert a lease of slots. `holder` is JSON; `run_id` is the run in whose process the holder is."""
    tx.execute(
        """INSERT INTO limit_slots (lease_id, limit_id, slots, holder, acquired, expires, run_id)
           VALUES (:lease, :limit, :slots, :holder, :now, :expires, :run_id)""",
        {
            "lease": lease_id,
            "limit": limit_id,
            "slots": slots,
            "holder": holder,
            "now": now_us,
            "expires": expires,
            "run_id": run_id,
        },
    )


def named(tx: Transaction, names: list[str], lock: bool = False) -> list[Row]:
    """Read the rows of the limits with these names, sorted by name. Unknown names are ignored.

    Args:
        lock: lock the rows until the transaction ends, so that no other transaction acquires slots. The
            order is always the same, so that no deadlock occurs.
    """
    marks = {f"name{at}": name for at, name in enumerate(dict.fromkeys(names))}
    listed = ", ".join(f":{mark}" for mark in marks)
    # SQLite has one writer at a time anyway.
    end = " FOR UPDATE" if lock and tx.dialect == "postgresql" else ""
    sql = f"SELECT * FROM concurrency_limits WHERE name IN ({listed}) ORDER BY name{end}"  # noqa: S608  # marks
    return tx.all(sql, marks)


def take(
    tx: Transaction,
    names: list[str],
    slots: int,
    mode: str,
    lease_id: str,
    lease_seconds: float | None,
    holder: str | None,
    run_id: str | None = None,
) -> list[Row]:
    """Acquire slots of several limits: of all limits or of none.

    Args:
        names: the names of the limits. Unknown names are ignored. Inactive limits are held, but do not
            limit.
        lease_id: the id of the lease. A repeated call with the same id returns the same slots.
        lease_seconds: how long the lease is valid without renewal. None: until the slots are released.
        holder: the holder of the slots, as JSON.
        run_id: the run in whose process the holder is. If the run is ended from outside, its slots are
            released.

    Returns:
        The rows of the known limits.

    Raises:
        InvalidInput: `slots` is larger than a limit, or the mode is `rate_limit` and the slots do not decay.
        Locked: not enough slots are free. The error tells how long to wait.
    """
    limits = named(tx, names, lock=True)
    active = [limit for limit in limits if limit["active"]]
    _check(active, slots, mode)
    if not limits or _is_held(tx, lease_id):
        return limits
    now = lease_clock.tick(tx)
    # Before counting: a lease that its holder renews at the same time is either deleted here, or counts.
    # If too few slots are free, the transaction is rolled back, and no lease is lost.
    _forget_expired(tx, limits, now)
    used = {limit["id"]: in_use(tx, limit, now) for limit in active}
    full = [limit for limit in active if not arithmetic.fits(limit["limit"], used[limit["id"]], slots)]
    if full:
        wait = max(_wait(tx, limit, used[limit["id"]], slots, now) for limit in full)
        names_of_full = ", ".join(repr(limit["name"]) for limit in full)
        raise Locked(f"no slot is free of {names_of_full}", retry_after_seconds=math.ceil(wait * 1000) / 1000)
    expires = None if lease_seconds is None else now + int(lease_seconds * 1e6)
    for limit in limits:
        if limit["active"] and limit["slot_decay_per_second"] > 0:
            set_taken(tx, limit["id"], used[limit["id"]] + slots)
            if mode == "rate_limit":
                continue  # a rate limit's slots are never released
        hold(tx, lease_id, limit["id"], slots if limit["active"] else 0, holder, expires, now, run_id)
    return limits


def _check(limits: list[Row], slots: int, mode: str) -> None:
    for limit in limits:
        if slots > limit["limit"]:
            allows, needed = counted(limit["limit"], "slot"), "is" if slots == 1 else "are"
            raise InvalidInput(f"{limit['name']!r} allows {allows}; {slots} {needed} needed")
        if mode == "rate_limit" and limit["slot_decay_per_second"] <= 0:
            raise InvalidInput(
                f"the slots of the limit {limit['name']!r} do not decay, so it cannot limit a rate; run: "
                + command_of(
                    "runyard global-concurrency-limit update",
                    limit["name"],
                    options="--slot-decay-per-second RATE",
                )
            )


def _is_held(tx: Transaction, lease_id: str) -> bool:
    sql = "SELECT lease_id FROM limit_slots WHERE lease_id = :id LIMIT 1"
    return tx.value(sql, {"id": lease_id}) is not None


def _wait(tx: Transaction, limit: Row, used: float, slots: int, now: int) -> float:
    """After how many seconds to retry, for a limit with too few free slots."""
    rate = limit["slot_decay_per_second"]
    if rate > 0:
        return arithmetic.seconds_until_decayed(limit["limit"], used, slots, rate)
    # A row without slots is a request that waits (`slot_waits`), or came while the limit was inactive.
    sql = f"SELECT slots, acquired, expires FROM limit_slots WHERE limit_id = :id AND slots > 0 AND {_LIVE}"  # noqa: S608  # fixed
    rows = tx.all(sql, {"id": limit["id"], "now": now})
    since = [row["acquired"] for row in rows]
    guess = arithmetic.seconds_until_returned(since, now, limit["occupancy_seconds"])
    guess = jittered(guess)  # so that waiting clients do not retry all at once
    leases = [(row["slots"], row["expires"]) for row in rows]
    expiry = arithmetic.seconds_until_expired(limit["limit"], slots, leases, now)
    return arithmetic.clamped(guess if expiry is None else min(guess, expiry))


def _forget_expired(tx: Transaction, limits: list[Row], now: int) -> None:
    """Delete the expired leases of limits whose slots a client wants to acquire. Their holders lose them."""
    marks = {f"id{at}": limit["id"] for at, limit in enumerate(limits)}
    which = f"limit_id IN ({', '.join(f':{mark}' for mark in marks)}) AND expires <= :now"
    found = tx.all(
        f"SELECT DISTINCT lease_id FROM limit_slots WHERE {which}",  # noqa: S608  # marks
        {**marks, "now": now},
    )
    for row in found:
        # Also the lease's slots of other limits: a holder loses its whole lease. All its rows expire at the
        # same time. On PostgreSQL the holder may have renewed it since the SELECT.
        sql = "DELETE FROM limit_slots WHERE lease_id = :lease_id AND expires <= :now"
        tx.execute(sql, {**row, "now": now})


def give_back(tx: Transaction, lease_id: str) -> None:
    """Release a lease. An unknown lease is ignored."""
    rows = tx.all(
        """SELECT c.*, s.slots AS held FROM limit_slots s JOIN concurrency_limits c ON c.id = s.limit_id
           WHERE s.lease_id = :id AND c.slot_decay_per_second > 0 ORDER BY c.name""",
        {"id": lease_id},
    )
    for row in rows:
        _return_early(tx, row["name"], row["held"])
    tx.execute("DELETE FROM limit_slots WHERE lease_id = :id", {"id": lease_id})


def _return_early(tx: Transaction, name: str, slots: int) -> None:
    """Release slots of a limit with decay before they have decayed."""
    for limit in named(tx, [name], lock=True):
        set_taken(tx, limit["id"], max(0.0, in_use(tx, limit) - slots))


def release_of_run(tx: Transaction, run_id: str, holder_ids: set[str] | None = None) -> None:
    """Release the slots that the process of an ended run held. `holder_ids`: only slots of these holders."""
    rows = tx.all("SELECT DISTINCT lease_id, holder FROM limit_slots WHERE run_id = :id", {"id": run_id})
    for row in rows:
        if holder_ids is None or (json.loads(row["holder"] or "{}") or {}).get("id") in holder_ids:
            give_back(tx, row["lease_id"])


def prune(tx: Transaction) -> None:
    """Delete leases that expired long ago, of limits that no client uses."""
    before = {"before": lease_clock.now(tx) - _FORGET_AFTER_US}
    if tx.value("SELECT lease_id FROM limit_slots WHERE expires < :before LIMIT 1", before) is not None:
        tx.execute("DELETE FROM limit_slots WHERE expires < :before", before)


@operation("POST", "/v2/concurrency_limits/increment")
def increment_slots(tx: Transaction, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Acquire slots without a lease. They stay in use until they are released by name.

    Args:
        body: `names`, `slots` and `mode`: `concurrency`, or `rate_limit` for limits whose slots decay.

    Returns:
        `id`, `name` and `limit` of the known limits.

    Raises:
        Locked: not enough slots are free.
    """
    names, slots, mode = _wanted(body)
    return _shown(take(tx, names, slots, mode, ids.new_id(), None, None))


@operation("POST", "/v2/concurrency_limits/increment-with-lease")
def increment_slots_with_lease(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Acquire slots with a lease. They are released by the holder, or when the lease expires.

    Args:
        body: the fields of `increment`, and: `lease_duration` in seconds, 1 to 86400, default 300; `holder`
            with `type` and `id`; `lease_id`, optional, makes a repeated request safe; `run_id`, the run in
            whose process the caller is, and `attempt`, the attempt of the run. An attempt that lost its
            run gets no slots, because no process would release them.

    Returns:
        `lease_id`, and `limits`: `id`, `name` and `limit` of the known limits.

    Raises:
        Locked: not enough slots are free, or the attempt does not hold the run now.
        StaleAttempt: a later attempt holds the run.
    """
    names, slots, mode = _wanted(body)
    lease_id = str(body.get("lease_id") or ids.new_id())
    holder = body.get("holder")
    if holder is not None and not isinstance(holder, dict):
        raise InvalidInput("holder: an object with `type` and `id`")
    shown = None if holder is None else json.dumps(holder)
    run_id = None if body.get("run_id") is None else str(body["run_id"])
    if run_id is not None and body.get("attempt") is not None:
        _check_attempt(tx, run_id, body["attempt"])
    limits = take(tx, names, slots, mode, lease_id, _lease_seconds(body), shown, run_id)
    return {"lease_id": lease_id, "limits": _shown(limits)}


def _check_attempt(tx: Transaction, run_id: str, attempt: int) -> None:
    """Reject an attempt that lost its run: its process may have died after it sent the request."""
    # The lock prevents that the run is ended before its slots are stored: they would never be released.
    lock = " FOR KEY SHARE" if tx.dialect == "postgresql" else ""
    sql = f"SELECT attempt, state_type FROM flow_runs WHERE id = :id{lock}"  # noqa: S608  # fixed
    run = tx.one(sql, {"id": run_id})
    if run is None or run["attempt"] != attempt:
        raise StaleAttempt(f"attempt {attempt} of flow run {run_id} has ended; it gets no slots")
    if run["state_type"] in (CRASHED, CANCELLED, SCHEDULED):
        held = "SELECT 1 FROM leases WHERE flow_run_id = :id AND attempt = :attempt"
        if tx.value(held, {"id": run_id, "attempt": attempt}) is None:
            raise Locked(f"flow run {run_id} is marked as lost", retry_after_seconds=_LOST_LOOK_SECONDS)


@operation("POST", "/v2/concurrency_limits/decrement")
def decrement_slots(tx: Transaction, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Release slots that were acquired without a lease, the oldest first.

    Args:
        body: `names`, `slots`, and `occupancy_seconds`: how long all slots together were held. It is used
            to compute when waiting clients should retry.

    Returns:
        `id`, `name` and `limit` of the known limits.
    """
    names, slots, _mode = _wanted(body)
    limits = named(tx, names, lock=True)
    for limit in limits:
        if limit["active"] and limit["slot_decay_per_second"] > 0:
            _return_early(tx, limit["name"], slots)
        _give_back_nameless(tx, limit["id"], slots)
        if body.get("occupancy_seconds"):
            average = arithmetic.averaged(
                limit["occupancy_seconds"], body["occupancy_seconds"] / slots, limit["limit"]
            )
            sql = "UPDATE concurrency_limits SET occupancy_seconds = :average WHERE id = :id"
            tx.execute(sql, {"average": average, "id": limit["id"]})
    return _shown(limits)


def _give_back_nameless(tx: Transaction, limit_id: str, slots: int) -> None:
    rows = tx.all(
        """SELECT lease_id, limit_id, slots FROM limit_slots
           WHERE limit_id = :id AND expires IS NULL AND slots > 0 ORDER BY acquired, lease_id""",
        {"id": limit_id},
    )
    for row in rows:
        if slots <= 0:
            return
        given = min(slots, row["slots"])
        slots -= given
        sql = (
            "DELETE FROM limit_slots WHERE lease_id = :lease_id AND limit_id = :limit_id"
            if given == row["slots"]
            else "UPDATE limit_slots SET slots = :slots WHERE lease_id = :lease_id AND limit_id = :limit_id"
        )
        tx.execute(sql, {**row, "slots": row["slots"] - given})


@operation("POST", "/v2/concurrency_limits/decrement-with-lease", status=204)
def decrement_slots_with_lease(tx: Transaction, body: dict[str, Any]) -> None:
    """Release a lease. An unknown lease is ignored.

    Args:
        body: `lease_id`.
    """
    if not isinstance(body.get("lease_id"), str):
        raise InvalidInput("lease_id: the id of the lease to end")
    give_back(tx, body["lease_id"])


@operation("POST", "/v2/concurrency_limits/leases/{lease_id}/renew", status=204)
def renew_slots(tx: Transaction, lease_id: str, body: dict[str, Any]) -> None:
    """Renew a lease. An expired lease can be renewed until another client acquires its slots.

    Args:
        body: `lease_duration` in seconds from now, 1 to 86400, default 300.

    Raises:
        LeaseGone: the lease was released, or it expired and another client acquired its slots.
    """
    expires = lease_clock.tick(tx) + int(_lease_seconds(body) * 1e6)
    values = {"id": lease_id, "expires": expires}
    sql = "UPDATE limit_slots SET expires = :expires WHERE lease_id = :id RETURNING lease_id"
    if not tx.all(sql, values):
        raise LeaseGone(f"the lease {lease_id} ran out and its slots were taken, or it was given back")


@operation("POST", "/runyard/leases/tick")
def tick_lease_clock(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Advance the lease clock. A client that waits until a lease expires must call this.

    Returns:
        `now`, in microseconds.
    """
    # Slots decay by the wall clock. A clock that was set back must not delay them.
    wall_us = lease_clock.wall(tx)
    if tx.value("SELECT id FROM concurrency_limits WHERE taken_at > :now LIMIT 1", {"now": wall_us}):
        tx.execute("UPDATE concurrency_limits SET taken_at = :now WHERE taken_at > :now", {"now": wall_us})
    return {"now": lease_clock.tick(tx)}


@operation("GET", "/runyard/concurrency_limits/tags")
def read_limited_tags(tx: Transaction) -> list[str]:
    """List the task tags that have an active limit."""
    rows = tx.all(
        "SELECT name FROM concurrency_limits WHERE active = 1 AND name LIKE :pattern",
        {"pattern": f"{TAG_PREFIX}%"},
    )
    return [row["name"].removeprefix(TAG_PREFIX) for row in rows]


def _wanted(body: dict[str, Any]) -> tuple[list[str], int, str]:
    """The names, slots and mode of a body."""
    names, slots, mode = body.get("names"), body.get("slots", 1), body.get("mode") or MODES[0]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InvalidInput("names: a list of at least one name of a limit")
    if not isinstance(slots, int) or isinstance(slots, bool) or slots < 1:
        raise InvalidInput(f"slots: a whole number of at least 1, not {slots!r}")
    if mode not in MODES:
        raise InvalidInput(f"mode: {' or '.join(MODES)}, not {mode!r}")
    return names, slots, mode


def _lease_seconds(body: dict[str, Any]) -> float:
    seconds = body.get("lease_duration", _DEFAULT_LEASE_SECONDS)
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise InvalidInput(f"lease_duration: a number of seconds, not {seconds!r}")
    if not _LEAST_LEASE_SECONDS <= seconds <= _MOST_LEASE_SECONDS:
        raise InvalidInput(
            f"lease_duration: {_LEAST_LEASE_SECONDS:g} to {_MOST_LEASE_SECONDS:g} seconds, not {seconds:g}"
        )
    return float(seconds)


def _shown(limits: list[Row]) -> list[dict[str, Any]]:
    return [{name: limit[name] for name in ("id", "name", "limit")} for limit in limits]
