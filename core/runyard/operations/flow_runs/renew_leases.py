"""Renewing: how whoever executes runs keeps them."""

from __future__ import annotations

from pydantic import Field

from runyard.domain.states import (
    CANCELLING,
    PAUSED,
    TERMINAL,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import lost_leases, run_policies
from runyard.operations.operation import operation
from runyard.operations.schemas import Input, LeaseSeconds, Model
from runyard.store.database import Transaction

_OVER = frozenset((*TERMINAL, PAUSED))


class HeldLease(Input):
    """One attempt at a run."""

    flow_run_id: str
    attempt: int


class RenewLeases(Input):
    """The attempts that somebody executes, to be held for `lease_seconds` from now."""

    leases: list[HeldLease]
    lease_seconds: LeaseSeconds


class RenewedLeases(Model):
    """Of the renewed: ids of runs that are somebody else's now, of those that are over (or suspended), whose
    processes may be about to end, and of those to be stopped: cancelled, or run as long as they may."""

    lost: list[str] = Field(default_factory=list)
    over: list[str] = Field(default_factory=list)
    cancelling: list[str] = Field(default_factory=list)
    timed_out: list[str] = Field(default_factory=list)


@operation("POST", "/runyard/leases/renew")
def renew_leases(tx: Transaction, body: RenewLeases) -> RenewedLeases:
    """Keep the runs that one executes; one that was taken for lost meanwhile is taken again.

    Returns:
        Which are not the caller's any more: given away, and their processes have to go; or over, as the
        process itself may have reported a moment ago. And which somebody wants to be stopped.
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
            kept = lost_leases.take_again(tx, held.flow_run_id, held.attempt, body.lease_seconds)
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
        elif run is not None and run_policies.is_over(run, run["state_type"], now):
            renewed.timed_out.append(held.flow_run_id)
    return renewed
