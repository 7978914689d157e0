"""Pauses: a run waits for a person, in its process or with its process ended, and goes on when resumed."""

from __future__ import annotations

import json
from typing import Any

from runyard.base.errors import InvalidInput
from runyard.domain.flow_run_rules import expired_pause
from runyard.domain.parameter_schemas import hydrate, misfit
from runyard.domain.states import FAILED, PAUSED, Resuming, Running, State
from runyard.operations.flow_runs import deadlines, flow_run_inputs
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
    """`run_input`: what the pause asked for, by the names of its fields.

    `here`: the caller runs a suspended run himself: its input is checked and kept, and it stays suspended.
    """

    run_input: dict[str, Any] | None = None
    here: bool = False


@operation("POST", "/runyard/flow_runs/pause")
def pause_flow_run(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Pause or suspend a run on behalf of the attempt that executes it.

    The questions that it asks are stored in the same transaction: who sees the pause sees them too.

    Args:
        body: `flow_run_id`, `attempt` (null where somebody else suspends it), `state` as the API shows
            states, and where input is wanted `schema` (the JSON schema, an object) and `description`.

    Returns:
        `status`, `reason` and `state` of the proposal.

    Raises:
        NotFound: no such run.
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
    """Let a paused run go on: at once in its process, or from its work pool where it was suspended.

    Returns:
        ABORT when it is not paused; REJECT, and the run stays as it is, when the input does not fit, or
        when it failed meanwhile because nobody resumed it in time.

    Raises:
        NotFound: no such flow run.
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
    """The input of a resume, made plain.

    Raises:
        InvalidInput: it does not fit what the pause asked for.
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
    """Fail the runs that were paused and not resumed in time; returns their ids.

    A living process whose pause is over says so itself, unless it is none of ours.

    Args:
        ahead_us: judge as if it was so much later.
    """
    found = tx.all(
        """SELECT r.id, r.state FROM flow_runs r
           LEFT JOIN leases l ON l.flow_run_id = coalesce(r.root_flow_run_id, r.id)
           WHERE r.state_type = 'PAUSED' AND l.expires IS NULL ORDER BY r.id"""
    )
    expired = []
    for run in found:
        state = state_of(run)
        if state is not None and deadlines.is_over(tx, state.state_details, ahead_us):
            expired.append(run["id"])
    for run_id in expired[:_BATCH]:
        outcome = change_flow_run_state(tx, run_id, expired_pause(), force=True)
        assert outcome.state.type == FAILED, outcome
    return expired[:_BATCH]
