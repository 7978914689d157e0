"""Pauses: a run waits until a person resumes it, in its process (paused) or without one (suspended)."""

from __future__ import annotations

import json
from typing import Any

from runyard.base.errors import InvalidInput
from runyard.domain.flow_run_rules import expired_pause
from runyard.domain.parameter_schemas import hydrate, misfit
from runyard.domain.states import FAILED, PAUSED, Resuming, Running, State
from runyard.operations.flow_runs import flow_run_inputs, pause_deadlines
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.flow_run_rows import flow_run_row
from runyard.operations.flow_runs.flow_run_shapes import OrchestrationResult, answer_of, result_of
from runyard.operations.operation import Answer, operation
from runyard.operations.runs.state_columns import state_of
from runyard.operations.runs.state_outcome import Outcome
from runyard.operations.schemas import Input
from runyard.store.database import Transaction

_BATCH = 200


class ResumeFlowRun(Input):
    """How to resume a run.

    `run_input`: the input that the pause requested, by field name. `here`: the caller executes a suspended
    run itself: the input is checked and stored, and the run stays suspended.
    """

    run_input: dict[str, Any] | None = None
    here: bool = False


@operation("POST", "/runyard/flow_runs/pause")
def pause_flow_run(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Pause or suspend a run, by the attempt that executes it.

    The schema of the requested input is stored in the same transaction, so that it is visible with the pause.

    Args:
        body: `flow_run_id`, `attempt` (null if another client suspends the run), `state` as the API shows
            states, and, if input is requested, `schema` (a JSON schema object) and `description`.

    Returns:
        `status`, `reason` and `state` of the proposal.

    Raises:
        NotFound: the flow run is not found.
        StaleAttempt: a later attempt holds the run.
    """
    flow_run_id, state = body["flow_run_id"], State.from_json(body["state"])
    outcome = change_flow_run_state(tx, flow_run_id, state, attempt=body["attempt"])
    keys = state.state_details.get("run_input_keyset")
    if outcome.status == "ACCEPT" and keys:
        flow_run_inputs.put(tx, flow_run_id, keys["schema"], json.dumps(body["schema"]))
        flow_run_inputs.remove(tx, flow_run_id, keys["response"])
        if body.get("description"):
            flow_run_inputs.put(tx, flow_run_id, keys["description"], json.dumps(body["description"]))
    return {"status": outcome.status, "reason": outcome.reason, "state": outcome.state.to_json()}


@operation("POST", "/flow_runs/{flow_run_id}/resume", status=201)
def resume_flow_run(tx: Transaction, flow_run_id: str, body: ResumeFlowRun) -> Answer[OrchestrationResult]:
    """Resume a paused run: at once in its process, or through its work pool if it was suspended.

    Returns:
        ABORT if the run is not paused. REJECT, without a change of the run, if the input is invalid, or if
        the run has failed because it was not resumed in time.

    Raises:
        NotFound: the flow run is not found.
    """
    run = flow_run_row(tx, flow_run_id)
    state = state_of(run)
    if state is None or state.type != PAUSED:
        reason = "Cannot resume a flow run that is not paused."
        details = {"type": "abort_details", "reason": reason}
        return Answer(OrchestrationResult(status="ABORT", details=details), 200)
    keys = state.state_details.get("run_input_keyset")
    suspended = bool(state.state_details.get("pause_reschedule"))
    given: Any = None
    if keys:
        try:
            given = _checked(tx, flow_run_id, keys, body.run_input or {})
        except InvalidInput as error:
            return Answer(result_of("REJECT", state, str(error), 0), 200)
    if body.here and suspended:
        outcome = Outcome("ACCEPT", state)
    else:
        proposal = Resuming() if suspended else Running()
        outcome = change_flow_run_state(tx, flow_run_id, proposal)
    if outcome.status == "ACCEPT" and keys:
        flow_run_inputs.put(tx, flow_run_id, keys["response"], json.dumps(given))
    return answer_of(outcome)


def _checked(tx: Transaction, flow_run_id: str, keys: dict[str, str], given: dict[str, Any]) -> Any:
    """Check the input of a resume, and return it as plain values.

    Raises:
        InvalidInput: the input does not match the requested schema.
    """
    schema = flow_run_inputs.value_of(tx, flow_run_id, keys["schema"])
    if schema is None:
        raise InvalidInput("Run input schema not found.")
    plain = hydrate(given)
    problem = misfit(plain, json.loads(schema), "input")
    if problem:
        raise InvalidInput(problem)
    return plain


def expire(tx: Transaction, ahead_us: int = 0) -> list[str]:
    """Set runs that were paused and not resumed in time to Failed. Returns their ids.

    A living process with a lease reports the end of its pause itself.

    Args:
        ahead_us: add this time to the present time.
    """
    found = tx.all(
        """SELECT r.id, r.state FROM flow_runs r
           LEFT JOIN leases l ON l.flow_run_id = coalesce(r.root_flow_run_id, r.id)
           WHERE r.state_type = 'PAUSED' AND l.expires IS NULL ORDER BY r.id"""
    )
    expired = []
    for run in found:
        state = state_of(run)
        if state is not None and pause_deadlines.is_over(tx, state.state_details, ahead_us):
            expired.append(run["id"])
    for run_id in expired[:_BATCH]:
        outcome = change_flow_run_state(tx, run_id, expired_pause(), force=True)
        assert outcome.state.type == FAILED, outcome
    return expired[:_BATCH]
