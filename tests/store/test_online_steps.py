"""The steps of the schema that are done while the database is in use: killed, beside writers, by whom."""

import os
import signal
import subprocess
import sys
import threading

import pytest
from _old_schema import left, undo_steps
from _yard import until
from runyard.client import LocalClient
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.retention import database_size
from runyard.operations.schemas import Filter
from runyard.store import database as store
from runyard.store import online_steps

RUNS = 300


@pytest.fixture
def old(database_url):
    """A database with runs, before its steps; the one of PostgreSQL, which tests share, gets them back."""
    database = undo_steps(database_url)
    yield filled(database)
    with database.transaction() as tx:
        online_steps.make_all(tx)


@pytest.fixture
def old_postgres(postgres_url, home, monkeypatch):
    """As `old`, on PostgreSQL alone."""
    monkeypatch.setenv("RUNYARD_DATABASE_URL", postgres_url)
    database = undo_steps(postgres_url)
    yield filled(database)
    undo_steps(postgres_url)  # an index that is half made, too
    with database.transaction() as tx:
        online_steps.make_all(tx)


def filled(database):
    client = LocalClient(database)
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    for _ in range(RUNS):
        client.call(flow_runs.create_flow_run, flow_runs.FlowRunCreate(flow_id=flow.id))
    return database


def count(database, **criteria):
    return LocalClient(database).call(flow_runs.count_flow_runs, Filter(flow_runs=criteria or None))


def upgrade():
    """`runyard database upgrade` as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "runyard_cli.main", "database", "upgrade"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


def finish(process):
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out


def test_a_new_database_has_them_all(database):
    assert left(database) == []


def test_the_command_does_them_all_and_says_which(old):
    names = left(old)
    assert len(names) > 10
    assert LocalClient(old).call(database_size.read_database_stats).steps_to_do == names
    out = finish(upgrade())
    assert [line.split()[1] for line in out.splitlines() if line.startswith("Creating")] == names
    assert left(old) == []
    assert "already" in finish(upgrade())
    assert count(old) == RUNS


def test_what_is_killed_at_each_step_is_finished_by_the_next(old):
    names = left(old)
    for name in names:
        if name not in left(old):  # done by the one that was killed a moment later
            continue
        process = upgrade()
        assert process.stdout.readline().split()[1] == name
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        assert left(old) in (names[names.index(name) :], names[names.index(name) + 1 :])
        assert count(old) == RUNS
        until(lambda: online_steps.do_next(old) is not None or not left(old))
    finish(upgrade())
    assert left(old) == []
    if old.dialect == "sqlite":
        with old.transaction(write=False) as tx:
            assert tx.value("SELECT integrity_check FROM pragma_integrity_check") == "ok"


def test_an_index_that_a_killed_process_left_half_made_is_made_anew(old_postgres, postgres_cluster):
    names = left(old_postgres)
    while left(old_postgres)[0] != "flow_runs_by_type":
        online_steps.do_next(old_postgres)
    broken = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE NOT i.indisvalid"
    making = "FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%' AND pid <> pg_backend_pid()"
    with postgres_cluster._connect("runyard") as other, postgres_cluster._connect("runyard") as looking:
        # An index is finished only when those transactions have ended that began before it.
        other.execute("BEGIN")
        other.execute("UPDATE flow_runs SET updated = updated")
        process = upgrade()
        until(lambda: looking.execute(broken).fetchall() == [("flow_runs_by_type",)], "the half-made index")
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        looking.execute(f"SELECT pg_terminate_backend(pid) {making}")
        until(
            lambda: not looking.execute(f"SELECT 1 {making}").fetchall(),
            "the end of the one that was killed",
        )
        other.execute("ROLLBACK")
        assert looking.execute(broken).fetchall() == [("flow_runs_by_type",)]
        assert left(old_postgres) == names[names.index("flow_runs_by_type") :]
        finish(upgrade())
        assert looking.execute(broken).fetchall() == []
    assert left(old_postgres) == []


def test_two_at_once_do_not_stand_in_each_others_way(old):
    processes = [upgrade() for _ in range(3)]
    for process in processes:
        finish(process)
    assert left(old) == []


def test_others_write_meanwhile(old):
    client = LocalClient(old)
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    written, stop, errors = [], threading.Event(), []

    def write():
        try:
            while not stop.is_set():
                made = client.call(flow_runs.create_flow_run, flow_runs.FlowRunCreate(flow_id=flow.id))
                body = flow_runs.SetState(state={"type": "FAILED", "name": "Broken"}, force=True)
                client.call(flow_runs.set_flow_run_state, made.id, body)
                written.append(made.id)
        except Exception as error:
            errors.append(error)
        finally:
            old.discard()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        until(lambda: written)
        while left(old):
            before = len(written)
            online_steps.do_next(old)
            until(lambda before=before: errors or len(written) > before, "a writer that goes on")
    finally:
        stop.set()
        writer.join(60)
    assert errors == []
    assert count(old) == RUNS + len(written)
    assert count(old, state={"name": {"any_": ["Broken"]}}) == len(written)
    assert count(old, state={"type": {"any_": ["FAILED"]}}) == len(written)


def test_a_worker_does_them(old, tmp_path):
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "runyard_cli.main", "worker", "start", "--pool", "steps", "-t", "process"],
        env=env,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as worker:
        try:
            until(lambda: not left(old) or worker.poll() is not None, "the last step")
            assert left(old) == []
        finally:
            worker.send_signal(signal.SIGQUIT)
            out = worker.communicate(timeout=60)[0]
    assert "flow_runs_by_type " in out


def test_doctor_tells_of_them(old, home):
    store.get_database().close()
    words = [sys.executable, "-m", "runyard_cli.main", "doctor"]
    out = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False).stdout
    assert f"{len(left(old))} steps to do" in out
    assert "runyard database upgrade" in out
