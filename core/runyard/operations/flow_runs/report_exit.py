"""The end of a run's process: ends the run, if the process did not report the end itself."""

from __future__ import annotations

from runyard.domain.exit_codes import describe_exit
from runyard.domain.states import (
    CANCELLING,
    PAUSED,
    PENDING,
    SCHEDULED,
    TERMINAL,
    Cancelled,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import enforce_run_policies, leases
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.crash_flow_run import RUN_TO_CRASH, crash_flow_run, return_unbegun
from runyard.operations.flow_runs.flow_run_shapes import OrchestrationResult, result_of
from runyard.operations.operation import operation
from runyard.operations.runs.state_columns import decode_state, state_of
from runyard.operations.schemas import Input
from runyard.store.database import Transaction


class ExitReport(Input):
    """The end of a run's process, with its exit code (negative: a signal) and a message.

    `lost`: the process did not end by itself, but with the process that supervised it.
    """

    flow_run_id: str
    attempt: int
    exit_code: int
    message: str | None = None
    lost: bool = False


@operation("POST", "/runyard/flow_runs/exit")
def report_exit(tx: Transaction, body: ExitReport) -> OrchestrationResult | None:
    """Report that the process of a run ended. If the run has not ended, it is ended or starts again.

    Returns:
        The outcome for the run. None if the run had ended already, or the attempt no longer holds it.
    """
    run = tx.one(RUN_TO_CRASH, {"id": body.flow_run_id})
    lease = leases.holder(tx, body.flow_run_id)
    if run is None or lease is None or lease["attempt"] != body.attempt or run["state_type"] in TERMINAL:
        return None
    state = state_of(run)
    suspended = state is not None and bool(state.state_details.get("pause_reschedule"))
    if run["state_type"] == PAUSED and suspended:
        return None
    if run["state_type"] == SCHEDULED and not (state and state.state_details.get("in_process")):
        return None
    if run["state_type"] == CANCELLING:
        message = "The run was stopped on request."
        change_flow_run_state(tx, body.flow_run_id, Cancelled(message=message), attempt=body.attempt)
    elif run["state_type"] == PENDING and body.lost and run["deployment"] is not None:
        return_unbegun(tx, run, body.message or describe_exit(body.exit_code), {})
        leases.release(tx, body.flow_run_id)
    elif enforce_run_policies.is_over(lease, run["state_type"], lease_clock.now(tx)):
        enforce_run_policies.time_out(tx, run, body.attempt)
    else:
        crash_flow_run(tx, run, body.message or describe_exit(body.exit_code), {}, body.lost)
    now = decode_state(tx.value("SELECT state FROM flow_runs WHERE id = :id", {"id": body.flow_run_id}))
    return result_of("ACCEPT", now, None, 0)
