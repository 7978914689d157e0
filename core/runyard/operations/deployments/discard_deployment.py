"""Deletes a deployment with all its runs, as if it had never been: for deployments made to try code."""

from __future__ import annotations

from runyard.base import clock
from runyard.operations.deployments.deployment_rows import deployment_row, remove
from runyard.operations.operation import operation
from runyard.operations.runs import removal
from runyard.store.database import Transaction

# The runs of one call; a run may have thousands of task runs.
_RUNS = 20


@operation("POST", "/runyard/deployments/{deployment_id}/discard")
def discard_deployment(tx: Transaction, deployment_id: str) -> bool:
    """Delete some runs of a deployment with all their records; when none is left, the deployment too.

    Flows that have neither runs nor deployments any more are deleted with them. Runs of other deployments
    that its runs created stay.

    Returns:
        Whether the deployment is deleted; if not, call it again.

    Raises:
        NotFound: the deployment is not found.
    """
    deployment = deployment_row(tx, deployment_id)
    found = tx.all(
        "SELECT id FROM flow_runs WHERE deployment_id = :id ORDER BY expected_start_time LIMIT :limit",
        {"id": deployment_id, "limit": _RUNS},
    )
    flows = {deployment["flow_id"]}
    if found:
        every = removal.with_subflows(tx, [row["id"] for row in found])
        for ids in removal.chunks(every):
            wanted, values = removal.named(ids, "f")
            rows = tx.all(f"SELECT DISTINCT flow_id FROM flow_runs WHERE id IN ({wanted})", values)  # noqa: S608  # names
            flows.update(row["flow_id"] for row in rows)
        removal.remove_runs(tx, every, (), clock.now_us())
    done = len(found) < _RUNS
    if done:
        remove(tx, deployment_id)
    for ids in removal.chunks(sorted(flows)):
        wanted, values = removal.named(ids, "f")
        tx.execute(
            f"DELETE FROM flows WHERE id IN ({wanted}) "  # noqa: S608  # names
            "AND NOT EXISTS (SELECT 1 FROM deployments d WHERE d.flow_id = flows.id) "
            "AND NOT EXISTS (SELECT 1 FROM flow_runs r WHERE r.flow_id = flows.id)",
            values,
        )
    return done
