"""Where things stand: pools, workers, runs, what is due and paused, and what to do next."""

from __future__ import annotations

from datetime import timedelta

import pytest
from _history import History
from runyard.base import clock
from runyard.base.errors import InvalidInput
from runyard.domain.states import Completed, Crashed, Failed, Paused, Running
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import claim_flow_runs, flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.installation import overview
from runyard.operations.scheduler import scheduler
from runyard.operations.schedules import schedules
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools import work_pools, work_queues, workers
from runyard.store.database import get_database


@pytest.fixture
def pool(client):
    return client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))


def deploy(client, name="daily", **fields):
    item = {"flow_name": "etl", "name": name, "work_pool_name": "machines", **fields}
    body = deployments.DeploymentsApply.model_validate({"owner": name, "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def run(client, its, after_seconds=-1.0):
    due = clock.format_time(clock.now() + timedelta(seconds=after_seconds))
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
    body = deployments.DeploymentFlowRunCreate.model_validate({"state": state})
    return client.call(create_flow_run_from_deployment, its.id, body)


def claim(client, limit=1):
    body = claim_flow_runs.ClaimRequest(worker_name="w", limit=limit, lease_seconds=30)
    return client.call(claim_flow_runs.claim_flow_runs, "machines", body)


def beat(client, **fields):
    client.call(workers.heartbeat_worker, "machines", workers.WorkerHeartbeat(name="w", **fields))


def propose(client, claimed, *states):
    for state in states:
        body = flow_runs.SetState(state=StateCreate.of(state), attempt=claimed.attempt)
        client.call(flow_runs.set_flow_run_state, claimed.flow_run_id, body)


def look(client, **fields):
    return client.call(overview.read_overview, **fields)


def steps(found):
    return [(step["code"], step["command"]) for step in found["steps"]]


def test_an_empty_installation_tells_the_first_steps(client):
    found = look(client)
    assert (found["pools"], found["running"], found["failed"], found["next"]) == ([], 0, 0, [])
    assert (found["latest_deployment"], found["has_runs"]) == (None, False)
    assert steps(found) == [
        ("no_pool", "runyard work-pool create default-agent-pool --type process"),
        ("no_deployment", "runyard init"),
    ]


def test_the_way_from_a_pool_to_a_first_run(client, pool):
    assert steps(look(client)) == [("no_deployment", "runyard init")]
    its = deploy(client)
    found = look(client)
    assert (found["latest_deployment"], found["deployments"], found["flows"]) == ("etl/daily", 1, 1)
    assert steps(found) == [
        ("no_worker_yet", "runyard worker start --pool machines"),
        ("no_run", "runyard deployment run etl/daily"),
    ]
    beat(client)
    assert steps(look(client)) == [("no_run", "runyard deployment run etl/daily")]
    run(client, its)
    assert steps(look(client)) == [("all_well", "runyard flow-run ls")]


def test_a_pool_without_a_worker_names_the_runs_and_schedules_that_depend_on_it(client, pool):
    its = deploy(client)
    hourly = {"schedule": {"interval": 3600, "timezone": "Europe/Berlin"}, "slug": "hourly"}
    body = [schedules.DeploymentScheduleCreate.model_validate(hourly)]
    client.call(schedules.create_deployment_schedules, its.id, body)
    found = look(client)
    (machines,) = found["pools"]
    assert {name: machines[name] for name in ("name", "status", "workers_online", "due", "schedules")} == {
        "name": "machines", "status": "NOT_READY", "workers_online": 0, "due": 0, "schedules": 1,
    }  # fmt: skip
    assert found["steps"][0] == {
        "code": "no_worker",
        "text": "No worker serves 'machines': 1 schedule depends on it.",
        "command": "runyard worker start --pool machines",
    }
    (coming,) = found["next"]
    assert coming["due"] == machines["next_due"]
    assert {name: coming[name] for name in ("flow_name", "deployment_name", "pool", "slug", "timezone")} == {
        "flow_name": "etl", "deployment_name": "daily", "pool": "machines", "slug": "hourly",
        "timezone": "Europe/Berlin",
    }  # fmt: skip
    run(client, its)
    run(client, its)
    (text,) = [step["text"] for step in look(client)["steps"] if step["code"] == "no_worker"]
    assert text == "No worker serves 'machines': 2 flow runs wait, 1 schedule depends on it."
    beat(client)
    found = look(client)
    assert (found["workers_online"], found["pools"][0]["status"], found["pools"][0]["due"]) == (1, "READY", 2)
    assert "no_worker" not in [code for code, _ in steps(found)]
    beat(client, stopped=True)
    assert look(client)["workers_online"] == 0


def test_the_counts_and_names_of_runs(client, pool):
    its = deploy(client)
    beat(client)
    for _ in range(5):
        run(client, its)
    later = run(client, its, 3600)
    running, pending, failed, crashed, paused = claim(client, 5)
    propose(client, running, Running())
    propose(client, failed, Running(), Failed(message="no such table"))
    propose(client, crashed, Running(), Crashed(message="its process died"))
    propose(client, paused, Running(), Paused())
    waits = run(client, its)
    found = look(client)
    counts = {name: found[name] for name in ("running", "pending", "due", "waiting", "ended", "failed")}
    assert counts == {"running": 1, "pending": 1, "due": 1, "waiting": 1, "ended": 2, "failed": 2}
    assert found["pools"][0]["active_slots"] == 3
    assert [each["id"] for each in found["running_runs"]] == [running.flow_run_id]
    assert [each["id"] for each in found["waiting_runs"]] == [paused.flow_run_id]
    assert [(each["id"], each["state_name"], each["message"]) for each in found["failed_runs"]] == [
        (crashed.flow_run_id, "Crashed", "its process died"),
        (failed.flow_run_id, "Failed", "no such table"),
    ]
    assert found["failed_runs"][0]["flow_name"] == "etl"
    assert found["failed_runs"][0]["deployment_name"] == "daily"
    assert [(each["id"], each["pool"]) for each in found["next"]] == [(later.id, "machines")]
    assert waits.id not in [each["id"] for each in found["next"]]
    codes = dict(steps(found))
    assert codes["failed"] == f"runyard flow-run why {found['failed_runs'][0]['name']}"
    assert codes["run_paused"] == f"runyard flow-run why {found['waiting_runs'][0]['name']}"
    text = next(step["text"] for step in found["steps"] if step["code"] == "failed")
    assert text == f"2 flow runs failed; the latest is {found['failed_runs'][0]['name']!r}."
    assert pending.flow_run_id not in [each["id"] for each in found["running_runs"]]


def test_a_run_whose_name_another_has_is_named_by_its_id(client):
    with History(get_database()) as history:
        history.flow_run(50, "COMPLETED", name="twin")
        failed = history.flow_run(0.1, "FAILED", name="twin")
        history.flow_run(0.2, "FAILED", name="two words")
    found = look(client)
    assert [each["reference"] for each in found["failed_runs"]] == [failed, "two words"]
    assert dict(steps(found))["failed"] == f"runyard flow-run why {failed}"


def test_only_runs_that_ended_since_the_time_count(client, pool):
    its = deploy(client)
    beat(client)
    run(client, its)
    run(client, its)
    first, second = claim(client, 2)
    propose(client, first, Running(), Failed())
    between = clock.now()
    propose(client, second, Running(), Completed())
    assert (look(client)["ended"], look(client)["failed"]) == (2, 1)
    found = look(client, since=clock.format_time(between))
    assert (found["ended"], found["failed"], found["failed_runs"]) == (1, 0, [])
    assert found["since"] == clock.format_time(between)
    with pytest.raises(InvalidInput, match="invalid time 'yesterday'"):
        look(client, since="yesterday")
    with pytest.raises(InvalidInput, match="invalid limit 101"):
        look(client, limit=101)


def test_a_list_is_limited_and_its_count_is_not(client, pool):
    its = deploy(client)
    beat(client)
    for _ in range(4):
        run(client, its)
    for claimed in claim(client, 4):
        propose(client, claimed, Running(), Failed())
    found = look(client, limit=2)
    assert (found["failed"], len(found["failed_runs"])) == (4, 2)
    assert (look(client, limit=0)["failed"], look(client, limit=0)["failed_runs"]) == (4, [])


def test_what_is_paused(client, pool):
    its = deploy(client)
    hourly = [
        schedules.DeploymentScheduleCreate.model_validate({"schedule": {"interval": 3600}, "slug": "hourly"})
    ]
    (made,) = client.call(schedules.create_deployment_schedules, its.id, hourly)
    client.call(
        work_queues.create_work_queue, "machines", work_queues.WorkQueueCreate(name="urgent", is_paused=True)
    )
    off = schedules.DeploymentScheduleUpdate(active=False)
    client.call(schedules.update_deployment_schedule, its.id, made.id, off)
    client.call(work_pools.update_work_pool, "machines", work_pools.WorkPoolUpdate(is_paused=True))
    run(client, its)
    found = look(client)
    assert found["paused"] == {
        "pool_count": 1, "pools": ["machines"],
        "queue_count": 1, "queues": [{"queue": "urgent", "pool": "machines"}],
        "deployment_count": 0, "deployments": [],
        "schedule_count": 1, "schedules": [{"deployment": "etl/daily", "id": made.id, "slug": "hourly"}],
    }  # fmt: skip
    assert found["pools"][0]["status"] == "PAUSED"
    assert found["next"] == []
    assert dict(steps(found))["pool_paused"] == "runyard work-pool resume machines"
    client.call(deployments.pause_deployment, its.id)
    paused = look(client)["paused"]
    assert (paused["deployments"], paused["schedule_count"]) == (["etl/daily"], 0)


def test_a_late_run_is_named_where_a_worker_is_online(client, pool, monkeypatch):
    monkeypatch.setenv("RUNYARD_SCHEDULER_LATE_SECONDS", "0")
    its = deploy(client)
    beat(client)
    run(client, its, -60)
    client.call(scheduler.run_scheduler, scheduler.SchedulerTurn(owner="test"))
    found = look(client)
    assert (found["late"], found["due"]) == (1, 1)
    assert dict(steps(found))["late"] == "runyard flow-run ls --state Late"


def test_a_name_that_looks_like_an_option_stays_one_word(client):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="two words"))
    item = {"flow_name": "etl", "name": "-x", "work_pool_name": "two words"}
    body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    client.call(deployments.apply_deployments, body)
    assert steps(look(client)) == [
        ("no_worker_yet", "runyard worker start --pool 'two words'"),
        ("no_run", "runyard deployment run etl/-x"),
    ]


def test_no_query_reads_all_flow_runs(database_url):
    """The overview of a large history is as fast as that of a small one: each query uses an index."""
    if not database_url.startswith("sqlite"):
        pytest.skip("PostgreSQL plans by the number of rows")
    database = get_database(database_url)
    with History(database) as history:
        for kind in ("COMPLETED", "FAILED", "CRASHED", "SCHEDULED", "RUNNING", "PAUSED", "PENDING"):
            history.flow_run(0.5, kind)
    plans = []

    class Explained:
        dialect = "sqlite"

        def __init__(self, tx):
            self.tx = tx

        def __getattr__(self, name):
            def read(sql, values=None):
                plans.extend((sql, row["detail"]) for row in self.tx.all(f"EXPLAIN QUERY PLAN {sql}", values))
                return getattr(self.tx, name)(sql, values)

            return read

    with database.transaction(write=False) as tx:
        found = overview.read_overview(Explained(tx))
    assert (found["failed"], found["running"], found["waiting"], found["pending"]) == (2, 1, 1, 1)
    reading = [(sql, plan) for sql, plan in plans if plan.startswith("SCAN r") or "SCAN flow_runs" in plan]
    assert all("SELECT 1 AS one FROM flow_runs LIMIT 1" in sql for sql, _ in reading), reading
    sorted_runs = [sql for sql, plan in plans if "TEMP B-TREE" in plan and sql.startswith("SELECT r.")]
    assert sorted_runs == []
