"""Recovery: lost executors, taken again, processes that end without a word. Time is an argument."""

from __future__ import annotations

import threading
import time

import pytest
from _attempts import exited, propose, read, recover, renew
from runyard.base import ids
from runyard.base.errors import Locked, StaleAttempt
from runyard.client import LocalClient
from runyard.domain.states import Cancelling, Completed, Running
from runyard.engine.journal import Journal
from runyard.engine.run_objects import TaskRun
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import claim_flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.start_flow_run import start_flow_run
from runyard.operations.flow_runs.write_journal import write_journal
from runyard.operations.limits import concurrency_limits, limit_slots
from runyard.operations.recovery import recover_flow_runs
from runyard.operations.task_runs import task_runs
from runyard.operations.work_pools import work_pools


@pytest.fixture
def pool(client):
    return client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))


def start(client, running=True, **fields):
    """A run of a deployment with these fields, claimed for 30 s."""
    item = {"flow_name": "etl", "name": "daily", "work_pool_name": "machines", **fields}
    body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    its = client.call(deployments.apply_deployments, body)[0].deployment
    client.call(create_flow_run_from_deployment, its.id, deployments.DeploymentFlowRunCreate())
    return claim(client, running)


def claim(client, running=True):
    body = claim_flow_runs.ClaimRequest(worker_name="w", limit=1, lease_seconds=30)
    (claimed,) = client.call(claim_flow_runs.claim_flow_runs, "machines", body)
    if running:
        propose(client, claimed, Running())
    return claimed


def test_nothing_is_recovered_while_leases_hold(client, pool):
    claimed = start(client)
    assert recover(client, 0) == recover_flow_runs.RecoverReport()
    assert read(client, claimed).state_type == "RUNNING"


def test_a_run_whose_executor_is_lost_crashes_with_what_is_open_under_it(client, pool):
    claimed = start(client)
    task = client.call(
        task_runs.create_task_run,
        task_runs.TaskRunCreate(flow_run_id=claimed.flow_run_id, task_key="t", dynamic_key="0"),
    )
    report = recover(client)
    assert report.crashed == [claimed.flow_run_id]
    run = read(client, claimed)
    assert (run.state_type, run.crash_count) == ("CRASHED", 1)
    assert "'w', which executed it, was lost" in run.state.message
    assert client.call(task_runs.read_task_run, task.id).state_type == "CRASHED"
    assert recover(client) == recover_flow_runs.RecoverReport()
    with pytest.raises(StaleAttempt):
        propose(client, claimed, Completed())


def test_a_lost_run_starts_again_as_often_as_its_deployment_says(client, pool):
    claimed = start(client, crash_retries=1)
    assert recover(client).rescheduled == [claimed.flow_run_id]
    run = read(client, claimed)
    assert (run.state_type, run.state_name) == ("SCHEDULED", "AwaitingRetry")
    again = claim(client)
    assert (again.flow_run_id, again.attempt) == (claimed.flow_run_id, 2)
    assert recover(client).crashed == [claimed.flow_run_id]
    assert read(client, claimed).crash_count == 2


def test_the_setting_decides_where_the_deployment_is_silent(client, pool, monkeypatch):
    monkeypatch.setenv("RUNYARD_FLOW_DEFAULT_CRASH_RETRIES", "1")
    claimed = start(client)
    assert recover(client).rescheduled == [claimed.flow_run_id]


def test_a_run_lost_before_it_started_waits_again(client, pool):
    claimed = start(client, running=False)
    assert recover(client).rescheduled == [claimed.flow_run_id]
    assert read(client, claimed).crash_count == 0
    assert claim(client).attempt == 2


def test_a_run_lost_while_it_was_stopped_is_cancelled(client, pool):
    claimed = start(client)
    propose(client, claimed, Cancelling())
    assert recover(client).cancelled == [claimed.flow_run_id]
    assert read(client, claimed).state_type == "CANCELLED"


@pytest.mark.parametrize("crash_retries", [0, 3])
def test_an_executor_that_is_there_again_takes_its_run_again(client, pool, crash_retries):
    claimed = start(client, crash_retries=crash_retries)
    recover(client)
    assert renew(client, claimed).lost == []
    run = read(client, claimed)
    assert (run.state_type, run.run_count, run.crash_count, run.attempt) == ("RUNNING", 1, 0, 1)
    assert propose(client, claimed, Completed()).status == "ACCEPT"


def test_a_run_given_away_meanwhile_is_lost_for_good(client, pool):
    claimed = start(client, crash_retries=3)
    recover(client)
    second = claim(client)
    assert renew(client, claimed).lost == [claimed.flow_run_id]
    kept = renew(client, second)
    assert (kept.lost, kept.over) == ([], [])


def test_a_process_that_ended_without_a_word_crashed(client, pool):
    claimed = start(client)
    result = exited(client, claimed, -9)
    assert result.state.type == "CRASHED"
    assert "status code -9" in result.state.message
    assert "memory" in result.state.message
    assert exited(client, claimed, -9) is None
    assert renew(client, claimed).over == [claimed.flow_run_id]


def test_a_run_that_cannot_start_does_not_go_round_for_ever(client, pool):
    claimed = start(client, running=False, crash_retries=1)
    assert exited(client, claimed, 1, "no such interpreter").state.name == "AwaitingRetry"
    again = claim(client, running=False)
    assert exited(client, again, 1, "no such interpreter").state.type == "CRASHED"
    assert read(client, claimed).state.message == "no such interpreter"


def test_the_end_of_a_stopped_process_is_cancelled_and_a_reported_end_stays(client, pool):
    stopped = start(client)
    propose(client, stopped, Cancelling())
    assert exited(client, stopped, -15).state.type == "CANCELLED"
    done = start(client)
    propose(client, done, Completed())
    assert exited(client, done, 0) is None
    assert read(client, done).state_type == "COMPLETED"


def begin_task(client, claimed, key="0"):
    """Record, as the process of the run does, that a task began; its id."""
    journal = Journal(client, claimed.flow_run_id, claimed.attempt)
    run = TaskRun("t", claimed.flow_run_id, "t", key, ())
    run.move(Running(), journal)
    journal.close()
    return run.id


@pytest.mark.parametrize(("crash_retries", "state"), [(0, "Crashed"), (1, "AwaitingRetry")])
def test_what_a_lost_attempt_still_records_as_open_is_ended(client, pool, crash_retries, state):
    claimed = start(client, crash_retries=crash_retries)
    recover(client)
    task_id = begin_task(client, claimed)
    assert client.call(task_runs.read_task_run, task_id).state_type == "CRASHED"
    assert read(client, claimed).state_name == state


def test_what_is_recorded_while_the_run_is_held_goes_on(client, pool):
    claimed = start(client)
    task_id = begin_task(client, claimed)
    assert client.call(task_runs.read_task_run, task_id).state_type == "RUNNING"


def test_a_run_is_not_ended_between_a_record_and_its_commit(postgres_url, home, monkeypatch):
    monkeypatch.setenv("RUNYARD_DATABASE_URL", postgres_url)
    client = LocalClient()
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))
    claimed = start(client)
    run = TaskRun("t", claimed.flow_run_id, "t", "0", ())
    run.state = Running()
    records = {"flow_run_id": claimed.flow_run_id, "attempt": claimed.attempt, "task_runs": [run.row(5)]}
    ending = threading.Thread(target=exited, args=(client, claimed, -9))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with client.database.transaction() as tx:
        write_journal(tx, records)
        ending.start()
        deadline = time.monotonic() + 60
        while ending.is_alive() and not tx.value(waiting):
            assert time.monotonic() < deadline
    ending.join(60)
    assert read(client, claimed).state_type == "CRASHED"
    assert client.call(task_runs.read_task_run, run.id).state_type == "CRASHED"


def test_a_start_that_is_sent_again_while_it_is_made_begins_the_run_once(postgres_url, home, monkeypatch):
    monkeypatch.setenv("RUNYARD_DATABASE_URL", postgres_url)
    client = LocalClient()
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))
    claimed = start(client, running=False)
    body = {
        "flow_run_id": claimed.flow_run_id, "attempt": claimed.attempt, "flow_name": "etl", "name": None,
        "parameters": "{}", "empirical_policy": "{}", "tags": [], "start_id": ids.new_id(),
    }  # fmt: skip
    answers = []
    again = threading.Thread(target=lambda: answers.append(client.call(start_flow_run, body)))
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    with client.database.transaction() as tx:
        answers.append(start_flow_run(tx, body))
        again.start()
        deadline = time.monotonic() + 60
        while again.is_alive() and not tx.value(waiting):
            assert time.monotonic() < deadline
    again.join(60)
    first, second = answers
    assert (first["status"], first["state"]) == (second["status"], second["state"])
    assert read(client, claimed).run_count == 1


def take_slot(client, claimed):
    """Ask for a slot, as the process of the run does; the limits that were taken of."""
    body = {"names": ["db"], "run_id": claimed.flow_run_id, "attempt": claimed.attempt}
    return client.call(limit_slots.increment_slots_with_lease, body)["limits"]


def test_a_lost_attempt_gets_no_slots_any_more(client, pool):
    create = concurrency_limits.ConcurrencyLimitCreate(name="db", limit=1)
    client.call(concurrency_limits.create_concurrency_limit, create)
    lost = start(client, crash_retries=1)
    recover(client)
    with pytest.raises(Locked):
        take_slot(client, lost)
    renew(client, lost)
    assert len(take_slot(client, lost)) == 1
    recover(client)
    again = claim(client)
    with pytest.raises(StaleAttempt):
        take_slot(client, lost)
    assert len(take_slot(client, again)) == 1
