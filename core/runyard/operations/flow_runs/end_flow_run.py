"""Reports of the process of a flow run: the next states of the run, up to its end. Without pydantic."""

from __future__ import annotations

from typing import Any

from runyard.domain.states import (
    CANCELLED,
    CANCELLING,
    CRASHED,
    State,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import crash_flow_run, enforce_run_policies, leases
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.end_children import crash_task_run
from runyard.operations.flow_runs.flow_run_rows import described, flow_run_row, lock_flow_run
from runyard.operations.flow_runs.write_journal import refuse_stale_records
from runyard.operations.operation import operation
from runyard.operations.runs.run_records import LOGS
from runyard.operations.runs.state_columns import decode_state
from runyard.operations.runs.state_outcome import Outcome
from runyard.store.database import Transaction


@operation("POST", "/runyard/journal/state")
def report_state(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Propose a state for a run, by the attempt that executes it.

    Args:
        body: `flow_run_id`, `attempt`, `state` as the API shows states, `force`, `stopped`, `logs` and
            `finished`. `stopped`: the process received a request to stop. Then the state is Cancelled if the
            run is being cancelled, TimedOut if its maximum run time has passed, else the given state. If its
            worker may start it again after a crash, the state does not change until the worker reports the
            exit. `logs`: LogRows to write in the same transaction. `finished`: a LogRow that is written only
            if the run enters the given state.

    Returns:
        `status`, `reason`, `delay_seconds`, `state`, `run_count`, and whether `finished` was written.

    Raises:
        StaleAttempt: a later attempt holds the run.
    """
    flow_run_id, state = body["flow_run_id"], State.from_json(body["state"])
    proposed = state
    lock_flow_run(tx, flow_run_id)
    run = flow_run_row(tx, flow_run_id) if body.get("stopped") else None
    lease = None if run is None else leases.holder(tx, flow_run_id)
    if run and lease and enforce_run_policies.is_over(lease, run["state_type"], lease_clock.now(tx)):
        outcome = enforce_run_policies.time_out(tx, run, body["attempt"])
    else:
        if run and run["state_type"] in (CANCELLING, CANCELLED):
            state = State(CANCELLED, message="the run was cancelled")
        has_worker = lease is not None and lease["worker_id"] is not None
        if run and has_worker and state.type == CRASHED and crash_flow_run.may_start_again(tx, flow_run_id):
            leases.check(tx, flow_run_id, body["attempt"])
            why = "the run may start again after a crash, once its process has ended"
            outcome = Outcome("REJECT", decode_state(run["state"]) or state, why)
        else:
            outcome = change_flow_run_state(
                tx, flow_run_id, state, force=bool(body.get("force")), attempt=body["attempt"]
            )
    now = flow_run_row(tx, flow_run_id)
    finished = (
        body.get("finished")
        if (now["state_type"], now["state_name"]) == (proposed.type, proposed.name)
        else None
    )
    logs = [*(body.get("logs") or ()), *filter(None, (finished,))]
    if logs:
        refuse_stale_records(tx, body)
        LOGS.write(tx, logs)
    return {**described(outcome), "run_count": now["run_count"], "finished": finished is not None}


@operation("POST", "/runyard/journal/lost")
def report_lost_task(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Report that the process of a task run, separate from the process of its flow, has ended.

    Args:
        body: `task_run_id`, `inside` (the prefix of the dynamic keys of task runs inside it), `message`, and
            `flow_run_id` and `attempt` of the root run, both null outside of flows.

    Raises:
        StaleAttempt: a later attempt holds the run.
    """
    if body.get("flow_run_id") is not None and body.get("attempt") is not None:
        leases.check(tx, body["flow_run_id"], body["attempt"])
    ended = crash_task_run(tx, body["task_run_id"], body["inside"], body["message"], body.get("flow_run_id"))
    return {"ended": ended}
