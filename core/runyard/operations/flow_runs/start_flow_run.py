"""The start of a flow run: a claimed, a new or a stored run becomes Running. Without pydantic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base.errors import Conflict, StaleAttempt
from runyard.domain import flow_run_rules
from runyard.domain.states import (
    PAUSED,
    PENDING,
    RUNNING,
    SCHEDULED,
    TERMINAL,
    Running,
    State,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import leases
from runyard.operations.flow_runs.change_flow_run_state import change_flow_run_state
from runyard.operations.flow_runs.flow_run_rows import described, flow_run_row, lock_flow_run
from runyard.operations.flow_runs.insert_flow_runs import insert_flow_run
from runyard.operations.json_columns import to_json
from runyard.operations.operation import operation
from runyard.operations.runs.find_or_create_flow import flow_id_of
from runyard.operations.runs.run_records import LOGS, LogRow
from runyard.operations.runs.state_outcome import Outcome
from runyard.store.database import Transaction

if TYPE_CHECKING:
    from runyard.store.database import Row


@operation("POST", "/runyard/journal/start")
def start_flow_run(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Start a run: a run that a worker claimed, or a new run that acquires its own lease.

    Args:
        body: `flow_run_id`, `attempt` (null for a new run), `flow_name`, `name` (null: no change),
            `parameters`, `context` and `empirical_policy` as JSON texts, `tags`, `flow_version`, and for a
            new run `owner`, `lease_seconds`, `place` and `proof`. `again`: start an ended run again.
            `waiting`: start a run that waits for a worker. `start_id`: makes a repeated request safe.
            `beginning`: a LogRow to write if the run becomes Running; its time is set to the start.

    Returns:
        `status`, `reason`, `delay_seconds` and `state` of the proposal; `attempt`, `name`, `flow_id`,
        `run_count`, `retries_used`, `deployment_id`, `tags`, `start_time`, `created`, `resumes` (how often
        it was resumed) and `pause_keys` (the pauses that it has passed) of the run; `now`, the present time.

    Raises:
        StaleAttempt: another attempt holds the run.
        NotFound: the flow run is not found.
        Conflict: with `again`: the run has not ended. With `waiting`: the run does not wait.
    """
    flow_run_id, attempt, again = body["flow_run_id"], body.get("attempt"), bool(body.get("again"))
    lock_flow_run(tx, flow_run_id)  # the same start may run concurrently
    started = _started(tx, body)
    if started is not None:
        return {
            **described(started),
            **_run_facts(flow_run_row(tx, flow_run_id)),
            "now": lease_clock.wall(tx),
        }
    if again or body.get("waiting"):
        attempt = _take_stored(tx, body, waiting=not again)
    elif attempt is None:
        attempt = _create(tx, body)
    else:
        leases.check(tx, flow_run_id, attempt)
        _take_over(tx, body)
    # Forced: a completed run with a stored result starts again only on request, and a waiting run may be due
    # later. Not forced for a suspended run: its deadline may have passed.
    chosen = again or bool(body.get("waiting"))
    force = chosen and flow_run_row(tx, flow_run_id)["state_type"] != PAUSED
    running = Running()
    running.state_details["start_id"] = body.get("start_id")
    outcome = change_flow_run_state(tx, flow_run_id, running, attempt=attempt, force=force)
    now = lease_clock.wall(tx)
    if outcome.status == "ACCEPT" and body.get("beginning"):
        LOGS.write(tx, [LogRow(*body["beginning"])._replace(timestamp=now)])
    return {**described(outcome), **_run_facts(flow_run_row(tx, flow_run_id)), "now": now}


def _create(tx: Transaction, body: dict[str, Any]) -> int:
    """Insert a run that is started by hand, with a lease. Returns its attempt."""
    columns = {
        "id": body["flow_run_id"],
        "name": body["name"],
        "flow_id": flow_id_of(tx, body["flow_name"]),
        "tags": to_json(body["tags"]),
        **{name: body.get(name) for name in ("flow_version", "parameters", "context", "empirical_policy")},
    }
    insert_flow_run(tx, columns, State(PENDING))
    return leases.take(tx, flow_run_row(tx, body["flow_run_id"]), **_holding(body))


def _started(tx: Transaction, body: dict[str, Any]) -> Outcome | None:
    """The outcome of the same start, if this is a repeated request whose response was lost.

    Raises:
        StaleAttempt: another process has started this attempt.
    """
    run = tx.one("SELECT attempt, state FROM flow_runs WHERE id = :id", {"id": body["flow_run_id"]})
    if run is None or body.get("start_id") is None:
        return None
    state = State.from_json(json.loads(run["state"]))
    if state.type != RUNNING:
        return None
    if state.state_details.get("start_id") == body["start_id"]:
        return Outcome(flow_run_rules.ACCEPT, state)
    if body.get("attempt") is not None and body["attempt"] == run["attempt"]:
        raise StaleAttempt(
            f"attempt {run['attempt']} of flow run {body['flow_run_id']} was begun by another process"
        )
    return None


def _take_stored(tx: Transaction, body: dict[str, Any], waiting: bool) -> int:
    """Acquire the lease of a waiting or an ended run for the caller. Returns its attempt."""
    row = flow_run_row(tx, body["flow_run_id"])
    free = leases.holder(tx, row["id"]) is None
    if waiting:
        if row["state_type"] not in (SCHEDULED, PENDING) or not free:
            what = f"flow run '{row['name']}' is {row['state_name']}"
            raise Conflict(f"{what}; only a waiting run can be executed")
    elif row["state_type"] not in TERMINAL and not (row["state_type"] == PAUSED and free):
        raise Conflict(f"flow run '{row['name']}' is {row['state_name']}; only an ended run can start again")
    _take_over(tx, {**body, "name": None})
    return leases.take(tx, row, **_holding(body))


def _holding(body: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `leases.take` for a process that starts a run itself."""
    identity = (body.get("place"), body.get("proof"))
    return {"owner": body["owner"], "lease_seconds": body["lease_seconds"], "identity": identity}


def _take_over(tx: Transaction, body: dict[str, Any]) -> None:
    """Store the values of a claimed run that only its code knows: name, version and retries."""
    row = flow_run_row(tx, body["flow_run_id"])
    known = {name: row[name] for name in ("name", "flow_version", "empirical_policy")}
    policy = {**json.loads(row["empirical_policy"]), **json.loads(body["empirical_policy"])}
    told = {
        "name": body["name"] or row["name"],
        "flow_version": body.get("flow_version") or row["flow_version"],
        "empirical_policy": to_json(policy),
    }
    if told != known:
        tx.execute(
            """UPDATE flow_runs SET name = :name, flow_version = :flow_version,
               empirical_policy = :empirical_policy WHERE id = :id""",
            {"id": row["id"], **told},
        )


def _run_facts(row: Row) -> dict[str, Any]:
    names = (
        "attempt",
        "name",
        "flow_id",
        "run_count",
        "deployment_id",
        "start_time",
        "created",
    )
    policy = json.loads(row["empirical_policy"])
    more = {
        "resumes": policy.get("resumes") or 0,
        "pause_keys": policy.get("pause_keys") or [],
        "retries_used": flow_run_rules.retries_used(policy),
    }
    return {**{name: row[name] for name in names}, "tags": json.loads(row["tags"]), **more}
