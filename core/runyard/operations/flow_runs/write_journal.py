"""The journal: a running flow writes its records in batches, all of a batch or nothing. Without pydantic."""

from __future__ import annotations

import json
from typing import Any

from runyard.base.errors import StaleAttempt
from runyard.domain.states import (
    CANCELLED,
    CRASHED,
    SCHEDULED,
    TERMINAL,
)
from runyard.operations.flow_runs.end_children import end_open_children
from runyard.operations.flow_runs.flow_run_rows import flow_run_row
from runyard.operations.operation import operation
from runyard.operations.runs.find_or_create_flow import flow_id_of
from runyard.operations.runs.run_records import FLOW_RUNS, FLOW_STATES, LOGS, RESULTS, TASK_RUNS, TASK_STATES
from runyard.store.database import Transaction


@operation("POST", "/runyard/journal")
def write_journal(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Write a batch of records of one root run: all of them or none.

    Args:
        body: `flow_run_id` and `attempt` (both null for tasks outside of any flow), `flows` (names of flows
            to create if missing), and rows: `flow_runs`, `flow_run_states`, `task_runs`, `task_run_states`,
            `logs`, `results`. Writing the same batch again changes nothing.

    Raises:
        StaleAttempt: a later attempt holds the run.
    """
    refuse_stale_records(tx, body)
    for name in body.get("flows") or ():
        flow_id_of(tx, name)
    FLOW_RUNS.write(tx, body.get("flow_runs") or ())
    FLOW_STATES.write(tx, body.get("flow_run_states") or ())
    TASK_RUNS.write(tx, body.get("task_runs") or ())
    TASK_STATES.write(tx, body.get("task_run_states") or ())
    LOGS.write(tx, body.get("logs") or ())
    RESULTS.write(tx, body.get("results") or ())
    if body.get("task_runs") or body.get("flow_runs"):
        _end_what_came_late(tx, body)
    return {}


@operation("POST", "/runyard/journal/soon", durable=False)
def write_journal_soon(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Write a batch like `write_journal`, without waiting for the disk, for processes that write each record.

    Raises:
        StaleAttempt: a later attempt holds the run.
    """
    return write_journal(tx, body)


@operation("POST", "/runyard/journal/open", write=False)
def is_open(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Check whether an attempt of a root run is still active.

    Args:
        body: `flow_run_id` and `attempt`.
    """
    row = tx.one("SELECT attempt, state_type FROM flow_runs WHERE id = :id", {"id": body["flow_run_id"]})
    return {
        "open": row is not None and row["attempt"] == body["attempt"] and row["state_type"] not in TERMINAL
    }


@operation("POST", "/runyard/journal/results", durable=False)
def keep_results(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Store results of one root run, before the records that say that their tasks completed.

    Those records are written later and durably, which makes the results durable too.

    Args:
        body: `flow_run_id` and `attempt` as in `write_journal`, and `results`.

    Raises:
        StaleAttempt: a later attempt holds the run.
    """
    refuse_stale_records(tx, body)
    RESULTS.write(tx, body["results"])
    return {}


def refuse_stale_records(tx: Transaction, body: dict[str, Any]) -> None:
    flow_run_id, attempt = body.get("flow_run_id"), body.get("attempt")
    if flow_run_id is None or attempt is None:
        return
    # The lock prevents that another transaction ends the run, or gives it to another attempt, before these
    # records are stored: it would not see them.
    lock = " FOR KEY SHARE" if tx.dialect == "postgresql" else ""
    sql = f"SELECT attempt FROM flow_runs WHERE id = :id{lock}"  # noqa: S608  # fixed
    current = tx.value(sql, {"id": flow_run_id})
    if current != attempt:
        raise StaleAttempt(
            f"attempt {attempt} of flow run {flow_run_id} has ended; its records were rejected"
        )


def _end_what_came_late(tx: Transaction, body: dict[str, Any]) -> None:
    """End the runs that an attempt stored as open after its run was ended as lost: nothing else ends them."""
    values = {"id": body.get("flow_run_id"), "attempt": body.get("attempt")}
    if None in values.values():
        return
    sql = "SELECT 1 FROM leases WHERE flow_run_id = :id AND attempt = :attempt"
    if tx.value(sql, values) is not None:
        return
    run = flow_run_row(tx, body["flow_run_id"])
    if run["state_type"] in (CRASHED, CANCELLED, SCHEDULED):
        message = (json.loads(run["state"]) or {}).get("message")
        type = CANCELLED if run["state_type"] == CANCELLED else CRASHED
        end_open_children(tx, run["id"], message, type)
