"""State changes of task runs through the API: read the run, apply the rules, write the state.

The engine decides the states of its own task runs and writes them in batches (the journal). This module is
for other callers. It must not import pydantic.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.domain import api_task_run_rules
from runyard.domain.states import RUNNING, State
from runyard.operations.flow_runs import leases
from runyard.operations.runs import enter_state, state_columns
from runyard.operations.runs.state_outcome import Outcome

if TYPE_CHECKING:
    from runyard.store.database import Transaction

_READ = """
    SELECT t.*, r.state_type AS flow_type, r.run_count AS flow_run_count,
        coalesce(r.root_flow_run_id, r.id) AS root_flow_run_id
    FROM task_runs t LEFT JOIN flow_runs r ON r.id = t.flow_run_id
    WHERE t.id = :id"""
_WRITE = (
    f"UPDATE task_runs SET {state_columns.SET_STATE_COLUMNS}, flow_run_run_count = :flow_run_run_count "  # noqa: S608  # fixed names
    "WHERE id = :id"
)


def set_task_run_state(
    tx: Transaction, task_run_id: str, proposed: State, *, force: bool = False, attempt: int | None = None
) -> Outcome:
    """Propose a state for a task run.

    Args:
        proposed: the state. If its time is not later than the current state's time, it is moved after it.
        force: skip all rules except the rule that protects a stored result.
        attempt: the attempt that executes the flow run; its lease is checked. None for other callers.

    Raises:
        NotFound: the task run is not found.
        StaleAttempt: `attempt` no longer holds the lease of the flow run.
    """
    values = {"id": task_run_id}
    if tx.dialect == "postgresql":
        tx.one("SELECT id FROM task_runs WHERE id = :id FOR UPDATE", values)
    run = tx.one(_READ, values)
    if run is None:
        raise NotFound(f"task run {task_run_id} not found; see: runyard task-run ls")
    if attempt is not None and run["root_flow_run_id"] is not None:
        leases.check(tx, run["root_flow_run_id"], attempt)
    current = state_columns.state_of(run)
    facts = api_task_run_rules.TaskRunFacts(
        now_us=max(clock.now_us(), proposed.timestamp_us),
        run_count=run["run_count"],
        flow_run_run_count=run["flow_run_run_count"],
        policy=json.loads(run["empirical_policy"]),
        flow_type=run["flow_type"],
        flow_run_count=run["flow_run_count"] or 0,
        jitter=random.random(),  # noqa: S311  # spreads retries, keeps no secret
    )
    decision = api_task_run_rules.decide_task_run(current, proposed, facts, force)
    if decision.state is None:
        return Outcome(decision.status, current or proposed, decision.reason, decision.delay_seconds)
    state = enter_state.after(decision.state, run["state_timestamp"])
    state.state_details["task_run_id"] = task_run_id
    if run["flow_run_id"] is not None:
        state.state_details["flow_run_id"] = run["flow_run_id"]
    count = facts.flow_run_count if state.type == RUNNING else run["flow_run_run_count"]
    columns = enter_state.entered(run, state)
    tx.execute(_WRITE, {"id": task_run_id, "flow_run_run_count": count, **columns})
    enter_state.insert_states(tx, "task_run", [(task_run_id, state)])
    return Outcome(decision.status, state, decision.reason, written=True)
