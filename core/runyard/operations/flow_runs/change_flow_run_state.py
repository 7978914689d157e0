"""State changes of flow runs: read the run, apply the rules, write, in one transaction. Without pydantic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base import clock, ids
from runyard.base.errors import NotFound
from runyard.domain import flow_run_rules
from runyard.domain.states import (
    CANCELLED,
    CRASHED,
    PAUSED,
    PENDING,
    RUNNING,
    TERMINAL,
    State,
)
from runyard.operations import json_columns
from runyard.operations.flow_runs import leases, pause_deadlines
from runyard.operations.flow_runs.end_children import end_open_children
from runyard.operations.flow_runs.flow_run_rows import lock_flow_run
from runyard.operations.limits import limit_slots
from runyard.operations.runs import enter_state, state_columns
from runyard.operations.runs.state_outcome import Outcome

if TYPE_CHECKING:
    from runyard.store.database import Row, Transaction


_READ = """
    SELECT r.id, r.flow_id, r.deployment_id, r.work_queue_id, r.parent_task_run_id, r.root_flow_run_id,
        r.empirical_policy, r.attempt, r.state_type, r.state_timestamp, r.state, r.run_count,
        r.expected_start_time, r.start_time, r.end_time, r.total_run_time,
        l.attempt AS lease_attempt, d.id AS deployment, d.concurrency_limit, d.concurrency_options,
        d.max_run_seconds
    FROM flow_runs r
    LEFT JOIN leases l ON l.flow_run_id = coalesce(r.root_flow_run_id, r.id)
    LEFT JOIN deployments d ON d.id = r.deployment_id
    WHERE r.id = :id"""

_WRITE = f"UPDATE flow_runs SET {state_columns.SET_STATE_COLUMNS}, empirical_policy = :policy WHERE id = :id"  # noqa: S608  # fixed names


def change_flow_run_state(
    tx: Transaction,
    flow_run_id: str,
    proposed: State,
    *,
    force: bool = False,
    attempt: int | None = None,
) -> Outcome:
    """Propose a state for a flow run.

    Args:
        proposed: the state. If its time is not later than the current state's time, it is moved after it.
        force: skip all rules except those that protect a stored result and a run that no process executes.
        attempt: the attempt that executes the run; its lease is checked. None for other callers.

    Raises:
        NotFound: the flow run is not found.
        StaleAttempt: `attempt` no longer holds the lease. The report of an end that is already stored is
            accepted instead.
    """
    run = _read(tx, flow_run_id)
    current = state_columns.state_of(run)
    if attempt is not None and run["lease_attempt"] != attempt:
        if current is not None and current.type in TERMINAL and current.type == proposed.type:
            return Outcome(flow_run_rules.ACCEPT, current)
        leases.check(tx, run["root_flow_run_id"] or flow_run_id, attempt)
    answered = _answered(current, proposed)
    if answered is not None:
        return answered
    policy = json.loads(run["empirical_policy"])
    facts = _facts(tx, run, policy, current, proposed, attempt)
    decision = flow_run_rules.decide_flow_run(current, proposed, facts, force)
    if decision.state is None:
        return Outcome(decision.status, current or proposed, decision.reason, decision.delay_seconds)
    if decision.state.type == PAUSED:
        pause_deadlines.note(tx, decision.state)
    state = enter_state.after(decision.state, run["state_timestamp"])
    state.state_details["flow_run_id"] = flow_run_id
    if decision.status == flow_run_rules.REJECT and proposed._id is not None:
        state.state_details["instead_of"] = proposed._id
    _write(tx, run, state, {**policy, **(decision.policy or {})}, bool(policy.get("resuming")))
    _settle_lease(tx, run, state, attempt)
    if state.type == RUNNING and run["max_run_seconds"] is not None:
        leases.limit(tx, run["id"], run["max_run_seconds"], run["state_type"] == PAUSED)
    if run["parent_task_run_id"] is not None:
        _mirror(tx, run["parent_task_run_id"], flow_run_id, state)
    if state.type in (CRASHED, CANCELLED):
        if run["root_flow_run_id"] is None:
            limit_slots.release_of_run(tx, flow_run_id)
        end_open_children(tx, flow_run_id, state.message, state.type)
    return Outcome(decision.status, state, decision.reason, written=True)


def _answered(current: State | None, proposed: State) -> Outcome | None:
    """The outcome of a repeated proposal, whose first response was lost."""
    if current is None or proposed._id is None:
        return None
    if current.id == proposed._id:
        return Outcome(flow_run_rules.ACCEPT, current)
    if current.state_details.get("instead_of") == proposed._id:
        return Outcome(flow_run_rules.REJECT, current, current.message)
    return None


def _read(tx: Transaction, flow_run_id: str) -> Row:
    lock_flow_run(tx, flow_run_id)  # first, so that the row is read under the lock
    run = tx.one(_READ, {"id": flow_run_id})
    if run is None:
        raise NotFound(f"flow run {flow_run_id} not found; see: runyard flow-run ls")
    return run


def _facts(
    tx: Transaction,
    run: Row,
    policy: dict[str, Any],
    current: State | None,
    proposed: State,
    attempt: int | None,
) -> flow_run_rules.FlowRunFacts:
    limit, free = run["concurrency_limit"], 0
    if proposed.type != PENDING or attempt is not None:
        # The limit applies only if a client takes the run from the queue itself: a claim has checked it.
        limit = None
    if limit is not None:
        free = limit - _slots_in_use(tx, run)
    options = json.loads(run["concurrency_options"]) if run["concurrency_options"] else {}
    return flow_run_rules.FlowRunFacts(
        now_us=max(clock.now_us(), proposed.timestamp_us),
        run_count=1 + flow_run_rules.retries_used(policy),
        policy=policy,
        has_deployment=run["deployment"] is not None,
        is_subflow=run["root_flow_run_id"] is not None,
        reported=attempt is not None,
        leased=run["lease_attempt"] is not None,
        limit=limit,
        free_slots=free,
        cancel_new=(options or {}).get("collision_strategy") == "CANCEL_NEW",
        pause_over=_is_pause_over(tx, current),
    )


def _is_pause_over(tx: Transaction, current: State | None) -> bool:
    return (
        current is not None and current.type == PAUSED and pause_deadlines.is_over(tx, current.state_details)
    )


def _slots_in_use(tx: Transaction, run: Row) -> int:
    values = {"deployment_id": run["deployment_id"], "id": run["id"]}
    if tx.dialect == "postgresql":
        tx.one("SELECT id FROM deployments WHERE id = :deployment_id FOR UPDATE", values)
    sql = "SELECT count(*) FROM leases WHERE deployment_id = :deployment_id AND flow_run_id <> :id"
    return int(tx.value(sql, values))


def _write(tx: Transaction, run: Row, state: State, policy: dict[str, Any], resuming: bool) -> None:
    columns = enter_state.entered(run, state, resuming)
    tx.execute(_WRITE, {"id": run["id"], "policy": json_columns.to_json(policy), **columns})
    enter_state.insert_states(tx, "flow_run", [(run["id"], state)])


def _settle_lease(tx: Transaction, run: Row, state: State, attempt: int | None) -> None:
    """Release the lease of a run that no process executes. Acquire one for a run that is started by hand."""
    if run["root_flow_run_id"] is not None:
        return
    if run["lease_attempt"] is not None:
        if not flow_run_rules.keeps_lease(state):
            leases.release(tx, run["id"])
    elif attempt is None and state.type in (PENDING, RUNNING):
        leases.take(tx, run, "external", None)


def _mirror(tx: Transaction, task_run_id: str, flow_run_id: str, state: State) -> None:
    """Copy the state of a subflow run to the task run that represents it in the calling run."""
    task_run = tx.one("SELECT * FROM task_runs WHERE id = :id", {"id": task_run_id})
    if task_run is None:
        return
    details = {**state.state_details, "task_run_id": task_run_id, "child_flow_run_id": flow_run_id}
    details["flow_run_id"] = task_run["flow_run_id"]
    copy = State(state.type, state.name, state.message, state.data, state.timestamp_us, details, ids.new_id())
    copy = enter_state.after(copy, task_run["state_timestamp"])
    tx.execute(
        f"UPDATE task_runs SET {state_columns.SET_STATE_COLUMNS} WHERE id = :id",  # noqa: S608  # fixed names
        {"id": task_run_id, **enter_state.entered(task_run, copy)},
    )
    enter_state.insert_states(tx, "task_run", [(task_run_id, copy)])
