"""Leases: which process executes a run now. Acquire, check and release. Limits count these rows."""

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
    """Acquire the lease of a run for an executor. It replaces an earlier holder.

    Args:
        run: the row of `flow_runs`.
        owner: the executor, for people: the name of a worker, or `process 123 on host`.
        lease_seconds: after how many seconds the lease expires without renewal; None: it never expires.
        identity: the place and the proof by which the executor's death can be proved; see `engine.proofs`.

    Returns:
        The new attempt number, which is the fencing token of all further reports.
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
    """Set the time until which an attempt may run, counted from now, when it starts to run.

    Args:
        seconds: the maximum run time, by the lease clock: it does not follow the wall clock, and stands still
            in an outage.
        again: the run was paused, and gets the full time again. If false, a time that was set before stays.
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
    """Give the lease of the same attempt to another executor; arguments as for `take`."""
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
    """The lease of a run, or None if no process executes it."""
    return tx.one("SELECT * FROM leases WHERE flow_run_id = :id", {"id": flow_run_id})


def check(tx: Transaction, flow_run_id: str, attempt: int) -> Row:
    """Check that `attempt` still holds the lease of a run, and return the lease.

    Raises:
        StaleAttempt: a later attempt holds the lease, or it was released.
    """
    lease = holder(tx, flow_run_id)
    if lease is None or lease["attempt"] != attempt:
        raise StaleAttempt(
            f"attempt {attempt} of flow run {flow_run_id} lost its lease; its report was rejected"
        )
    return lease


def release(tx: Transaction, flow_run_id: str) -> None:
    """Release the lease of a run. Its slots become free in this transaction."""
    tx.execute("DELETE FROM leases WHERE flow_run_id = :id", {"id": flow_run_id})
