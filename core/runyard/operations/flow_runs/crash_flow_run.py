"""A flow run crashes: it ends, or starts again if its deployment allows it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from runyard import settings
from runyard.base import clock
from runyard.base.texts import counted
from runyard.domain.states import (
    AwaitingRetry,
    Crashed,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import enforce_run_policies
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.store.database import Row, Transaction

# A run that crashes its worker before it starts is not given to further workers after this many attempts.
MOST_UNBEGUN = 25
RUN_TO_CRASH = """
    SELECT r.id, r.state, r.state_type, r.attempt, r.crash_count, r.deployment_id, r.work_queue_id,
        r.empirical_policy, d.id AS deployment, d.crash_retries, d.crash_retry_delay_seconds, d.on_lost
    FROM flow_runs r LEFT JOIN deployments d ON d.id = r.deployment_id WHERE r.id = :id"""


def return_unbegun(tx: Transaction, run: Row, message: str, details: dict[str, Any]) -> bool:
    """Let a run whose attempt never started wait again, without counting a crash, up to `MOST_UNBEGUN` times.

    Returns:
        Whether the run waits again.
    """
    policy = json.loads(run["empirical_policy"])
    policy["never_began"] = (policy.get("never_began") or 0) + 1
    lost = policy["never_began"] > MOST_UNBEGUN
    state = AwaitingRetry(_present(tx), message=message, state_details=details)
    if lost:
        text = f"{message} It was lost before it started {policy['never_began']} times in a row."
        state = Crashed(message=text, state_details=details)
    change_flow_run_state(tx, run["id"], state, force=True)
    tx.execute(
        "UPDATE flow_runs SET empirical_policy = :policy WHERE id = :id",
        {"policy": json.dumps(policy, separators=(",", ":")), "id": run["id"]},
    )
    return not lost


def _present(tx: Transaction) -> datetime:
    """The present time by the clock that decides which runs are due."""
    return clock.from_us(lease_clock.wall(tx))


def crash_flow_run(
    tx: Transaction, run: Row, message: str, details: dict[str, Any], lost: bool = False
) -> bool:
    """Set a run to Crashed. Returns whether it starts again.

    Args:
        lost: the run did not end by itself, but with its worker.
    """
    change_flow_run_state(tx, run["id"], Crashed(message=message, state_details=dict(details)))
    tx.execute("UPDATE flow_runs SET crash_count = crash_count + 1 WHERE id = :id", {"id": run["id"]})
    if run["deployment"] is None:
        return False
    allowed = _crash_retries(run)
    if lost and run["on_lost"] is not None:
        allowed = 0 if run["on_lost"] == enforce_run_policies.CRASH else enforce_run_policies.MOST_LOST
    count = run["crash_count"] + 1
    if count > allowed:
        return False
    if lost and run["on_lost"] == enforce_run_policies.RETRY:
        enforce_run_policies.start_over(tx, run["id"])
    retry = AwaitingRetry(
        _present(tx) + timedelta(seconds=run["crash_retry_delay_seconds"] or 0),
        message=f"{message} Starts again, {count} of {counted(allowed, 'time')}.",
        state_details=dict(details),
    )
    change_flow_run_state(tx, run["id"], retry)
    return True


def may_start_again(tx: Transaction, flow_run_id: str) -> bool:
    """Whether a run that crashes now starts again."""
    run = tx.one(RUN_TO_CRASH, {"id": flow_run_id})
    return run is not None and run["crash_count"] < _crash_retries(run)


def _crash_retries(run: Row) -> int:
    """How often a run of a deployment may start again after a crash."""
    if run["deployment"] is None:
        return 0
    allowed = run["crash_retries"]
    return int(settings.get("flow_default_crash_retries") if allowed is None else allowed)
