"""Cancels, retries or deletes all flow runs that a filter matches: counted first, then a part per call.

Prefect's bulk routes change or delete the first runs that a filter matches, at most 50 in a call.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from pydantic import Field

from runyard.base import clock
from runyard.base.errors import NotFound
from runyard.domain.flow_run_rules import ACCEPT
from runyard.domain.states import (
    CANCELLED,
    CANCELLING,
    COMPLETED,
    CRASHED,
    FAILED,
    PAUSED,
    PENDING,
    RUNNING,
    SCHEDULED,
    AwaitingRetry,
    State,
)
from runyard.operations.filters import query
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.flow_run_shapes import OrchestrationResult, answer_of
from runyard.operations.operation import operation
from runyard.operations.runs import removal
from runyard.operations.schemas import (
    MOST_AT_ONCE,
    AtOnce,
    BulkDelete,
    Filter,
    Model,
    Query,
    StateCreate,
)
from runyard.store.database import Row, Transaction

Action = Literal["cancel", "retry", "delete"]
# The states in which each change is possible.
_STATES = {
    "cancel": (SCHEDULED, PENDING, RUNNING, PAUSED),
    "retry": (FAILED, CRASHED, CANCELLED, COMPLETED),
    "delete": (SCHEDULED, PAUSED, FAILED, CRASHED, CANCELLED, COMPLETED),
}
_MOST = 200
# After this time a transaction commits what it has done, because other writers wait for it.
_SECONDS_AT_ONCE = 0.05
# A subflow run changes with the run that called it.
_ROOTS = "r.root_flow_run_id IS NULL"


class BulkFilter(Filter):
    """Which flow runs to change, and how: `cancel`, `retry` or `delete`."""

    action: Action


class BulkChange(BulkFilter):
    """A part of a change. The first call omits `after`, the next ones give the `next` of the last answer.

    `until` is the `until` of the count, so that runs that came later are not changed. `limit`: the most runs
    of this call, default and maximum 200.
    """

    after: str = ""
    until: str = Field(min_length=1)
    limit: int = Field(default=_MOST, ge=1, le=_MOST)


class BulkCount(Model):
    """How many flow runs a change would change, and how many it would leave out, by state name.

    `unknown_code` counts runs without a deployment, which cannot be retried from here.
    """

    count: int = 0
    states: dict[str, int] = Field(default_factory=dict)
    left_out: dict[str, int] = Field(default_factory=dict)
    unknown_code: int = 0
    until: str = ""


class ChangedRun(Model):
    """A flow run that a call tried to change. `reason` tells why it did not change; null if it did."""

    id: str
    name: str
    state_name: str | None = None
    reason: str | None = None


class BulkPart(Model):
    """What a call did. `next` is null at the end."""

    runs: list[ChangedRun] = Field(default_factory=list)
    next: str | None = None


class FlowRunBulkDelete(Query):
    """Which flow runs to delete: a filter; `limit`: the most of this call, default and maximum 50."""

    flow_runs: dict[str, Any] | None = None
    limit: AtOnce | None = None


class FlowRunBulkSetState(FlowRunBulkDelete):
    """Which flow runs to propose a state for. `force` skips the rules."""

    state: StateCreate
    force: bool = False


class FlowRunStateResult(OrchestrationResult):
    """The outcome for one flow run."""

    flow_run_id: str


class FlowRunStateResults(Model):
    """The outcome for each flow run, in the order of the listing."""

    results: list[FlowRunStateResult] = Field(default_factory=list)


@operation("POST", "/runyard/flow_runs/bulk/count")
def count_bulk_change(tx: Transaction, body: BulkFilter) -> BulkCount:
    """Count the flow runs that a bulk change would change.

    Raises:
        InvalidInput: a filter or an operator is unknown.
    """
    conditions, values = _matching(tx, body)
    where = " AND ".join(conditions)
    counted = BulkCount()
    rows = tx.all(
        "SELECT r.state_type AS type, r.state_name AS name, r.deployment_id IS NULL AS alone, "  # noqa: S608  # closed lists
        f"count(*) AS number, max(r.id) AS newest FROM flow_runs r WHERE {where} GROUP BY 1, 2, 3",
        values,
    )
    for row in rows:
        name, number = row["name"] or "no state", int(row["number"])
        if row["type"] not in _STATES[body.action]:
            counted.left_out[name] = counted.left_out.get(name, 0) + number
        elif body.action == "retry" and row["alone"]:
            counted.unknown_code += number
        else:
            counted.count += number
            counted.states[name] = counted.states.get(name, 0) + number
            counted.until = max(counted.until, row["newest"])
    return counted


@operation("POST", "/runyard/flow_runs/bulk")
def change_flow_runs(tx: Transaction, body: BulkChange) -> BulkPart:
    """Change a part of the flow runs that a filter matches, in the order of their ids.

    Raises:
        InvalidInput: a filter or an operator is unknown.
    """
    conditions, values = _matching(tx, body)
    types = {f"type{at}": type for at, type in enumerate(_STATES[body.action])}
    conditions += [
        "r.id > :after",
        "r.id <= :until",
        f"r.state_type IN ({', '.join(':' + one for one in types)})",
    ]
    if body.action == "retry":
        conditions.append("r.deployment_id IS NOT NULL")
    rows = tx.all(
        "SELECT r.id, r.name, r.state_type, r.state_name FROM flow_runs r "  # noqa: S608  # closed lists
        f"WHERE {' AND '.join(conditions)} ORDER BY r.id LIMIT :most",
        {**values, **types, "after": body.after, "until": body.until, "most": body.limit},
    )
    began, part = time.monotonic(), BulkPart()
    for row in rows:
        part.runs.append(_change(tx, row, body.action))
        if time.monotonic() - began > _SECONDS_AT_ONCE:
            break
    if part.runs and (len(part.runs) < len(rows) or len(rows) == body.limit):
        part.next = part.runs[-1].id
    return part


@operation("POST", "/flow_runs/bulk_delete")
def bulk_delete_flow_runs(tx: Transaction, body: FlowRunBulkDelete) -> BulkDelete:
    """Delete the first flow runs that a filter matches, newest first, with records and subflow runs.

    Returns:
        The ids of the matching runs that were deleted.

    Raises:
        InvalidInput: a filter or an operator is unknown, or `limit` is out of range.
    """
    found = _first(tx, body)
    removal.remove_runs(tx, removal.with_subflows(tx, found), (), clock.now_us())
    return BulkDelete(deleted=found)


@operation("POST", "/flow_runs/bulk_set_state")
def bulk_set_flow_run_state(tx: Transaction, body: FlowRunBulkSetState) -> FlowRunStateResults:
    """Propose a state for the first flow runs that a filter matches, the newest first.

    Raises:
        InvalidInput: a filter or an operator is unknown, or `limit` is out of range.
    """
    results = []
    for flow_run_id in _first(tx, body):
        try:
            outcome = change_flow_run_state(tx, flow_run_id, body.state.to_state(), force=body.force)
        except NotFound:  # deleted since it was listed
            continue
        told = dict(answer_of(outcome).result)
        results.append(FlowRunStateResult(flow_run_id=flow_run_id, **told))
    return FlowRunStateResults(results=results)


def _first(tx: Transaction, body: FlowRunBulkDelete) -> list[str]:
    asked = {"flow_runs": body.flow_runs, "limit": body.limit or MOST_AT_ONCE}
    return [row["id"] for row in query.search(tx, "flow_runs", asked, "r.id")]


def _matching(tx: Transaction, body: BulkFilter) -> tuple[list[str], dict[str, Any]]:
    conditions, values = query.conditions(tx, "flow_runs", body.model_dump())
    return [_ROOTS, *conditions], values


def _change(tx: Transaction, row: Row, action: Action) -> ChangedRun:
    run = ChangedRun(id=row["id"], name=row["name"], state_name=row["state_name"])
    if action == "delete":
        removal.remove_runs(tx, removal.with_subflows(tx, [row["id"]]), (), clock.now_us())
        return run
    retry = action == "retry"
    state = AwaitingRetry() if retry else State(CANCELLING)
    outcome = change_flow_run_state(tx, row["id"], state, force=retry)
    run.state_name = outcome.state.name
    if outcome.status != ACCEPT and not (action == "cancel" and outcome.state.type == CANCELLED):
        run.reason = outcome.reason or f"it is {outcome.state.name}"
    return run
