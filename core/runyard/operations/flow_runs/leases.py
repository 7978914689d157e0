"""Leases: who executes a run right now. Taking, checking and giving back; limits count these rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runyard.base import clock
from runyard.base.errors import StaleAttempt
from runyard.operations import lease_clock

if TYPE_CHECKING:
    from runyard.store.database import Row, Transaction


def take(
    tx: Transaction,
    run: Row,
    owner: str,
    lease_seconds: float | None,
    worker_id: str | None = None,
    work_pool_id: str | None = None,
    identity: tuple[str | None, str | None] = (None, None),
) -> int:
    """Give a run to an executor, replacing any earlier holder.

    Args:
        run: its row of `flow_runs`.
        owner: who executes it, for people: a worker's name, or `process 123 on host`.
        lease_seconds: how long without renewal it counts as alive; None where nobody renews.
        identity: the place at which its death can be proved, and by what; see `engine.proofs`.

    Returns:
        The new attempt number, the fencing token of all further reports.
    """
    attempt = run["attempt"] + 1
    tx.execute(
        "UPDATE flow_runs SET attempt = :attempt WHERE id = :id", {"attempt": attempt, "id": run["id"]}
    )
    tx.execute(
        """INSERT INTO leases (flow_run_id, attempt, owner, worker_id, work_pool_id, work_queue_id,
               deployment_id, acquired, expires, place, proof)
           VALUES (:id, :attempt, :owner, :worker_id, :work_pool_id, :work_queue_id, :deployment_id,
               :now, :expires, :place, :proof)
           ON CONFLICT (flow_run_id) DO UPDATE SET attempt = excluded.attempt, owner = excluded.owner,
               worker_id = excluded.worker_id, work_pool_id = excluded.work_pool_id,
               work_queue_id = excluded.work_queue_id, deployment_id = excluded.deployment_id,
               acquired = excluded.acquired, expires = excluded.expires, run_until = NULL,
               place = excluded.place, proof = excluded.proof""",
        {
            "id": run["id"],
            "attempt": attempt,
            "owner": owner,
            "worker_id": worker_id,
            "work_pool_id": work_pool_id,
            "work_queue_id": run["work_queue_id"],
            "deployment_id": run["deployment_id"],
            "now": clock.now_us(),
            "expires": None if lease_seconds is None else lease_clock.tick(tx) + int(lease_seconds * 1e6),
            "place": identity[0],
            "proof": identity[1],
        },
    )
    run["attempt"] = attempt
    return attempt


def limit(tx: Transaction, flow_run_id: str, seconds: float, again: bool) -> None:
    """Note until when an attempt may run, counted from now: it begins to run.

    Args:
        seconds: how long, by the clock of leases: no wall clock moves it, and it stands still in an outage.
        again: it was paused, and gets that time once more; else what was noted before counts.
    """
    tx.execute(
        "UPDATE leases SET run_until = :until WHERE flow_run_id = :id AND (run_until IS NULL OR :again = 1)",
        {"until": lease_clock.tick(tx) + int(seconds * 1e6), "id": flow_run_id, "again": int(again)},
    )


def hand_over(
    tx: Transaction,
    flow_run_id: str,
    owner: str,
    worker_id: str | None,
    work_pool_id: str,
    identity: tuple[str, str],
    lease_seconds: float,
) -> None:
    """Another executor goes on with the same attempt; arguments as for `take`."""
    tx.execute(
        """UPDATE leases SET owner = :owner, worker_id = :worker_id, work_pool_id = :work_pool_id,
               expires = :expires, place = :place, proof = :proof WHERE flow_run_id = :id""",
        {
            "id": flow_run_id,
            "owner": owner,
            "worker_id": worker_id,
            "work_pool_id": work_pool_id,
            "expires": lease_clock.tick(tx) + int(lease_seconds * 1e6),
            "place": identity[0],
            "proof": identity[1],
        },
    )


def holder(tx: Transaction, flow_run_id: str) -> Row | None:
    """The lease of a run, or None when nobody executes it."""
    return tx.one("SELECT * FROM leases WHERE flow_run_id = :id", {"id": flow_run_id})


def check(tx: Transaction, flow_run_id: str, attempt: int) -> Row:
    """The lease, if `attempt` still holds it.

    Raises:
        StaleAttempt: the run was given to a later attempt, or taken back.
    """
    lease = holder(tx, flow_run_id)
    if lease is None or lease["attempt"] != attempt:
        raise StaleAttempt(
            f"attempt {attempt} of flow run {flow_run_id} lost its lease; its report was refused"
        )
    return lease


def release(tx: Transaction, flow_run_id: str) -> None:
    """Nobody executes the run any more; its slots are free from this transaction on."""
    tx.execute("DELETE FROM leases WHERE flow_run_id = :id", {"id": flow_run_id})
