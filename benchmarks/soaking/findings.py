"""What a soak left: from the database, and from what the flows noted themselves."""

from __future__ import annotations

import collections
import itertools
import os
from dataclasses import dataclass, field
from typing import Any

from runyard.store.database import Database

from soaking.leaks import leaks, locked
from soaking.spread import Life, Spread, spread

DEPLOYMENT_LIMIT, TAG_LIMIT = 2, 2
_TERMINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
_RETRIES = {"failing": 1}


@dataclass
class Findings:
    """How many runs, attempts or rows are not as they should be; `told` says which."""

    stuck: int = 0
    lost: int = 0
    over_a_limit: int = 0
    started_twice: int = 0
    over_budget: int = 0
    slots_left: int = 0
    starved: int = 0
    left_behind: int = 0
    locked: int = 0
    spread: Spread = field(default_factory=Spread)
    outcomes: dict[str, int] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.told


@dataclass
class Execution:
    """One stretch of time in which code ran: of a flow, or of a task with the tag."""

    run: str
    attempt: int
    count: int
    kind: str
    pid: int
    worker: str
    start: float
    last: float
    ended: bool = False


def pool_limit(workers: int) -> int:
    """Of the pool, for a number of workers: less than they could execute together."""
    return workers * 7 // 3


def find(folder: str, url: str, made: int, lives: list[Life]) -> Findings:
    """Look at everything.

    Args:
        folder: the soak's.
        url: of the database.
        made: how many runs were asked for.
        lives: of all workers that were started.
    """
    database = Database(url)
    with database.transaction(write=False) as tx:
        runs = tx.all(
            """SELECT r.*, d.name AS deployment, d.crash_retries AS allowed FROM flow_runs r
               JOIN deployments d ON d.id = r.deployment_id"""
        )
        held = {table: tx.value(f"SELECT count(*) FROM {table}") for table in ("leases", "limit_slots")}
        pool = tx.value("SELECT concurrency_limit FROM work_pools WHERE name = 'soak'")
        moves = tx.all("SELECT flow_run_id, type FROM flow_run_states ORDER BY flow_run_id, timestamp")
        records = tx.all(
            "SELECT flow_run_id, message FROM logs WHERE name = 'runyard.flow_runs' AND task_run_id IS NULL"
        )
        open_tasks = tx.all(f"SELECT flow_run_id, state FROM task_runs WHERE state_type NOT IN {_TERMINAL}")
    database.close()
    found = Findings(outcomes=dict(collections.Counter(run["state_type"] for run in runs)))
    executions = _executions(folder)
    by_run: dict[str, list[Execution]] = collections.defaultdict(list)
    for each in executions:
        if each.kind != "db":
            by_run[each.run].append(each)
    _look_at_runs(found, runs, by_run, made)
    _look_at_attempts(found, by_run)
    _look_at_records(found, runs, moves, records)
    _look_at_limits(found, executions, pool)
    _look_at_the_rest(found, folder, executions, lives)
    found.slots_left = sum(held.values())
    if found.slots_left:
        found.told.append(f"slots left: {held}")
    if open_tasks:
        found.stuck += len(open_tasks)
        found.told += [f"task run not over: {task}" for task in open_tasks]
    return found


def _executions(folder: str) -> list[Execution]:
    found: dict[tuple[str, ...], list[Execution]] = collections.defaultdict(list)
    with open(f"{folder}/events", encoding="utf-8") as file:
        for line in file:
            event, *what, moment = line.split()
            key = tuple(what)
            if event == "start":
                run, attempt, count, kind, pid, worker = what
                at = float(moment)
                found[key].append(Execution(run, int(attempt), int(count), kind, int(pid), worker, at, at))
            else:
                found[key][-1].last, found[key][-1].ended = float(moment), True
    for key, executions in found.items():
        if not executions[-1].ended:
            # Killed: it executed at least until it last said so.
            text = _read(f"{folder}/moments/{'.'.join(key)}")
            executions[-1].last = max(executions[-1].start, float(text or 0))
    return [each for executions in found.values() for each in executions]


def _read(path: str) -> str:
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as file:
        return file.read()


def _look_at_runs(
    found: Findings, runs: list[dict[str, Any]], by_run: dict[str, list[Execution]], made: int
) -> None:
    if len(runs) != made:
        found.lost += abs(made - len(runs))
        found.told.append(f"{made} runs were made, {len(runs)} are there")
    for run in runs:
        its = f"{run['deployment']} {run['id']}"
        executions = by_run[run["id"]]
        if run["state_type"] not in _TERMINAL:
            found.stuck += 1
            found.told.append(f"stuck in {run['state_name']}, attempt {run['attempt']}: {its} {run['state']}")
        elif run["state_type"] == "COMPLETED":
            if not any(each.ended and each.attempt == run["attempt"] for each in executions):
                found.lost += 1
                found.told.append(f"Completed by an attempt that did not end: {its}")
        elif run["state_type"] == "CRASHED":
            if run["crash_count"] <= run["allowed"]:
                found.lost += 1
                found.told.append(
                    f"Crashed with {run['crash_count']} of {run['allowed']} crash retries: {its}"
                )
        elif run["deployment"] != "failing" or run["state_type"] != "FAILED":
            found.lost += 1
            found.told.append(f"{run['state_name']}, which no flow asked for: {its}")
        most = _RETRIES.get(run["deployment"], 0) + 1 + min(run["crash_count"], run["allowed"])
        if len(executions) > most or run["crash_count"] > run["allowed"] + 1:
            found.over_budget += 1
            found.told.append(f"executed {len(executions)} times, {most} allowed: {its}")


def _look_at_attempts(found: Findings, by_run: dict[str, list[Execution]]) -> None:
    """No attempt is begun twice, and no two attempts of a run execute at a time."""
    for run, executions in by_run.items():
        starts = collections.Counter((each.attempt, each.count) for each in executions)
        pids = collections.defaultdict(set)
        for each in executions:
            pids[each.attempt].add(each.pid)
        twice = [key for key, count in starts.items() if count > 1]
        twice += [(attempt, 0) for attempt, which in pids.items() if len(which) > 1]
        ordered = sorted(executions, key=lambda each: each.start)
        beside = [b for a, b in itertools.pairwise(ordered) if b.start < a.last]
        if twice or beside:
            found.started_twice += 1
            found.told.append(f"begun twice or side by side: {run} {twice} {len(beside)}")


def _look_at_records(
    found: Findings, runs: list[dict[str, Any]], moves: list[dict[str, Any]], records: list[dict[str, Any]]
) -> None:
    """Each attempt that began, and each end that a run reported, is told by one record."""
    begun = collections.Counter(
        after["flow_run_id"]
        for before, after in itertools.pairwise(moves)
        if (before["type"], after["type"]) == ("PENDING", "RUNNING")
        and before["flow_run_id"] == after["flow_run_id"]
    )
    told = collections.Counter((each["flow_run_id"], each["message"].split()[0]) for each in records)
    for run in runs:
        first, last = told[run["id"], "Beginning"], told[run["id"], "Finished"]
        if first != begun[run["id"]] or (run["state_type"] in ("COMPLETED", "FAILED") and last != 1):
            found.lost += 1
            found.told.append(f"begun {begun[run['id']]} times, told {first} and {last} times: {run['id']}")


def _look_at_limits(found: Findings, executions: list[Execution], pool: int) -> None:
    flows = [each for each in executions if each.kind != "db"]
    for what, limit, which in (
        ("pool", pool, flows),
        ("deployment", DEPLOYMENT_LIMIT, [each for each in flows if each.kind == "limited"]),
        ("tag", TAG_LIMIT, [each for each in executions if each.kind == "db"]),
    ):
        most = _at_a_time(which)
        if most > limit:
            found.over_a_limit += 1
            found.told.append(f"{most} at a time, the limit of the {what} is {limit}")


def _at_a_time(executions: list[Execution]) -> int:
    changes = sorted([(each.start, 1) for each in executions] + [(each.last, -1) for each in executions])
    most = now = 0
    for _moment, change in changes:
        now += change
        most = max(most, now)
    return most


def _look_at_the_rest(found: Findings, folder: str, executions: list[Execution], lives: list[Life]) -> None:
    """How the starts were spread, what is left on the machine, and what the processes said."""
    starts = [(each.start, each.worker) for each in executions if each.kind != "db"]
    found.spread, starved = spread(lives, starts)
    left, said = leaks(folder), locked(folder)
    found.starved, found.left_behind, found.locked = len(starved), len(left), len(said)
    found.told += [*starved, *left, *said]
