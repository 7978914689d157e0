"""Explains how a run failed, in one sentence: which of its tasks failed first, and with which error."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import Field

from runyard.base import texts
from runyard.base.texts import counted
from runyard.domain.states import CRASHED, FAILED, State
from runyard.operations.runs.removal import chunks, named
from runyard.operations.runs.state_columns import state_of
from runyard.operations.schemas import Model, Time, load, moment
from runyard.store.database import Row, Transaction

# The most failed task runs that are read, and the most different errors and names that a sentence has.
_READ, _ERRORS, _NAMES = 200, 3, 3
# How deep the calls of subflows are followed.
_DEPTH = 20
_LINE = 300
_PREFIXES = ("Flow run encountered an exception: ", "Task run encountered an exception: ")
_UPSTREAM = "UpstreamTaskError: "
_SUMS = (" states failed.", " states are not final.")


class FailedRun(Model):
    """A task run or flow run whose error is a cause of the failure. `error` is without its traceback."""

    id: str
    kind: str
    name: str
    flow_run_id: str
    flow_run_name: str
    state_name: str
    error: str
    ended: Time | None = None


class Failure(Model):
    """How a run failed.

    `summary` is one sentence. `error` is the run's own error, null if it only passed on that of `causes`.
    `tasks`, `failed` and `not_run` count the task runs of its last attempt, with those of its subflows.
    `retry` is the command that runs it again.
    """

    summary: str
    error: str | None = None
    tasks: int = 0
    failed: int = 0
    not_run: int = 0
    causes: list[FailedRun] = Field(default_factory=list)
    retry: str


def explain_failure(tx: Transaction, run: Row, state: State) -> Failure | None:
    """Explain the failure of an ended run. None if the run did not fail.

    Args:
        run: the row of the run.
        state: its state.
    """
    if state.type not in (FAILED, CRASHED):
        return None
    error = error_of(state)
    # When a process ends, its open runs end with its message: they are no causes.
    causes = [one for one in _causes(tx, run, _DEPTH) if state.type != CRASHED or one.error != error]
    causes = _once(causes)
    counts = _counts(tx, run)
    known = {cause.error for cause in causes}
    passed_on = error in known or error.startswith(_UPSTREAM) or error.endswith(_SUMS)
    own = None if causes and passed_on else error
    parts = [_line(own)] if own else []
    if causes:
        parts.append(_tasks_sentence(counts, causes, run["id"]))
    return Failure(
        summary="; ".join(part.rstrip(".") for part in parts) + ".",
        error=own,
        tasks=counts["all"],
        failed=counts["failed"],
        not_run=counts["not_run"],
        causes=causes,
        retry=_retry(tx, run),
    )


def _retry(tx: Transaction, run: Row) -> str:
    """The command that runs a run again; a subflow run runs again with its root run."""
    root = run["root_flow_run_id"]
    deployment_id = run["deployment_id"]
    if root:
        deployment_id = tx.value("SELECT deployment_id FROM flow_runs WHERE id = :id", {"id": root})
    command = f"runyard flow-run retry {root or run['id']}"
    if deployment_id is None:
        command += " --entrypoint FILE.py:FLOW"
    return command


def error_of(state: State | None) -> str:
    """The error of a state: its message without the words that say which kind of run it is."""
    message = (state.message or "") if state is not None else ""
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message.strip() or (f"it ended as {state.name}" if state is not None else "unknown")


def _line(error: str) -> str:
    """An error on one line, with at most as many characters as a sentence may have."""
    lines = [line.strip() for line in error.splitlines()]
    return texts.shortened("; ".join(line for line in lines if line), _LINE)


def _tasks_sentence(counts: Counter[str], causes: list[FailedRun], run_id: str) -> str:
    beginning = f"{counts['failed']:,} of {counted(counts['all'], 'task')} failed"
    if not counts["failed"]:
        beginning = "no task failed, but a subflow run"
    if counts["not_run"]:
        beginning += f", {counts['not_run']:,} did not run"
    by_error: dict[str, list[str]] = {}
    for cause in causes:
        inside = "" if cause.flow_run_id in (run_id, cause.id) else f" of {cause.flow_run_name}"
        by_error.setdefault(cause.error, []).append(f"{cause.name}{inside}")
    told = [f"{_names(names)}: {_line(error)}" for error, names in list(by_error.items())[:_ERRORS]]
    if len(by_error) > _ERRORS:
        told.append(counted(len(by_error) - _ERRORS, "more error"))
    return f"{beginning}: {'; '.join(told)}"


def _names(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def last_attempt(tx: Transaction, run: Row) -> int:
    """The attempt of the run whose task runs count. Those of earlier attempts stay beside them."""
    sql = "SELECT max(flow_run_run_count) FROM task_runs WHERE flow_run_id = :id"
    newest = int(tx.value(sql, {"id": run["id"]}) or 0)
    # Task runs of clients that do not count attempts have 0.
    return max(newest, int(run["run_count"])) if newest else 0


def _causes(tx: Transaction, run: Row, depth: int) -> list[FailedRun]:
    """The runs inside a run with which its failure began, the earliest end first."""
    rows = tx.all(
        f"""SELECT * FROM task_runs WHERE flow_run_id = :id AND state_type IN ('FAILED', 'CRASHED')
            AND flow_run_run_count >= :attempt ORDER BY expected_start_time, id LIMIT {_READ}""",  # noqa: S608  # constants
        {"id": run["id"], "attempt": last_attempt(tx, run)},
    )
    called = called_runs(tx, [row["id"] for row in rows])
    found: list[FailedRun] = []
    for row in _innermost(rows):
        other = called.get(row["id"])
        if other is None:
            found.append(_failed(row, "task_run", run))
        elif depth:
            found += _causes(tx, other, depth - 1) or [_failed(other, "flow_run", other)]
    return sorted(found, key=lambda each: (each.ended is None, each.ended))


def called_runs(tx: Transaction, task_run_ids: list[str]) -> dict[str, Row]:
    """The flow runs that task runs stand for, by the id of the task run."""
    found: dict[str, Row] = {}
    for ids in chunks(task_run_ids):
        wanted, values = named(ids, "t")
        sql = f"SELECT * FROM flow_runs WHERE parent_task_run_id IN ({wanted})"  # noqa: S608  # names
        found.update((row["parent_task_run_id"], row) for row in tx.all(sql, values))
    return found


def _innermost(rows: list[Row]) -> list[Row]:
    """Task runs without those that only passed on the error of a task run inside them."""
    errors = {row["id"]: error_of(state_of(row)) for row in rows}
    passed_on = set()
    for row in rows:
        for parent in load(row["task_inputs"], {}).get("__parents__", []):
            if errors.get(parent.get("id")) == errors[row["id"]]:
                passed_on.add(parent["id"])
    return [row for row in rows if row["id"] not in passed_on]


def _failed(row: Row, kind: str, run: Row) -> FailedRun:
    values: dict[str, Any] = {"id": row["id"], "kind": kind, "name": row["name"]}
    return FailedRun(
        **values,
        flow_run_id=run["id"],
        flow_run_name=run["name"],
        state_name=row["state_name"] or "",
        error=error_of(state_of(row)),
        ended=moment(row["end_time"]),
    )


def _once(causes: list[FailedRun]) -> list[FailedRun]:
    """The causes with each run once, those with the same error together, in the order of their first one."""
    by_error: dict[str, dict[str, FailedRun]] = {}
    for cause in causes:
        by_error.setdefault(cause.error, {})[cause.id] = cause
    return [cause for same in by_error.values() for cause in same.values()]


def _counts(tx: Transaction, run: Row) -> Counter[str]:
    """How many task runs the last attempt has, with those of its subflows: all, failed, not_run."""
    root = run["root_flow_run_id"] or run["id"]
    inner = tx.all(
        """SELECT r.id, r.run_count, r.parent_task_run_id, t.flow_run_id AS caller,
               t.flow_run_run_count AS attempt
           FROM flow_runs r JOIN task_runs t ON t.id = r.parent_task_run_id
           WHERE r.root_flow_run_id = :root""",
        {"root": root},
    )
    callers: dict[str, list[Row]] = {}
    for row in inner:
        callers.setdefault(row["caller"], []).append(row)
    counts: Counter[str] = Counter()
    waiting, seen = [run], {run["id"]}
    while waiting:
        one = waiting.pop()
        attempt = last_attempt(tx, one)
        counts += _counts_of(tx, one["id"], attempt)
        for row in callers.get(one["id"], ()):
            if row["attempt"] >= attempt and row["id"] not in seen:
                seen.add(row["id"])
                waiting.append(row)
    return counts


def _counts_of(tx: Transaction, flow_run_id: str, attempt: int) -> Counter[str]:
    """The counts of one flow run, without the task runs that stand for subflow runs."""
    rows = tx.all(
        """SELECT t.state_type AS type, t.state_name AS name, count(*) AS number FROM task_runs t
           WHERE t.flow_run_id = :id AND t.flow_run_run_count >= :attempt
           AND NOT EXISTS (SELECT 1 FROM flow_runs r WHERE r.parent_task_run_id = t.id)
           GROUP BY t.state_type, t.state_name""",
        {"id": flow_run_id, "attempt": attempt},
    )
    counts: Counter[str] = Counter()
    for row in rows:
        counts["all"] += int(row["number"])
        if row["type"] in (FAILED, CRASHED):
            counts["failed"] += int(row["number"])
        if row["name"] == "NotReady":
            counts["not_run"] += int(row["number"])
    return counts
