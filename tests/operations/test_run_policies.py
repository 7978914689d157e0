"""What a deployment says of its runs: maximum run time, maximum lateness, delay after a crash, lost runs."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from _attempts import exited, propose, read, recover, renew
from runyard.base import clock
from runyard.domain.states import Cancelling, Completed, Paused, Running, Scheduled
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import claim_flow_runs, flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.end_flow_run import report_state
from runyard.operations.records.kept_results import read_result, write_result
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs import task_runs
from runyard.operations.work_pools import work_pools

DEADLINE_SECONDS = 60.0


@pytest.fixture
def pool(client):
    return client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))


def deploy(client, **fields):
    item = {"flow_name": "etl", "name": "daily", "work_pool_name": "machines", **fields}
    body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def ask(client, deployment, due=None):
    state = None if due is None else StateCreate.of(Scheduled(due))
    body = deployments.DeploymentFlowRunCreate(state=state)
    return client.call(create_flow_run_from_deployment, deployment.id, body)


def claim(client, limit=1):
    body = claim_flow_runs.ClaimRequest(worker_name="w", limit=limit, lease_seconds=30)
    return client.call(claim_flow_runs.claim_flow_runs, "machines", body)


def start(client, **fields):
    ask(client, deploy(client, **fields))
    (claimed,) = claim(client)
    propose(client, claimed, Running())
    return claimed


def until_timed_out(client, claimed):
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not renew(client, claimed).timed_out:
        assert time.monotonic() < deadline
        time.sleep(0.01)


# Maximum run time


def test_an_attempt_is_to_be_stopped_once_it_ran_as_long_as_it_may(client, pool):
    claimed = start(client, max_run_seconds=0.05, crash_retries=3)
    task = client.call(
        task_runs.create_task_run,
        task_runs.TaskRunCreate(flow_run_id=claimed.flow_run_id, task_key="t", dynamic_key="0"),
    )
    until_timed_out(client, claimed)
    # It runs, and holds its slot, until its process is gone.
    assert read(client, claimed).state_type == "RUNNING"
    outcome = exited(client, claimed, -9)
    assert (outcome.state.type, outcome.state.name) == ("FAILED", "TimedOut")
    assert outcome.state.message == "It was stopped after its maximum run time of 0.05 s (max_run_seconds)."
    assert read(client, claimed).state.name == "TimedOut"
    assert client.call(task_runs.read_task_run, task.id).state_type == "CRASHED"
    assert claim(client) == []


def test_a_run_within_its_time_or_without_a_limit_is_left_alone(client, pool):
    for fields in ({"max_run_seconds": 3600}, {}):
        claimed = start(client, **fields)
        assert renew(client, claimed).timed_out == []
        assert exited(client, claimed, -9).state.type == "CRASHED"


def test_what_the_process_itself_reports_when_it_is_stopped_is_timed_out(client, pool):
    claimed = start(client, max_run_seconds=0.05)
    until_timed_out(client, claimed)
    told = client.call(
        report_state,
        {
            "flow_run_id": claimed.flow_run_id,
            "attempt": claimed.attempt,
            "state": {"type": "CRASHED", "message": "stopped by a signal"},
            "force": False,
            "stopped": True,
        },
    )
    assert told["state"]["name"] == "TimedOut"


def test_a_run_that_ended_in_time_stays_as_it_ended(client, pool):
    claimed = start(client, max_run_seconds=0.05)
    until_timed_out(client, claimed)
    propose(client, claimed, Completed())
    assert exited(client, claimed, 0) is None
    assert read(client, claimed).state_type == "COMPLETED"


def test_a_pause_begins_the_time_anew(client, pool):
    claimed = start(client, max_run_seconds=0.05)
    until_timed_out(client, claimed)
    propose(client, claimed, Paused(timeout_seconds=3600))
    assert renew(client, claimed).timed_out == []
    deploy(client, max_run_seconds=3600)
    propose(client, claimed, Running())
    assert renew(client, claimed).timed_out == []


def test_a_run_that_is_cancelled_is_cancelled_though_its_time_is_over(client, pool):
    claimed = start(client, max_run_seconds=0.05)
    until_timed_out(client, claimed)
    propose(client, claimed, Cancelling())
    assert renew(client, claimed).timed_out == []
    assert exited(client, claimed, -9).state.type == "CANCELLED"


def test_a_lost_run_whose_time_is_over_is_timed_out_and_not_started_again(client, pool):
    claimed = start(client, max_run_seconds=0.05, crash_retries=3)
    until_timed_out(client, claimed)
    assert recover(client).crashed == [claimed.flow_run_id]
    assert read(client, claimed).state.name == "TimedOut"


def test_the_next_attempt_has_its_own_time(client, pool):
    claimed = start(client, max_run_seconds=0.5, crash_retries=1)
    exited(client, claimed, -9)
    (again,) = claim(client)
    assert renew(client, again).timed_out == []
    propose(client, again, Running())
    until_timed_out(client, again)


# Maximum lateness


def test_a_run_that_is_too_late_is_skipped_and_those_behind_it_start(client, pool):
    deployment = deploy(client, max_lateness_seconds=600)
    late = ask(client, deployment, clock.now() - timedelta(seconds=700))
    intime = ask(client, deployment, clock.now() - timedelta(seconds=500))
    assert [each.flow_run_id for each in claim(client, 5)] == [intime.id]
    run = client.call(flow_runs.read_flow_run, late.id)
    assert (run.state.type, run.state.name) == ("CANCELLED", "Skipped")
    assert "within 600 s of" in run.state.message
    assert "max_lateness_seconds" in run.state.message


def test_a_late_run_starts_where_nothing_is_said(client, pool):
    late = ask(client, deploy(client), clock.now() - timedelta(days=3))
    assert [each.flow_run_id for each in claim(client)] == [late.id]


def test_a_run_that_began_in_time_starts_again_however_late(client, pool):
    deployment = deploy(client, max_lateness_seconds=3600, crash_retries=1)
    ask(client, deployment, clock.now() - timedelta(seconds=60))
    (claimed,) = claim(client)
    propose(client, claimed, Running())
    deploy(client, max_lateness_seconds=1, crash_retries=1)
    exited(client, claimed, -9)
    assert [each.flow_run_id for each in claim(client)] == [claimed.flow_run_id]


# Crashes, and runs that were lost


def test_a_crashed_run_starts_again_after_the_delay(client, pool):
    claimed = start(client, crash_retries=1, crash_retry_delay_seconds=300)
    before = clock.now()
    state = exited(client, claimed, -9).state
    assert state.name == "AwaitingRetry"
    due = read(client, claimed).next_scheduled_start_time
    assert timedelta(seconds=299) < due - before < timedelta(seconds=360)
    assert claim(client) == []


@pytest.mark.parametrize("on_lost", ["crash", "retry", "resume", None])
@pytest.mark.parametrize("by", ["recover", "exit"])
def test_what_becomes_of_a_lost_run(client, pool, on_lost, by):
    claimed = start(client, crash_retries=1, **({} if on_lost is None else {"on_lost": on_lost}))
    row = ("k", clock.now_us(), None, claimed.flow_run_id, '{"type": "json"}', "MQ==", None)
    client.call(write_result, {"row": row})
    if by == "recover":
        recover(client)
    else:
        exited(client, claimed, -9, lost=True)
    kept = bool(client.call(read_result, {"key": "k"}))
    name = read(client, claimed).state.name
    assert (name, kept) == {
        "crash": ("Crashed", True),
        "retry": ("AwaitingRetry", False),
        "resume": ("AwaitingRetry", True),
        None: ("AwaitingRetry", True),
    }[on_lost]


def test_on_lost_does_not_count_for_a_run_that_crashed_by_itself(client, pool):
    claimed = start(client, on_lost="retry")
    assert exited(client, claimed, 1).state.type == "CRASHED"


def test_a_run_that_is_lost_each_time_is_given_up(client, pool):
    claimed = start(client, on_lost="resume")
    for _ in range(25):
        assert exited(client, claimed, -9, lost=True).state.name == "AwaitingRetry"
        (claimed,) = claim(client)
        propose(client, claimed, Running())
    assert exited(client, claimed, -9, lost=True).state.type == "CRASHED"
    assert read(client, claimed).crash_count == 26


@pytest.mark.parametrize(
    "fields",
    [
        {"on_lost": "explode"},
        {"max_run_seconds": 0},
        {"max_lateness_seconds": -1},
        {"max_run_seconds": "nan"},
    ],
)
def test_what_means_nothing_is_refused(client, pool, fields):
    with pytest.raises(ValueError, match=next(iter(fields))):
        deploy(client, **fields)
