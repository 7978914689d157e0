"""Workers, servers of tasks and servers of the API remove what is old, beside what they are there for."""

from __future__ import annotations

import pytest
from _history import History, orphans, there
from _yard import a_yard, until
from runyard import task
from runyard.server.server_duties import Maintenance
from runyard.store.database import get_database
from runyard.workers.task_worker import TaskWorker


@pytest.fixture
def yard(tmp_path, home):
    with a_yard(tmp_path) as yard:
        yield yard


def old_runs(number):
    with History(get_database()) as history:
        for _ in range(number):
            history.task_run(history.flow_run(days=100), days=100)
        return history.flow_run(days=10)


def test_a_worker_removes_old_runs_while_it_executes_others(yard):
    kept = old_runs(3_000)
    yard.worker()
    run = yard.run()
    yard.release()
    yard.ended(run, "COMPLETED")
    until(lambda: there(get_database(), "flow_runs") == {kept, run}, "the removal")
    until(lambda: "Deleted 3000 old flow runs" in yard.said(), "the line")
    assert orphans(get_database()) == []


def test_a_worker_that_runs_once_removes_as_well(yard):
    kept = old_runs(20)
    assert yard.worker(run_once=True).wait(60) == 0
    assert there(get_database(), "flow_runs") == {kept}


def test_several_workers_share_it(yard):
    kept = old_runs(2_000)
    for name in ("first", "second", "third"):
        yard.worker(name)
    until(lambda: there(get_database(), "flow_runs") == {kept}, "the removal")
    names = ("first", "second", "third")
    until(lambda: any("old flow runs" in yard.said(name) for name in names), "the line")
    assert sum("old flow runs" in yard.said(name) for name in names) == 1
    assert not any("ERROR" in yard.said(name) for name in names)


def test_a_server_removes_old_runs(database):
    kept = old_runs(20)
    maintenance = Maintenance(database)
    maintenance.start()
    try:
        until(lambda: there(database, "flow_runs") == {kept}, "the removal")
    finally:
        maintenance.stop()


def test_a_server_of_tasks_removes_old_runs(home):
    @task
    def step():
        return 1

    kept = old_runs(20)
    with TaskWorker(step):
        until(lambda: there(get_database(), "flow_runs") == {kept}, "the removal")
