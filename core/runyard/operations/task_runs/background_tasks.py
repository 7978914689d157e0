"""Background tasks: task runs that wait for a process that serves their task. Without pydantic.

A row holds the payload of the run, its executor and the expiry of the executor's lease, and at the end the
outcome. `attempt` is the fencing token: reports of an executor that lost its lease are rejected. The SDK
creates and reads payloads and outcomes; this module does not read them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runyard.base import clock
from runyard.base.errors import NotFound, StaleAttempt
from runyard.domain.states import CRASHED, PENDING, RUNNING, TERMINAL, Scheduled, State
from runyard.operations import lease_clock
from runyard.operations.flow_runs import write_journal
from runyard.operations.limits import limit_slots
from runyard.operations.operation import operation
from runyard.operations.runs import enter_state, state_columns
from runyard.store.database import Transaction

if TYPE_CHECKING:
    from runyard.store.database import Row

# A task that crashes its server is not given to further servers after this many losses.
MOST_LOSSES = 5
_MOST_AT_ONCE = 100
_COLUMNS = ("task_run_id", "created", "task", "payload")
_OPEN = """background.done IS NULL AND background.task = :task
    AND (background.expires IS NULL OR background.expires <= :now)
    AND NOT EXISTS (
        SELECT 1 FROM background_waits AS waits
        JOIN background_tasks AS upstream ON upstream.task_run_id = waits.upstream_id
        WHERE waits.task_run_id = background.task_run_id AND upstream.done IS NULL)"""
_FIND = (
    "SELECT background.task_run_id, background.created, background.expires, background.attempt "  # noqa: S608  # fixed
    f"FROM background_tasks AS background WHERE {_OPEN} "
    "ORDER BY background.created, background.task_run_id LIMIT :room"
)


@operation("POST", "/runyard/background_tasks")
def submit_background_tasks(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Submit task runs in the background: all of them or none.

    Args:
        body: `task_runs` and `task_run_states` as rows of `write_journal`, and `tasks`: for each run a
            mapping with `task_run_id`, `created` (microseconds), `task` (the task key), `payload`, and
            `upstream` (ids of background runs that must end before).
    """
    write_journal.write_journal(
        tx, {"task_runs": body["task_runs"], "task_run_states": body["task_run_states"]}
    )
    for given in body["tasks"]:
        tx.execute(
            """INSERT INTO background_tasks (task_run_id, created, task, payload)
               VALUES (:task_run_id, :created, :task, :payload) ON CONFLICT (task_run_id) DO NOTHING""",
            {name: given[name] for name in _COLUMNS},
        )
        for upstream in given.get("upstream") or ():
            tx.execute(
                """INSERT INTO background_waits (task_run_id, upstream_id) VALUES (:id, :upstream)
                   ON CONFLICT (task_run_id, upstream_id) DO NOTHING""",
                {"id": given["task_run_id"], "upstream": upstream},
            )
    return {}


@operation("POST", "/runyard/background_tasks/due", write=False)
def look_for_background_tasks(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Check whether a claim would find a task run, without claiming it.

    Args:
        body: `tasks`: the keys of the served tasks.

    Returns:
        `due`: whether a task run can start now. `seconds_to_expiry`: when the first lease of these tasks
        expires, or null.
    """
    now = lease_clock.now(tx)
    expiries = []
    for task in body["tasks"]:
        if tx.one(_FIND, {"task": task, "now": now, "room": 1}) is not None:
            return {"due": True, "seconds_to_expiry": None}
        expiry = tx.value(
            "SELECT min(expires) FROM background_tasks WHERE task = :task AND done IS NULL", {"task": task}
        )
        if expiry is not None:
            expiries.append((expiry - now) / 1e6)
    return {"due": False, "seconds_to_expiry": min(expiries, default=None)}


@operation("POST", "/runyard/background_tasks/claim")
def claim_background_tasks(tx: Transaction, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Claim waiting task runs, oldest first. Each task run is claimed by one server only.

    If the server of a task run was lost, the task run can be claimed again, up to `MOST_LOSSES` losses.

    Args:
        body: `tasks` (keys), `owner`, `lease_seconds`, `limit`, and `place` and `proof`: the machine and the
            lock file by which another process can prove that the caller is dead, or null.

    Returns:
        For each task run: `task_run_id`, `attempt`, `task`, `payload`, and of its run `name`, `task_key`,
        `dynamic_key`, `task_version`, `policy`, `tags`, `task_inputs`, `created`, `start_time`,
        `total_run_time`, `run_count`.
    """
    now, limit = lease_clock.tick(tx), min(int(body["limit"]), _MOST_AT_ONCE)
    found: list[tuple[int, str, str]] = []
    for task in body["tasks"]:
        rows = tx.all(_FIND, {"task": task, "now": now, "room": limit})
        found.extend((row["created"], row["task_run_id"], task) for row in rows)
    claimed: list[dict[str, Any]] = []
    for _, task_run_id, _task in sorted(found):
        if len(claimed) >= limit:
            break
        taken = _take(tx, task_run_id, body, now)
        if taken is not None:
            claimed.append(taken)
    return claimed


def _take(tx: Transaction, task_run_id: str, body: dict[str, Any], now: int) -> dict[str, Any] | None:
    """Give a task run to a server. None if another server was faster, or the run has ended."""
    lock = " FOR UPDATE SKIP LOCKED" if tx.dialect == "postgresql" else ""
    row = tx.one(f"SELECT * FROM background_tasks WHERE task_run_id = :id{lock}", {"id": task_run_id})  # noqa: S608  # fixed
    if row is None or row["done"] is not None or (row["expires"] is not None and row["expires"] > now):
        return None
    run = tx.one("SELECT * FROM task_runs WHERE id = :id", {"id": task_run_id})
    if run is None or run["state_type"] in TERMINAL:
        # Deleted, or cancelled while it waited.
        _close(tx, task_run_id, clock.now_us(), None)
        return None
    message = None
    if row["expires"] is not None:
        if row["attempt"] >= MOST_LOSSES:
            text = f"The process that ran it was lost {row['attempt']} times; it is not tried again."
            _enter(tx, run, State(CRASHED, message=text))
            _close(tx, task_run_id, clock.now_us(), None)
            return None
        message = "The process that ran it was lost; it runs again."
    # The interrupted try does not count.
    run_count = run["run_count"] - (run["state_type"] == RUNNING)
    tx.execute(
        """UPDATE background_tasks SET attempt = attempt + 1, owner = :owner, expires = :expires,
               place = :place, proof = :proof WHERE task_run_id = :id""",
        {
            "id": task_run_id,
            "owner": body["owner"],
            "expires": now + int(body["lease_seconds"] * 1e6),
            "place": body.get("place"),
            "proof": body.get("proof"),
        },
    )
    _enter(tx, run, State(PENDING, message=message))
    return {
        "task_run_id": task_run_id,
        "attempt": row["attempt"] + 1,
        "task": row["task"],
        "payload": row["payload"],
        "policy": run["empirical_policy"],
        "tags": json.loads(run["tags"]),
        "task_inputs": json.loads(run["task_inputs"]),
        "run_count": run_count,
        **{name: run[name] for name in _OF_RUN},
    }


_OF_RUN = ("name", "task_key", "dynamic_key", "task_version", "created", "start_time", "total_run_time")


@operation("POST", "/runyard/background_tasks/renew")
def renew_background_tasks(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Renew the leases of the task runs that a server executes.

    Args:
        body: `held` (pairs of id and attempt) and `lease_seconds` from now. 0 releases them, so that another
            server can claim them at once.

    Returns:
        `lost`: the ids of the task runs that the caller no longer holds.
    """
    now = lease_clock.tick(tx)
    seconds = body["lease_seconds"]
    expires = now + int(seconds * 1e6) if seconds > 0 else None
    lost = []
    for task_run_id, attempt in body["held"]:
        kept = tx.execute(
            """UPDATE background_tasks SET expires = :expires
               WHERE task_run_id = :id AND attempt = :attempt AND done IS NULL""",
            {"id": task_run_id, "attempt": attempt, "expires": expires},
        )
        if not kept:
            lost.append(task_run_id)
    return {"lost": lost}


@operation("POST", "/runyard/background_tasks/report")
def report_background_task(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Write the journal of a task run, and with `outcome` its end, in one transaction.

    Args:
        body: `task_run_id`, `attempt`, `journal` (a body of `write_journal`), and `outcome` at the end.

    Raises:
        StaleAttempt: another server has claimed the task run.
        NotFound: the task run was deleted.
    """
    row = _locked(tx, body["task_run_id"])
    if row["attempt"] != body["attempt"] or row["done"] is not None:
        raise StaleAttempt(
            f"attempt {body['attempt']} of task run {body['task_run_id']} has ended; its report was rejected"
        )
    write_journal.write_journal(tx, {**body["journal"], "flow_run_id": None, "attempt": None})
    if "outcome" in body:
        _close(tx, body["task_run_id"], clock.now_us(), body["outcome"])
    return {}


@operation("POST", "/runyard/background_tasks/read", write=False)
def read_background_task(tx: Transaction, body: dict[str, Any]) -> dict[str, Any]:
    """Read the state of a background task run.

    Args:
        body: `task_run_id`.

    Returns:
        `state` as the API shows states, `done` (whether it has ended) and `outcome` (null before the end, or
        if the run has no outcome).

    Raises:
        NotFound: the task run is not found.
    """
    task_run_id = body["task_run_id"]
    run = tx.one(
        """SELECT run.state, run.state_type, background.done, background.outcome FROM task_runs run
           LEFT JOIN background_tasks background ON background.task_run_id = run.id WHERE run.id = :id""",
        {"id": task_run_id},
    )
    if run is None:
        raise NotFound(f"task run {task_run_id} not found; see: runyard task-run ls")
    over = run["done"] is not None or run["state_type"] in TERMINAL
    return {"state": json.loads(run["state"]), "done": over, "outcome": run["outcome"]}


def reschedule_lost(tx: Transaction) -> int:
    """Set the task runs of lost servers to Scheduled. Returns the number of task runs.

    Their leases stay expired, so that a claim counts the loss.
    """
    rows = tx.all(
        """SELECT run.* FROM task_runs run JOIN background_tasks background ON background.task_run_id = run.id
           WHERE background.done IS NULL AND background.expires <= :now
           AND run.state_type IN ('PENDING', 'RUNNING')""",
        {"now": lease_clock.now(tx)},
    )
    for run in rows:
        # Release the concurrency slots of the lost process.
        limit_slots.release_of_run(tx, run["id"])
        state = Scheduled(message="The process that ran it was lost; it waits for another one.")
        # The interrupted try does not count.
        tx.execute(
            "UPDATE task_runs SET run_count = :count WHERE id = :id",
            {"id": run["id"], "count": run["run_count"] - (run["state_type"] == RUNNING)},
        )
        run["run_count"] -= run["state_type"] == RUNNING
        _enter(tx, run, state)
    return len(rows)


def release_dead(tx: Transaction, proof: str) -> None:
    """Expire the leases of a server that is proved to be dead."""
    tx.execute(
        """UPDATE background_tasks SET expires = :now
           WHERE proof = :proof AND done IS NULL AND expires > :now""",
        {"proof": proof, "now": lease_clock.now(tx)},
    )


def _locked(tx: Transaction, task_run_id: str) -> Row:
    lock = " FOR UPDATE" if tx.dialect == "postgresql" else ""
    row = tx.one(
        f"SELECT attempt, done FROM background_tasks WHERE task_run_id = :id{lock}",  # noqa: S608  # fixed
        {"id": task_run_id},
    )
    if row is None:
        raise NotFound(f"no background task run {task_run_id}")
    return row


def _enter(tx: Transaction, run: Row, state: State) -> None:
    """Set the state of a task run without applying rules."""
    state = enter_state.after(state, run["state_timestamp"])
    state.state_details["task_run_id"] = run["id"]
    columns = enter_state.entered(run, state)
    tx.execute(
        f"UPDATE task_runs SET {state_columns.SET_STATE_COLUMNS} WHERE id = :id",  # noqa: S608  # fixed names
        {"id": run["id"], **columns},
    )
    enter_state.insert_states(tx, "task_run", [(run["id"], state)])


def _close(tx: Transaction, task_run_id: str, now: int, outcome: str | None) -> None:
    """Mark the task run as done, and delete its payload, which is no longer needed."""
    tx.execute(
        """UPDATE background_tasks SET done = :now, expires = NULL, payload = '', outcome = :outcome
           WHERE task_run_id = :id""",
        {"id": task_run_id, "now": now, "outcome": outcome},
    )
    tx.execute("DELETE FROM background_waits WHERE task_run_id = :id", {"id": task_run_id})
