"""Renews the leases of the runs that a process executes."""

from __future__ import annotations

from pydantic import Field

from runyard.domain.states import (
    CANCELLING,
    PAUSED,
    TERMINAL,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import enforce_run_policies, retake_leases
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, LeaseSeconds, Model
from runyard.store.database import Transaction

_OVER = frozenset((*TERMINAL, PAUSED))


class HeldLease(Input):
    """An attempt of a run."""

    flow_run_id: str
    attempt: int


class RenewLeases(Input):
    """The attempts that a process executes. Their leases expire `lease_seconds` from now."""

    leases: list[HeldLease]
    lease_seconds: LeaseSeconds


class RenewedLeases(Model):
    """Ids of runs by result. `lost`: another attempt holds the run. `over`: the run has ended or is
    suspended, and its process may be about to end. To stop: `cancelling`, `timed_out` (maximum run time)."""

    lost: list[str] = Field(default_factory=list)
    over: list[str] = Field(default_factory=list)
    cancelling: list[str] = Field(default_factory=list)
    timed_out: list[str] = Field(default_factory=list)


@operation("POST", "/runyard/leases/renew")
def renew_leases(tx: Transaction, body: RenewLeases) -> RenewedLeases:
    """Renew the leases of the runs that the caller executes. A run that was marked as lost is acquired again.

    Returns:
        The runs that the caller no longer holds: lost runs, whose processes the caller must stop, and ended
        runs, whose end the process itself may have reported just now. And the runs to stop.
    """
    renewed = RenewedLeases()
    now = lease_clock.tick(tx)
    expires = now + int(body.lease_seconds * 1e6)
    for held in body.leases:
        values = {"id": held.flow_run_id, "attempt": held.attempt, "expires": expires}
        kept = tx.execute(
            "UPDATE leases SET expires = :expires WHERE flow_run_id = :id AND attempt = :attempt", values
        )
        if not kept:
            kept = retake_leases.take_again(tx, held.flow_run_id, held.attempt, body.lease_seconds)
        run = tx.one(
            """SELECT r.state_type, l.run_until FROM flow_runs r
               LEFT JOIN leases l ON l.flow_run_id = r.id WHERE r.id = :id""",
            {"id": held.flow_run_id},
        )
        state = None if run is None else run["state_type"]
        if not kept:
            (renewed.over if state in _OVER else renewed.lost).append(held.flow_run_id)
        elif state == CANCELLING:
            renewed.cancelling.append(held.flow_run_id)
        elif run is not None and enforce_run_policies.is_over(run, run["state_type"], now):
            renewed.timed_out.append(held.flow_run_id)
    return renewed
