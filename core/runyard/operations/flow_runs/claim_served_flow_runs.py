"""A process that serves deployments without a work pool claims their runs."""

from __future__ import annotations

from runyard.domain import job_templates
from runyard.operations import lease_clock
from runyard.operations.flow_runs.claim_flow_runs import Claim, ClaimedRun, NextDue, claim_due, next_due
from runyard.operations.flow_runs.due_runs import due_of_deployments, next_of_deployments
from runyard.operations.operation import Settled, operation
from runyard.operations.schemas import Input, dump
from runyard.store.database import Transaction


class ServedDeployments(Input):
    """The deployments that a process serves."""

    deployment_ids: list[str]


class ServedClaim(ServedDeployments, Claim):
    """A serving process's request to claim runs."""


def _nothing_to_claim(tx: Transaction, body: ServedClaim) -> Settled | None:
    found = due_of_deployments(tx, body.deployment_ids, body.limit)
    return None if found.start or found.cancel else Settled([])


@operation("POST", "/runyard/served/claim", prepare=_nothing_to_claim)
def claim_served_flow_runs(tx: Transaction, body: ServedClaim) -> list[ClaimedRun]:
    """Claim due runs of deployments without a work pool, sorted by their due time.

    A run is claimed only once, and no limit of a deployment is exceeded. A full deployment does not block
    the others.
    """
    found = due_of_deployments(tx, body.deployment_ids, body.limit, lock=True)
    return claim_due(tx, found, body, dump(job_templates.default("process")))


@operation("POST", "/runyard/served/next_due", write=False)
def read_next_served(tx: Transaction, body: ServedDeployments) -> NextDue:
    """Read when the process should claim next, if nothing else changes.

    Returns:
        The present time if a run can start now, else the time when the next run is due.
    """
    now = lease_clock.wall(tx)
    found = due_of_deployments(tx, body.deployment_ids, 1)
    due = now if found.start or found.cancel else next_of_deployments(tx, body.deployment_ids, now)
    return next_due(due, now)
