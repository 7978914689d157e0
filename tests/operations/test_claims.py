"""Claiming: order, limits, fairness, concurrency, renewing and giving back."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from runyard import settings
from runyard.base import clock
from runyard.base.errors import NotFound, StaleAttempt
from runyard.client import LocalClient
from runyard.domain.states import Completed, Running
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import (
    claim_flow_runs,
    due_runs,
    flow_runs,
    poll_due_runs,
    renew_leases,
)
from runyard.operations.flow_runs.claim_served_flow_runs import ServedClaim, claim_served_flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.scheduler.scheduler import SchedulerTurn, run_scheduler
from runyard.operations.schemas import Listing, StateCreate
from runyard.operations.work_pools import work_pools, work_queues
from runyard.store.database import get_database


def pool(client, name="machines", **fields):
    return client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name=name, **fields))


def queue(client, name, **fields):
    body = work_queues.WorkQueueCreate(name=name, **fields)
    return client.call(work_queues.create_work_queue, "machines", body)


def deployment(client, name="daily", **fields):
    item = {"flow_name": "etl", "name": name, "work_pool_name": "machines", **fields}
    body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def run(client, its, name=None, after_seconds=0.0, **fields):
    due = clock.format_time(clock.now() + timedelta(seconds=after_seconds))
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
    body = deployments.DeploymentFlowRunCreate.model_validate({"name": name, "state": state, **fields})
    return client.call(create_flow_run_from_deployment, its.id, body)


def claim(client, limit=10, **fields):
    body = claim_flow_runs.ClaimRequest(worker_name="w", limit=limit, lease_seconds=30, **fields)
    return client.call(claim_flow_runs.claim_flow_runs, "machines", body)


def names(claimed):
    return [each.flow_run.name for each in claimed]


def propose(client, claimed, state):
    body = flow_runs.SetState(state=StateCreate.of(state), attempt=claimed.attempt)
    return client.call(flow_runs.set_flow_run_state, claimed.flow_run_id, body)


def finish(client, claimed):
    propose(client, claimed, Running())
    propose(client, claimed, Completed())


def state_of(client, flow_run):
    return client.call(flow_runs.read_flow_run, flow_run.id).state


def next_due(client, **fields):
    told = client.call(claim_flow_runs.read_next_due, "machines", **fields)
    assert abs(told.now - clock.now()) < timedelta(minutes=5)
    return told.due


def test_a_claim_gives_due_runs_oldest_first_with_what_a_worker_needs(client):
    pool(client)
    its = deployment(client)
    run(client, its, "second", -10)
    run(client, its, "first", -20)
    run(client, its, "later", 3600)
    claimed = claim(client)
    assert names(claimed) == ["first", "second"]
    first = claimed[0]
    assert (first.flow_name, first.attempt, first.flow_run.state.type) == ("etl", 1, "PENDING")
    assert first.deployment == client.call(deployments.read_deployment, its.id)
    assert "working_dir" in first.base_job_template["job_configuration"]
    assert claim(client) == []


def test_queues_are_served_by_priority_and_paused_ones_are_not(client):
    pool(client)
    queue(client, "urgent", priority=1)
    slow = deployment(client, "slow")
    urgent = deployment(client, "urgent", work_queue_name="urgent")
    run(client, slow, "a", -60)
    run(client, urgent, "b", -10)
    run(client, urgent, "c", -5)
    assert names(claim(client, limit=1)) == ["b"]
    client.call(
        work_queues.update_work_queue, "machines", "urgent", work_queues.WorkQueueUpdate(is_paused=True)
    )
    assert names(claim(client)) == ["a"]
    client.call(
        work_queues.update_work_queue, "machines", "urgent", work_queues.WorkQueueUpdate(is_paused=False)
    )
    assert claim(client, work_queue_names=["default"]) == []
    assert names(claim(client, work_queue_names=["urgent"])) == ["c"]


def test_a_paused_pool_gives_nothing(client):
    pool(client, is_paused=True)
    run(client, deployment(client))
    assert claim(client) == []
    assert next_due(client) is None
    client.call(work_pools.update_work_pool, "machines", work_pools.WorkPoolUpdate(is_paused=False))
    assert len(claim(client)) == 1
    with pytest.raises(NotFound, match="runyard work-pool create nowhere"):
        client.call(claim_flow_runs.read_next_due, "nowhere")


@pytest.mark.parametrize("limited", ["pool", "queue", "deployment"])
def test_limits_count_what_executes_and_within_one_claim(client, limited):
    pool(client, concurrency_limit=2 if limited == "pool" else None)
    if limited == "queue":
        update = work_queues.WorkQueueUpdate(concurrency_limit=2)
        client.call(work_queues.update_work_queue, "machines", "default", update)
    its = deployment(client, concurrency_limit=2 if limited == "deployment" else None)
    for _ in range(5):
        run(client, its)
    claimed = claim(client)
    assert len(claimed) == 2
    assert claim(client) == []
    assert next_due(client) is None
    finish(client, claimed[0])
    assert len(claim(client)) == 1
    assert claim(client) == []


def test_a_limit_of_zero_lets_nothing_start(client):
    pool(client)
    run(client, deployment(client, concurrency_limit=0))
    assert claim(client) == []


def test_a_full_deployment_holds_up_nobody_behind_it(client):
    pool(client)
    full = deployment(client, "full", concurrency_limit=1)
    free = deployment(client, "free")
    narrow = deployment(client, "narrow", concurrency_limit=1)
    for index in range(6):
        run(client, full, f"full-{index}", -100 + index)
    for index in range(2):
        run(client, narrow, f"narrow-{index}", -50 + index)
    for index in range(3):
        run(client, free, f"free-{index}", -49.5 + index)
    assert names(claim(client, limit=3)) == ["full-0", "narrow-0", "free-0"]
    assert names(claim(client, limit=2)) == ["free-1", "free-2"]
    assert claim(client, limit=2) == []


def test_runs_that_find_a_full_deployment_are_cancelled_where_it_says_so(client):
    pool(client)
    its = deployment(client, concurrency_limit=1, concurrency_options={"collision_strategy": "CANCEL_NEW"})
    runs = [run(client, its, after_seconds=-10 + index) for index in range(3)]
    future = run(client, its, after_seconds=3600)
    assert len(claim(client)) == 1
    assert claim(client) == []
    assert [state_of(client, each).type for each in runs] == ["PENDING", "CANCELLED", "CANCELLED"]
    assert state_of(client, future).type == "SCHEDULED"


def test_they_are_cancelled_when_late_where_other_limits_let_no_claim_come_to_them(client):
    pool(client, concurrency_limit=1)
    options = {"collision_strategy": "CANCEL_NEW"}
    full = deployment(client, "full", concurrency_limit=1, concurrency_options=options)
    empty = deployment(client, "empty", concurrency_limit=1, concurrency_options=options)
    runs = [run(client, its, after_seconds=-60 + i) for i, its in enumerate([full, full, empty])]
    assert len(claim(client)) == 1
    assert claim(client) == []
    report = client.call(run_scheduler, SchedulerTurn(owner="w"))
    assert report.late == 1
    assert [state_of(client, each).name for each in runs] == ["Pending", "Cancelled", "Late"]
    assert "CANCEL_NEW" in state_of(client, runs[1]).message


def test_a_worker_learns_when_to_come_back(client):
    pool(client)
    its = deployment(client)
    assert next_due(client) is None
    later = run(client, its, after_seconds=3600)
    due = next_due(client, work_queue_names=["default"])
    assert due == later.next_scheduled_start_time
    run(client, its)
    assert next_due(client) <= clock.now()
    assert next_due(client, work_queue_names=["other"]) is None


def test_a_claim_that_finds_nothing_writes_nothing(home):
    client = LocalClient()
    pool(client)
    run(client, deployment(client), after_seconds=3600)
    other = get_database(f"sqlite:///{home}/../home/runyard.db")
    before = other.changes()
    assert claim(client) == []
    assert other.changes() == before


def test_a_look_that_finds_nothing_waits_for_no_writer(home, monkeypatch):
    monkeypatch.setenv("RUNYARD_DATABASE_TIMEOUT_SECONDS", "1")
    settings.reload()
    client = LocalClient()
    pool(client, concurrency_limit=1)
    its = deployment(client)
    run(client, its)
    assert len(claim(client)) == 1
    run(client, its)
    other = get_database(f"sqlite:///{home}/../home/runyard.db")
    with other.transaction():
        assert claim(client) == []
        served = ServedClaim(deployment_ids=[its.id], worker_name="other", lease_seconds=60)
        assert client.call(claim_served_flow_runs, served) == []
        report = client.call(run_scheduler, SchedulerTurn(owner="worker"))
        assert (report.created, report.late) == (0, 0)


def test_runs_of_a_schedule_that_queues_wait_for_the_earlier_one(client):
    pool(client)
    schedule = {"schedule": {"interval": 3600}, "overlap": "queue"}
    its = deployment(client, schedules=[schedule])
    runs = [run(client, its, after_seconds=-20 + index) for index in range(2)]
    if not isinstance(client, LocalClient):
        pytest.skip("only the scheduler says which schedule made a run; this one is put in by hand")
    with client.database.transaction() as tx:
        tx.execute("UPDATE flow_runs SET schedule_id = :id", {"id": its.schedules[0].id})
    claimed = claim(client)
    assert [each.flow_run_id for each in claimed] == [runs[0].id]
    assert claim(client) == []
    finish(client, claimed[0])
    assert [each.flow_run_id for each in claim(client)] == [runs[1].id]


def test_renewing_tells_what_is_lost_and_what_is_to_stop(client):
    pool(client)
    its = deployment(client)
    for _ in range(3):
        run(client, its)
    kept, stopped, ended = claim(client)
    for each in (kept, stopped, ended):
        propose(client, each, Running())
    propose(client, ended, Completed())
    cancelling = flow_runs.SetState(state=StateCreate(type="CANCELLING"))
    client.call(flow_runs.set_flow_run_state, stopped.flow_run_id, cancelling)
    held = [{"flow_run_id": each.flow_run_id, "attempt": each.attempt} for each in (kept, stopped, ended)]
    body = renew_leases.RenewLeases.model_validate({"leases": held, "lease_seconds": 30})
    answer = client.call(renew_leases.renew_leases, body)
    assert answer.over == [ended.flow_run_id]
    assert answer.lost == []
    assert answer.cancelling == [stopped.flow_run_id]


def test_a_claim_can_be_given_back_until_it_started(client):
    pool(client)
    its = deployment(client)
    waiting = run(client, its, after_seconds=-5)
    (first,) = claim(client)
    assert client.call(claim_flow_runs.return_claim, first.flow_run_id, attempt=first.attempt) is True
    assert state_of(client, waiting).type == "SCHEDULED"
    (second,) = claim(client)
    assert second.attempt == 2
    with pytest.raises(StaleAttempt):
        client.call(claim_flow_runs.return_claim, second.flow_run_id, attempt=1)
    propose(client, second, Running())
    assert client.call(claim_flow_runs.return_claim, second.flow_run_id, attempt=2) is False


def test_stock_workers_see_what_may_start(client):
    pool(client)
    its = deployment(client, concurrency_limit=1)
    first = run(client, its, after_seconds=-5)
    run(client, its, after_seconds=-4)
    body = poll_due_runs.ScheduledRunsRequest(scheduled_before=clock.now() + timedelta(seconds=10))
    (seen,) = client.call(poll_due_runs.get_scheduled_flow_runs, "machines", body)
    assert seen.flow_run.id == first.id
    pending = flow_runs.SetState(state=StateCreate(type="PENDING"))
    assert client.call(flow_runs.set_flow_run_state, first.id, pending).status == "ACCEPT"
    assert client.call(poll_due_runs.get_scheduled_flow_runs, "machines", body) == []
    assert client.call(work_queues.read_work_queue, "machines", "default").status == "READY"
    nothing = poll_due_runs.ScheduledRunsRequest(work_queue_names=["nothing"])
    with pytest.raises(NotFound, match="no queue nothing"):
        client.call(poll_due_runs.get_scheduled_flow_runs, "machines", nothing)


def _claim_until_none_is_left(url):
    """What each of several processes does: claim and finish runs; prints the attempts it got."""
    client = LocalClient(get_database(url))
    mine, left = [], 1
    while left:
        claimed = claim(client, limit=3)
        for each in claimed:
            mine.append((each.flow_run_id, each.attempt))
            finish(client, each)
        with client.database.transaction(write=False) as tx:
            left = tx.value("SELECT count(*) FROM flow_runs WHERE state_type = 'SCHEDULED'")
    print(json.dumps(mine))


def test_many_claimers_at_once_take_each_run_once_and_exceed_no_limit(home):
    client = LocalClient()
    pool(client, concurrency_limit=6)
    kinds = [deployment(client, "free"), deployment(client, "narrow", concurrency_limit=1)]
    for index in range(200):
        run(client, kinds[index % 2], after_seconds=-1)
    with client.database.transaction() as tx:
        # Whatever is ever taken is noted in the same transaction with how full the limits were.
        tx.execute("CREATE TABLE seen (pool INTEGER, narrow INTEGER)")
        tx.execute(
            "CREATE TRIGGER see AFTER INSERT ON leases BEGIN INSERT INTO seen SELECT count(*), "
            f"coalesce(sum(deployment_id = '{kinds[1].id}'), 0) FROM leases; END"
        )
    url = client.database.url
    processes = [
        subprocess.Popen([sys.executable, __file__, url], stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    taken = [tuple(pair) for process in processes for pair in json.loads(process.communicate(timeout=300)[0])]
    assert len(taken) == len(set(taken)) == 200
    assert {attempt for _, attempt in taken} == {1}
    with client.database.transaction(write=False) as tx:
        seen = tx.one("SELECT max(pool) AS pool, max(narrow) AS narrow, count(*) AS n FROM seen")
    assert (seen["pool"] <= 6, seen["narrow"], seen["n"]) == (True, 1, 200)
    ended = client.call(flow_runs.filter_flow_runs, Listing(limit=200))
    assert {each.state_type for each in ended} == {"COMPLETED"}


def test_a_claim_reads_the_index_of_what_is_due(home):
    with LocalClient().database.transaction() as tx:
        plan = tx.all(
            f"EXPLAIN QUERY PLAN SELECT {due_runs._COLUMNS} FROM flow_runs run WHERE {due_runs._DUE} "
            f"{due_runs._ORDER} LIMIT :room",
            {"queue": "q", "until": 5, "room": 3},
        )
        heads = tx.all(f"EXPLAIN QUERY PLAN {due_runs._HEADS}", {"queue": "q", "until": 5})
    text = json.dumps(plan)
    assert "flow_runs_due (" in text
    assert "TEMP B-TREE" not in text
    searches = [row["detail"] for row in heads if " run " in row["detail"]]
    assert len(searches) >= 3
    assert all("flow_runs_due_by_deployment (" in each for each in searches)


if __name__ == "__main__":
    _claim_until_none_is_left(sys.argv[1])
