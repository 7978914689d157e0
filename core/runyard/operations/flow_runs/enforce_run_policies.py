"""Policies of a deployment for its runs: maximum run time, maximum lateness, handling of lost runs."""

from __future__ import annotations

from runyard.base import clock
from runyard.domain.states import CANCELLED, RUNNING, SCHEDULED, State, TimedOut
from runyard.operations import lease_clock
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.end_children import end_open_children
from runyard.operations.limits import limit_slots
from runyard.operations.runs.state_outcome import Outcome
from runyard.store.database import Row, Transaction

# The values of on_lost.
CRASH, RETRY, RESUME = "crash", "retry", "resume"
# For each value of on_lost: a run that crashes its worker is not given to further workers after this many.
MOST_LOST = 25


def is_over(lease: Row, state_type: str, now: int) -> bool:
    """Whether the maximum run time of an attempt has passed.

    Args:
        lease: the lease, with `run_until`.
        state_type: the state type of the run.
        now: the present time of the lease clock.
    """
    # SCHEDULED: the run waits for a retry in its process.
    return lease["run_until"] is not None and state_type in (RUNNING, SCHEDULED) and lease["run_until"] <= now


def time_out(tx: Transaction, run: Row, attempt: int | None = None) -> Outcome:
    """End a run whose maximum run time has passed, with its open task runs and subflow runs. No retry.

    Args:
        run: the row of the run, with `id` and `deployment_id`.
        attempt: the attempt of the process that executed it.
    """
    seconds = tx.value("SELECT max_run_seconds FROM deployments WHERE id = :id", {"id": run["deployment_id"]})
    limit = "" if seconds is None else f" of {seconds:g} s"
    state = TimedOut(message=f"It was stopped after its maximum run time{limit} (max_run_seconds).")
    outcome = change_flow_run_state(tx, run["id"], state, force=True, attempt=attempt)
    limit_slots.release_of_run(tx, run["id"])
    end_open_children(tx, run["id"], state.message)
    return outcome


def skip_late(tx: Transaction, run: Row) -> bool:
    """Cancel a run, with the state name Skipped, if it did not start within the maximum lateness.

    A run that has started before, and starts again, is not skipped.

    Args:
        run: the row of the run, with `expected_start_time`, `start_time`, and `max_lateness_seconds` of its
            deployment.

    Returns:
        Whether the run was skipped.
    """
    seconds, due = run["max_lateness_seconds"], run["expected_start_time"]
    if seconds is None or due is None or run["start_time"] is not None:
        return False
    if lease_clock.wall(tx) <= due + int(seconds * 1e6):
        return False
    moment = clock.format_time(clock.from_us(due))
    message = f"It could not start within {seconds:g} s of {moment} (max_lateness_seconds)."
    change_flow_run_state(tx, run["id"], State(CANCELLED, "Skipped", message))
    return True


def start_over(tx: Transaction, flow_run_id: str) -> None:
    """Expire the stored results of a run, so that its next attempt starts from the beginning."""
    sql = "UPDATE results SET expires = :now WHERE flow_run_id = :id"
    tx.execute(sql, {"now": clock.now_us(), "id": flow_run_id})
