"""`runyard database prune` and `database stats`: what goes, what is told, and one that is killed at it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from _history import History, counts, orphans, there
from runyard.client import LocalClient
from runyard.operations import lease_clock
from runyard.operations.limits import locks
from runyard.operations.retention.retention import LOCK
from runyard.store.database import get_database

TABLES = ("flow_runs", "task_runs", "logs", "artifacts", "results", "flow_run_inputs")
FLOWS = """
from runyard import flow, task
from runyard.artifacts import create_markdown_artifact

@task(persist_result=True)
def large(n):
    return "x" * 200_000 + str(n)

@flow
def inner(n):
    create_markdown_artifact("text", key="report")
    return large(n)

@flow(log_prints=True)
def outer():
    print("hello")
    for n in range(3):
        inner(n)

outer()
"""


def old_runs(database_url=None, number=3, tasks=2):
    with History(get_database(database_url)) as history:
        for kind in ("COMPLETED", "FAILED"):
            for _ in range(number):
                run = history.flow_run(days=40, kind=kind)
                for _ in range(tasks):
                    history.task_run(run, days=40)
        history.flow_run(days=10)


def aged(days):
    """As if all that happened had happened so many days earlier."""
    with get_database().transaction() as tx:
        for table in ("flow_runs", "task_runs"):
            tx.execute(f"UPDATE {table} SET state_timestamp = state_timestamp - {days * 86_400_000_000}")


def test_what_a_dry_run_counts_is_what_goes(runyard, home):
    old_runs()
    before = counts(get_database(), TABLES)
    options = ("database", "prune", "--older-than", "30d", "--state", "completed", "-o", "json")
    seen = runyard(*options, "--dry-run").json
    assert counts(get_database(), TABLES) == before
    done = runyard(*options, "--yes").json
    assert (seen["dry_run"], done["dry_run"]) == (True, False)
    assert seen["removed"] == done["removed"]
    after = counts(get_database(), TABLES)
    assert {table: before[table] - after[table] for table in TABLES} == {
        table: done["removed"][table] for table in TABLES
    }
    assert done["removed"]["flow_runs"] == 3
    assert "Nothing is old enough" in runyard(*options[:-2], "--yes").out
    assert orphans(get_database()) == []


def test_runs_of_real_flows_leave_nothing(runyard, program, home, tmp_path, monkeypatch):
    monkeypatch.setenv("RUNYARD_RESULTS_PERSIST_BY_DEFAULT", "true")
    monkeypatch.setenv("RUNYARD_RETENTION_LOGS_DAYS", "0")
    (tmp_path / "f.py").write_text(FLOWS)
    program("run", str(tmp_path / "f.py"))
    assert len(there(get_database(), "flow_runs")) == 4
    files = [path for path in (home / "storage").rglob("*") if path.is_file()]
    assert files
    aged(100)
    said = runyard("database", "prune", "--yes").out
    assert "Deleted 4 flow runs" in said
    kept = counts(get_database(), (*TABLES, "task_run_states", "flow_run_states"))
    assert set(kept.values()) == {0}
    assert [path for path in (home / "storage").rglob("*") if path.is_file()] == []


def test_only_logs(runyard, home):
    old_runs()
    before = counts(get_database(), TABLES)
    done = runyard("database", "prune", "--logs-older-than", "30d", "-y", "-o", "json").json["removed"]
    assert list(done) == ["logs"]
    assert counts(get_database(), TABLES) == {**before, "logs": before["logs"] - done["logs"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--older-than", "30"), "30d for days"),
        (("--older-than", "soon"), "invalid duration"),
        (("--older-than", "0d"), "longer than nothing"),
        (("--older-than", "5 parsecs"), "unknown unit"),
        (("--older-than", "30d", "--state", "RUNNING"), "RUNNING"),
        (("--state", "COMPLETED"), "--older-than"),
    ],
)
def test_wrong_options(runyard, home, options, said):
    assert said in runyard("database", "prune", *options, code=2).err


def test_a_person_is_asked(runyard, home, monkeypatch):
    old_runs()
    monkeypatch.setattr("runyard_cli.shared.output.at_keyboard", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question: print(question))
    answer = runyard("database", "prune", "--older-than", "30d", code=1)
    assert "Delete 6 flow runs, 12 task runs" in answer.out
    assert "Nothing was deleted." in answer.err
    assert len(there(get_database(), "flow_runs")) == 7
    monkeypatch.setattr("typer.confirm", lambda question: True)
    runyard("database", "prune", "--older-than", "30d")
    assert len(there(get_database(), "flow_runs")) == 1


def test_while_another_one_is_at_it(runyard, home):
    old_runs()
    body = {"name": LOCK, "holder": "process 7 on far", "lease_seconds": 60.0}
    LocalClient().call(locks.acquire_lock, body)
    error = runyard("database", "prune", "--older-than", "30d", "-y", code=1).err
    assert error.splitlines() == ["Error: process 7 on far is deleting old runs now; try again later"]


def test_a_clock_in_doubt_is_told(runyard, home, monkeypatch):
    with History(get_database()) as history:
        history.flow_run(days=1)
    runyard("database", "prune")
    real = lease_clock.wall
    monkeypatch.setattr(lease_clock, "wall", lambda tx: real(tx) + 200 * 86_400_000_000)
    assert "the clock leapt ahead" in runyard("database", "prune", code=1).err
    assert len(there(get_database(), "flow_runs")) == 1


def test_over_an_api(runyard, api, monkeypatch):
    old_runs()
    monkeypatch.setenv("RUNYARD_API_URL", api.url)
    assert runyard("database", "prune", "--older-than", "30d", "--dry-run", "-o", "json").json["removed"]
    assert "Deleted 6 flow runs" in runyard("database", "prune", "--older-than", "30d", "-y").out
    stats = runyard("database", "stats", "-o", "json").json
    assert stats["rows"]["flow_runs"] == 1


def test_stats_say_what_is_there_and_what_goes_next(runyard, home, monkeypatch):
    assert "Deleted next:" in runyard("database", "stats").out
    with History(get_database()) as history:
        history.flow_run(days=100)
        history.flow_run(days=80)
    stats = runyard("database", "stats", "-o", "json").json
    assert (stats["rows"]["flow_runs"], stats["old_flow_runs"], stats["old_logs"]) == (2, 1, 2)
    assert stats["size_bytes"] > 0
    assert "1 flow run and 2 log records" in runyard("database", "stats").out
    assert "1 flow run and 2 log records" in runyard("doctor").out
    runyard("database", "prune")
    assert "in 10 days" in runyard("database", "stats").out
    monkeypatch.setenv("RUNYARD_RETENTION_RUNS_DAYS", "0")
    assert "runs for ever" in runyard("doctor").out


def test_the_space_of_what_was_removed_is_told(runyard, home):
    with History(get_database()) as history:
        run = history.flow_run(days=100)
        for number in range(30):
            history.put(
                "logs",
                id=f"{number}",
                name="n",
                level=20,
                message="x" * 500_000,
                timestamp=0,
                flow_run_id=run,
            )
    answer = runyard("database", "prune")
    assert "runyard database vacuum" in answer.err
    assert "are free for new rows" in answer.err
    runyard("database", "vacuum")
    assert runyard("database", "stats", "-o", "json").json["free_bytes"] < 1_000_000


def test_one_that_is_killed_leaves_nothing_half(database_url, tmp_path):
    """Killed again and again, at any moment: what is left is whole, and the next ones finish it."""
    database = get_database(database_url)
    old_runs(database_url, number=150)
    with History(database) as history:
        large = history.flow_run(days=40)
        for _ in range(3_000):
            history.task_run(large, days=40)
        kept = history.flow_run(days=1)
        history.subflow(kept, days=50)
    command = [sys.executable, "-m", "runyard_cli.main", "database", "prune", "--older-than", "30d", "--yes"]
    seen, kills = set(), 0
    while True:
        process = subprocess.Popen(command, env=dict(os.environ), stderr=subprocess.PIPE)
        left = len(there(database, "task_runs"))
        while process.poll() is None and len(there(database, "task_runs")) == left:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if process.returncode == 0:
            break
        kills += process.returncode == -signal.SIGKILL
        with database.transaction() as tx:
            gone = {row["flow_run_id"] for row in tx.all("SELECT flow_run_id FROM removed_runs")}
            # Its lease runs out after a minute; nobody waits so long here.
            tx.execute("DELETE FROM locks WHERE name = :name", {"name": LOCK})
        tasks_of = there(database, "task_runs", "flow_run_id")
        assert tasks_of <= there(database, "flow_runs") | gone
        # Nothing but what belongs to the run that is removed in parts refers to what is gone.
        assert {id for _, column, id in orphans(database) if column != "task_run_id"} <= gone
        seen |= gone
        assert kills < 200
    assert kills
    assert large in seen
    assert orphans(database) == []
    assert there(database, "removed_runs", "flow_run_id") == set()
    assert kept in there(database, "flow_runs")
    assert len(there(database, "flow_runs")) == 3
