"""What a running flow reports: its start, its end, and in groups everything between. Without pydantic.

The bodies are plain dicts, and rows are lists in the order of the column tuples below, so that a
plain script loads no schema library and tens of thousands of records a second pass.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base import clock, ids
from runyard.base.errors import Conflict, NotFound, StaleAttempt
from runyard.domain import flow_run_rules
from runyard.domain.states import (
    CANCELLED,
    CANCELLING,
    CRASHED,
    PAUSED,
    PENDING,
    RUNNING,
    SCHEDULED,
    TERMINAL,
    Running,
    State,
)
from runyard.operations import lease_clock
from runyard.operations.flow_runs import leases, recovery, run_policies, transitions
from runyard.operations.flow_runs.run_rows import decode_state, to_json
from runyard.operations.operation import operation
from runyard.store.database import Transaction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runyard.store.database import Row

_STATE_COLUMNS = ("state_id", "state_type", "state_name", "state_timestamp", "state")
_TIME_COLUMNS = (
    "expected_start_time", "next_scheduled_start_time", "start_time", "end_time", "total_run_time",
)  # fmt: skip
TASK_RUN_COLUMNS = (
    "id", "created", "updated", "name", "flow_run_id", "task_key", "dynamic_key", "task_version",
    "empirical_policy", "tags", "task_inputs", *_STATE_COLUMNS, "run_count", "flow_run_run_count",
    *_TIME_COLUMNS,
)  # fmt: skip
# In place of flow_id the row holds the flow's name.
FLOW_RUN_COLUMNS = (
    "id", "created", "updated", "name", "flow_id", "flow_version", "parameters", "context",
    "empirical_policy", "tags", "parent_task_run_id", "root_flow_run_id", *_STATE_COLUMNS, "run_count",
    *_TIME_COLUMNS,
)  # fmt: skip
TASK_STATE_COLUMNS = ("id", "task_run_id", "type", "name", "timestamp", "message", "data", "state_details")
FLOW_STATE_COLUMNS = ("id", "flow_run_id", *TASK_STATE_COLUMNS[2:])
LOG_COLUMNS = ("id", "name", "level", "message", "timestamp", "flow_run_id", "task_run_id")
RESULT_COLUMNS = ("key", "created", "expires", "flow_run_id", "serializer", "data", "place")

# Rows a statement, largest first. Few sizes, so that prepared statements are found again; many rows
# in one, so that the writing thread seldom gives up the interpreter to the running flow.
_GROUPS = (32, 8, 1)
_KEPT = frozenset(("id", "created", "flow_id", "flow_run_id", "task_key", "dynamic_key"))


class _Table:
    """Writes rows of one table, many to a statement."""

    def __init__(
        self, name: str, columns: tuple[str, ...], update: bool, special: dict[str, str] | None = None
    ) -> None:
        key, *others = columns
        updates = ", ".join(f"{column} = excluded.{column}" for column in others if column not in _KEPT)
        conflict = f"ON CONFLICT ({key}) DO " + (f"UPDATE SET {updates}" if update else "NOTHING")
        row = ", ".join((special or {}).get(column, "?") for column in columns)
        into = f"INSERT INTO {name} ({', '.join(columns)}) VALUES "  # noqa: S608  # constants
        self._statements = {size: f"{into}{', '.join([f'({row})'] * size)} {conflict}" for size in _GROUPS}

    def write(self, tx: Transaction, rows: Sequence[Sequence[Any]]) -> None:
        """Insert the rows; those that exist are updated, or left where a table only grows."""
        at = 0
        for size in _GROUPS:
            sql = self._statements[size]
            while len(rows) - at >= size:
                tx.execute(sql, [value for row in rows[at : at + size] for value in row])
                at += size


_TASK_RUNS = _Table("task_runs", TASK_RUN_COLUMNS, update=True)
_FLOW_RUNS = _Table(
    "flow_runs", FLOW_RUN_COLUMNS, update=True, special={"flow_id": "(SELECT id FROM flows WHERE name = ?)"}
)
_TASK_STATES = _Table("task_run_states", TASK_STATE_COLUMNS, update=False)
_FLOW_STATES = _Table("flow_run_states", FLOW_STATE_COLUMNS, update=False)
_LOGS = _Table("logs", LOG_COLUMNS, update=False)
RESULTS = _Table("results", RESULT_COLUMNS, update=True)


@operation("POST", "/runyard/journal")
def write_journal(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Write a group of records of one root run: all of them or none.

    Args:
        body: `flow_run_id` and `attempt` (both null for tasks outside of any flow), `flows` (names
            that must exist), and rows: `flow_runs`, `flow_run_states`, `task_runs`,
            `task_run_states`, `logs`, `results`. Writing the same group again changes nothing.

    Raises:
        StaleAttempt: the run was given to a later attempt.
    """
    _check_attempt(tx, body)
    for name in body.get("flows") or ():
        flow_id_of(tx, name)
    _FLOW_RUNS.write(tx, body.get("flow_runs") or ())
    _FLOW_STATES.write(tx, body.get("flow_run_states") or ())
    _TASK_RUNS.write(tx, body.get("task_runs") or ())
    _TASK_STATES.write(tx, body.get("task_run_states") or ())
    _LOGS.write(tx, body.get("logs") or ())
    RESULTS.write(tx, body.get("results") or ())
    if body.get("task_runs") or body.get("flow_runs"):
        _end_what_came_late(tx, body)
    return {}


@operation("POST", "/runyard/journal/soon", durable=False)
def write_journal_soon(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """As `write_journal`, without waiting for the disk, for processes that write each record at once.

    Raises:
        StaleAttempt: the run was given to a later attempt.
    """
    return write_journal(tx, body)


@operation("POST", "/runyard/journal/open", write=False)
def is_open(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Whether an attempt of a root run goes on.

    Args:
        body: `flow_run_id` and `attempt`.
    """
    row = tx.one("SELECT attempt, state_type FROM flow_runs WHERE id = :id", {"id": body["flow_run_id"]})
    return {
        "open": row is not None and row["attempt"] == body["attempt"] and row["state_type"] not in TERMINAL
    }


@operation("POST", "/runyard/journal/results", durable=False)
def keep_results(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Keep results of one root run, before anything says that their tasks completed.

    The record that says so comes later and is durable, and what is written before it is so as well then.

    Args:
        body: `flow_run_id` and `attempt` as of `write_journal`, and `results`.

    Raises:
        StaleAttempt: the run was given to a later attempt.
    """
    _check_attempt(tx, body)
    RESULTS.write(tx, body["results"])
    return {}


def _check_attempt(tx: Transaction, body: dict[str, Any]) -> None:
    flow_run_id, attempt = body.get("flow_run_id"), body.get("attempt")
    if flow_run_id is None or attempt is None:
        return
    # The lock keeps others from ending the run, or giving it away, before these records are there: they would
    # not see them.
    lock = " FOR KEY SHARE" if tx.dialect == "postgresql" else ""
    sql = f"SELECT attempt FROM flow_runs WHERE id = :id{lock}"  # noqa: S608  # fixed
    current = tx.value(sql, {"id": flow_run_id})
    if current != attempt:
        raise StaleAttempt(f"attempt {attempt} of flow run {flow_run_id} is over; its records were refused")


def _end_what_came_late(tx: Transaction, body: dict[str, Any]) -> None:
    """End what an attempt recorded as open after its run was ended as lost: nothing else would end it."""
    values = {"id": body.get("flow_run_id"), "attempt": body.get("attempt")}
    if None in values.values():
        return
    sql = "SELECT 1 FROM leases WHERE flow_run_id = :id AND attempt = :attempt"
    if tx.value(sql, values) is not None:
        return
    run = _read(tx, body["flow_run_id"])
    if run["state_type"] in (CRASHED, CANCELLED, SCHEDULED):
        message = (json.loads(run["state"]) or {}).get("message")
        type = CANCELLED if run["state_type"] == CANCELLED else CRASHED
        transitions.crash_open_children(tx, run["id"], message, type)


@operation("POST", "/runyard/journal/start")
def start_flow_run(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Make a run Running: one that a worker claimed, or a new one that takes its own lease.

    Args:
        body: `flow_run_id`, `attempt` (null for a new run), `flow_name`, `name` (null: keep it),
            `parameters`, `context` and `empirical_policy` as JSON texts, `tags`, `flow_version`, and for a
            new run `owner`, `lease_seconds`, and the `place` and `proof` of its death; with `again` it is a
            run that is over and starts anew, with `waiting` one that waits for a worker. With `start_id` the
            call may be sent again. `beginning` is a row of LOG_COLUMNS for a run that becomes Running; its
            time is that of the start.

    Returns:
        `status`, `reason`, `delay_seconds`, `state` of the proposal, and the run: `attempt`, `name`,
        `flow_id`, `run_count`, `retries_used`, `deployment_id`, `tags`, `start_time`, `created`, and how
        often it was resumed by `resumes`, past which pauses by `pause_keys`; and the present by `now`.

    Raises:
        StaleAttempt: the claim was lost meanwhile.
        NotFound: no such run.
        Conflict: a run to start again is not over, or one that waits does so no more.
    """
    flow_run_id, attempt, again = body["flow_run_id"], body.get("attempt"), bool(body.get("again"))
    transitions.hold(tx, flow_run_id)  # the same start may be under way
    started = _started(tx, body)
    if started is not None:
        return {**_described(started), **_run_facts(_read(tx, flow_run_id)), "now": lease_clock.wall(tx)}
    if again or body.get("waiting"):
        attempt = _take_stored(tx, body, waiting=not again)
    elif attempt is None:
        attempt = _create(tx, body)
    else:
        leases.check(tx, flow_run_id, attempt)
        _take_over(tx, body)
    # Forced: a completed run that kept its result starts again only because somebody asked for it. A
    # suspended one may be too late. One that waits may be due later.
    chosen = again or bool(body.get("waiting"))
    force = chosen and _read(tx, flow_run_id)["state_type"] != PAUSED
    running = Running()
    running.state_details["start_id"] = body.get("start_id")
    outcome = transitions.set_flow_run_state(tx, flow_run_id, running, attempt=attempt, force=force)
    now = lease_clock.wall(tx)
    if outcome.status == "ACCEPT" and body.get("beginning"):
        record = dict(zip(LOG_COLUMNS, body["beginning"], strict=True))
        _LOGS.write(tx, [tuple({**record, "timestamp": now}.values())])
    return {**_described(outcome), **_run_facts(_read(tx, flow_run_id)), "now": now}


@operation("POST", "/runyard/journal/state")
def report_state(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Propose a state of a run on behalf of the attempt that executes it.

    Args:
        body: `flow_run_id`, `attempt`, `state` as the API shows states, `force`, and `stopped`: the
            process was asked to stop, so the state is Cancelled if the run is being cancelled, TimedOut if
            it has run as long as it may, and otherwise the given one. Where its worker may start it again
            after a crash, it stays as it is until the worker reports the exit. `logs` are rows of
            LOG_COLUMNS that are written along, `finished` one that is only where the run is in the given
            state then.

    Returns:
        `status`, `reason`, `delay_seconds`, `state`, `run_count`, and whether `finished` was written.

    Raises:
        StaleAttempt: a later attempt holds the run.
    """
    flow_run_id, state = body["flow_run_id"], State.from_json(body["state"])
    proposed = state
    transitions.hold(tx, flow_run_id)
    run = _read(tx, flow_run_id) if body.get("stopped") else None
    lease = None if run is None else leases.holder(tx, flow_run_id)
    if run and lease and run_policies.is_over(lease, run["state_type"], lease_clock.now(tx)):
        outcome = run_policies.time_out(tx, run, body["attempt"])
    else:
        if run and run["state_type"] in (CANCELLING, CANCELLED):
            state = State(CANCELLED, message="the run was cancelled")
        has_worker = lease is not None and lease["worker_id"] is not None
        if run and has_worker and state.type == CRASHED and recovery.may_start_again(tx, flow_run_id):
            leases.check(tx, flow_run_id, body["attempt"])
            why = "the run may start again after a crash, once its process is gone"
            outcome = transitions.Outcome("REJECT", decode_state(run["state"]) or state, why)
        else:
            outcome = transitions.set_flow_run_state(
                tx, flow_run_id, state, force=bool(body.get("force")), attempt=body["attempt"]
            )
    now = _read(tx, flow_run_id)
    finished = (
        body.get("finished")
        if (now["state_type"], now["state_name"]) == (proposed.type, proposed.name)
        else None
    )
    logs = [*(body.get("logs") or ()), *filter(None, (finished,))]
    if logs:
        _check_attempt(tx, body)
        _LOGS.write(tx, logs)
    return {**_described(outcome), "run_count": now["run_count"], "finished": finished is not None}


@operation("POST", "/runyard/journal/lost")
def report_lost_task(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Note that the process which ran a task, beside the one of its flow, is gone.

    Args:
        body: `task_run_id`, `inside` (how the dynamic keys of task runs inside it begin), `message`, and
            `flow_run_id` and `attempt` of the root run, both null outside of flows.

    Raises:
        StaleAttempt: a later attempt holds the run.
    """
    if body.get("flow_run_id") is not None and body.get("attempt") is not None:
        leases.check(tx, body["flow_run_id"], body["attempt"])
    ended = transitions.crash_task_run(
        tx, body["task_run_id"], body["inside"], body["message"], body.get("flow_run_id")
    )
    return {"ended": ended}


def flow_id_of(tx: Transaction, name: str) -> str:
    """The id of the flow of that name, which is made when missing."""
    found = tx.value("SELECT id FROM flows WHERE name = :name", {"name": name})
    if found is None:
        now = clock.now_us()
        tx.execute(
            """INSERT INTO flows (id, created, updated, name) VALUES (:id, :now, :now, :name)
               ON CONFLICT (name) DO NOTHING""",
            {"id": ids.new_id(), "now": now, "name": name},
        )
        found = tx.value("SELECT id FROM flows WHERE name = :name", {"name": name})
    return found


def _create(tx: Transaction, body: dict[str, Any]) -> int:
    """Insert a run started by hand, Pending and leased; returns its attempt."""
    now = clock.now_us()
    state = State(PENDING, timestamp=now, state_details={"flow_run_id": body["flow_run_id"]})
    tx.execute(
        """INSERT INTO flow_runs (id, created, updated, name, flow_id, flow_version, parameters,
               context, empirical_policy, tags, expected_start_time, state_id, state_type, state_name,
               state_timestamp, state)
           VALUES (:id, :now, :now, :name, :flow_id, :flow_version, :parameters, :context, :policy, :tags,
               :now, :state_id, :type, :state_name, :now, :state)""",
        {
            "id": body["flow_run_id"],
            "now": now,
            "name": body["name"],
            "flow_id": flow_id_of(tx, body["flow_name"]),
            "flow_version": body.get("flow_version"),
            "parameters": body["parameters"],
            "context": body.get("context") or "{}",
            "policy": body["empirical_policy"],
            "tags": to_json(body["tags"]),
            "state_id": state.id,
            "type": state.type,
            "state_name": state.name,
            "state": to_json(state.to_json()),
        },
    )
    details = to_json(state.state_details)
    _FLOW_STATES.write(
        tx, [(state.id, body["flow_run_id"], state.type, state.name, now, None, None, details)]
    )
    return leases.take(tx, _read(tx, body["flow_run_id"]), **_holding(body))


def _started(tx: Transaction, body: dict[str, Any]) -> transitions.Outcome | None:
    """What became of this very start, where its answer was lost and it is sent again.

    Raises:
        StaleAttempt: another process has begun this attempt.
    """
    run = tx.one("SELECT attempt, state FROM flow_runs WHERE id = :id", {"id": body["flow_run_id"]})
    if run is None or body.get("start_id") is None:
        return None
    state = State.from_json(json.loads(run["state"]))
    if state.type != RUNNING:
        return None
    if state.state_details.get("start_id") == body["start_id"]:
        return transitions.Outcome(flow_run_rules.ACCEPT, state)
    if body.get("attempt") is not None and body["attempt"] == run["attempt"]:
        raise StaleAttempt(
            f"attempt {run['attempt']} of flow run {body['flow_run_id']} was begun by another process"
        )
    return None


def _take_stored(tx: Transaction, body: dict[str, Any], waiting: bool) -> int:
    """Lease a run that waits, or one that is over, to whoever runs it now; returns its attempt."""
    row = _read(tx, body["flow_run_id"])
    free = leases.holder(tx, row["id"]) is None
    if waiting:
        if row["state_type"] not in (SCHEDULED, PENDING) or not free:
            what = f"flow run '{row['name']}' is {row['state_name']}"
            raise Conflict(f"{what}; only one that waits can be executed")
    elif row["state_type"] not in TERMINAL and not (row["state_type"] == PAUSED and free):
        raise Conflict(f"flow run '{row['name']}' is {row['state_name']}; only one that is over runs again")
    _take_over(tx, {**body, "name": None})
    return leases.take(tx, row, **_holding(body))


def _holding(body: dict[str, Any]) -> dict[str, Any]:
    """How whoever starts a run itself holds it, for `leases.take`."""
    identity = (body.get("place"), body.get("proof"))
    return {"owner": body["owner"], "lease_seconds": body["lease_seconds"], "identity": identity}


def _take_over(tx: Transaction, body: dict[str, Any]) -> None:
    """Note on a claimed run what only its code says: a name, its version and its retries."""
    row = _read(tx, body["flow_run_id"])
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


def _read(tx: Transaction, flow_run_id: str) -> Row:
    row = tx.one("SELECT * FROM flow_runs WHERE id = :id", {"id": flow_run_id})
    if row is None:
        raise NotFound(f"no flow run {flow_run_id}")
    return row


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


def _described(outcome: transitions.Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "reason": outcome.reason,
        "delay_seconds": outcome.delay_seconds,
        "state": outcome.state.to_json() if outcome.state is not None else None,
    }
