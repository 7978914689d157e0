"""Why a run is not running: each reason, and the command that would change it."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta

import pytest
from runyard.base import clock, machine
from runyard.client import LocalClient
from runyard.domain.states import Cancelled, Completed, Failed, Running
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import claim_flow_runs, explain, flow_runs, report_exit
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools import work_pools, work_queues, workers


@pytest.fixture
def pool(client):
    return client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))


def deployment(client, name="daily", **fields):
    item = {"flow_name": "etl", "name": name, "work_pool_name": "machines", **fields}
    body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def run(client, its, after_seconds=-1.0, **fields):
    due = clock.format_time(clock.now() + timedelta(seconds=after_seconds))
    state = {"type": "SCHEDULED", "state_details": {"scheduled_time": due}}
    body = deployments.DeploymentFlowRunCreate.model_validate({"state": state, **fields})
    return client.call(create_flow_run_from_deployment, its.id, body)


def claim(client, limit=1):
    body = claim_flow_runs.ClaimRequest(worker_name="w", limit=limit, lease_seconds=30)
    return client.call(claim_flow_runs.claim_flow_runs, "machines", body)


def beat(client, **fields):
    client.call(workers.heartbeat_worker, "machines", workers.WorkerHeartbeat(name="w", **fields))


def why(client, flow_run):
    told = client.call(explain.explain_flow_run, flow_run.id)
    return told, {reason.code: reason for reason in told.reasons}


def propose(client, claimed, state):
    body = flow_runs.SetState(state=StateCreate.of(state), attempt=claimed.attempt)
    client.call(flow_runs.set_flow_run_state, claimed.flow_run_id, body)


def test_no_worker_is_online(client, pool):
    flow_run = run(client, deployment(client))
    told, reasons = why(client, flow_run)
    assert told.status == "waiting"
    assert told.summary.endswith("waits: no worker is online for work pool 'machines'.")
    assert reasons["no_worker"].command == "runyard worker start --pool machines"
    beat(client, stopped=True)
    assert "'w', sent its last heartbeat" in why(client, flow_run)[1]["no_worker"].text


def test_nothing_holds_it_back(client, pool):
    flow_run = run(client, deployment(client))
    beat(client)
    told, reasons = why(client, flow_run)
    assert (told.status, list(reasons)) == ("ready", ["ready"])


def test_workers_serve_other_queues_or_are_full(client, pool):
    its = deployment(client)
    client.call(work_queues.create_work_queue, "machines", work_queues.WorkQueueCreate(name="urgent"))
    beat(client, work_queue_names=["urgent"])
    flow_run = run(client, its)
    reason = why(client, flow_run)[1]["no_worker_for_queue"]
    assert reason.command == "runyard worker start --pool machines --work-queue default"
    beat(client, concurrency_limit=1)
    claim(client)
    second = run(client, its)
    assert "w (1 run)" in why(client, second)[1]["worker_limit"].text


def test_what_is_paused(client, pool):
    flow_run = run(client, deployment(client))
    beat(client)
    client.call(work_pools.update_work_pool, "machines", work_pools.WorkPoolUpdate(is_paused=True))
    update = work_queues.WorkQueueUpdate(is_paused=True)
    client.call(work_queues.update_work_queue, "machines", "default", update)
    client.call(deployments.pause_deployment, flow_run.deployment_id)
    told, reasons = why(client, flow_run)
    assert set(reasons) == {"pool_paused", "queue_paused", "deployment_paused"}
    assert told.summary.endswith("waits, for 2 reasons.")
    assert reasons["pool_paused"].command == "runyard work-pool resume machines"
    assert reasons["queue_paused"].command == "runyard work-queue resume default --pool machines"
    assert reasons["deployment_paused"].command == "runyard deployment resume etl/daily"


def test_a_deployments_pause_alone_holds_nothing(client, pool):
    flow_run = run(client, deployment(client))
    beat(client)
    client.call(deployments.pause_deployment, flow_run.deployment_id)
    assert why(client, flow_run)[0].status == "ready"


@pytest.mark.parametrize("limited", ["pool", "queue", "deployment"])
def test_which_limit_is_full_and_by_whom(client, pool, limited):
    its = deployment(client, concurrency_limit=1 if limited == "deployment" else None)
    if limited == "pool":
        update = work_pools.WorkPoolUpdate(concurrency_limit=1)
        client.call(work_pools.update_work_pool, "machines", update)
    if limited == "queue":
        update = work_queues.WorkQueueUpdate(concurrency_limit=1)
        client.call(work_queues.update_work_queue, "machines", "default", update)
    first, second = run(client, its, -2), run(client, its)
    beat(client)
    claim(client)
    _, reasons = why(client, second)
    assert set(reasons) == {f"{limited}_limit"}
    reason = reasons[f"{limited}_limit"]
    assert f"{first.name} ({first.id})" in reason.text
    assert "2" in reason.command


def test_what_is_full_now_holds_no_run_of_tomorrow(client, pool):
    its = deployment(client, concurrency_limit=1)
    update = work_pools.WorkPoolUpdate(concurrency_limit=1)
    client.call(work_pools.update_work_pool, "machines", update)
    run(client, its)
    future = run(client, its, 86400)
    beat(client, concurrency_limit=1)
    claim(client)
    told, reasons = why(client, future)
    assert set(reasons) == {"not_due"}
    assert "waits: it is not due until" in told.summary
    client.call(work_pools.update_work_pool, "machines", work_pools.WorkPoolUpdate(is_paused=True))
    assert set(why(client, future)[1]) == {"not_due", "pool_paused"}


def test_a_limit_of_zero(client, pool):
    flow_run = run(client, deployment(client, concurrency_limit=0))
    beat(client)
    assert "is 0" in why(client, flow_run)[1]["deployment_limit"].text


def test_times(client, pool):
    its = deployment(client)
    beat(client)
    reason = why(client, run(client, its, 3 * 3600 + 10))[1]["not_due"]
    assert "(in 3 h)" in reason.text
    late = run(client, its, -120)
    told, reasons = why(client, late)
    assert "(2 min ago)" in reasons["late"].text
    assert told.status == "ready"


def test_who_stands_before_it(client, pool):
    its = deployment(client)
    beat(client)
    run(client, its, -5)
    run(client, its, -4)
    _, reasons = why(client, run(client, its, -3))
    assert "after 2 due runs" in reasons["behind"].text


def test_runs_that_a_limit_holds_do_not_stand_before_those_of_others(client, pool):
    narrow, free = deployment(client, "narrow", concurrency_limit=1), deployment(client, "free")
    beat(client)
    first, *_, last = [run(client, narrow, -9 + index) for index in range(4)]
    other = run(client, free)
    assert "after 4 due runs of work pool" in why(client, other)[1]["behind"].text
    claim(client)
    told, reasons = why(client, other)
    assert (told.status, set(reasons)) == ("ready", {"ready"})
    _, reasons = why(client, last)
    assert set(reasons) == {"deployment_limit", "behind"}
    assert first.name in reasons["deployment_limit"].text
    assert reasons["behind"].text == "It starts after 2 due runs of its deployment."
    assert reasons["behind"].command is None


def test_a_queue_whose_limit_is_full_does_not_stand_before_others(client, pool):
    queue = work_queues.WorkQueueCreate(name="urgent", priority=1, concurrency_limit=1)
    client.call(work_queues.create_work_queue, "machines", queue)
    urgent, rest = deployment(client, "urgent", work_queue_name="urgent"), deployment(client)
    client.call(work_queues.update_work_queue, "machines", "default", work_queues.WorkQueueUpdate(priority=2))
    beat(client)
    run(client, urgent, -5)
    run(client, urgent, -4)
    other = run(client, rest)
    assert "after 2 due runs" in why(client, other)[1]["behind"].text
    claim(client)
    assert why(client, other)[0].status == "ready"


def test_the_command_for_a_deployment_that_was_made_without_a_file(client, pool):
    its = deployment(client, entrypoint="flows/my etl.py:main", concurrency_limit=0)
    body = {"flow_name": "etl", "name": "hand", "entrypoint": "flows/my etl.py:main", "concurrency_limit": 0}
    apply = deployments.DeploymentsApply.model_validate({"owner": "cli", "deployments": [body]})
    by_hand = client.call(deployments.apply_deployments, apply)[0].deployment
    reason = why(client, run(client, its))[1]["deployment_limit"]
    assert reason.command == "runyard deploy --name daily --concurrency-limit 1"
    reason = why(client, run(client, by_hand))[1]["no_work_pool"]
    assert reason.command == "runyard deploy 'flows/my etl.py:main' --name hand --pool NAME"


def test_an_earlier_run_of_a_schedule_that_queues(client, pool):
    its = deployment(client, schedules=[{"schedule": {"interval": 3600}, "overlap": "queue"}])
    first, second = run(client, its, -5), run(client, its, -4)
    if not isinstance(client, LocalClient):
        pytest.skip("only the scheduler says which schedule made a run; this one is put in by hand")
    with client.database.transaction() as tx:
        tx.execute("UPDATE flow_runs SET schedule_id = :id", {"id": its.schedules[0].id})
    reason = why(client, second)[1]["overlap"]
    assert first.id in reason.text
    assert reason.command == f"runyard flow-run cancel {first.id}"


def test_there_is_no_work_pool(client, pool):
    flow_run = run(client, deployment(client, work_pool_name=None))
    assert why(client, flow_run)[1]["no_work_pool"].command == "runyard deploy --name daily --pool NAME"
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="alone"))
    state = StateCreate(type="SCHEDULED")
    alone = client.call(flow_runs.create_flow_run, flow_runs.FlowRunCreate(flow_id=flow.id, state=state))
    assert "no deployment" in why(client, alone)[1]["no_work_pool"].text


def test_the_work_pool_was_deleted(client, pool):
    flow_run = run(client, deployment(client))
    client.call(work_pools.delete_work_pool, "machines")
    assert "no work pool" in why(client, flow_run)[1]["no_work_pool"].text


def test_a_run_that_executes_and_how_it_ended(client, pool):
    flow_run = run(client, deployment(client))
    (claimed,) = claim(client)
    assert why(client, flow_run)[0].status == "starting"
    propose(client, claimed, Running())
    told, reasons = why(client, flow_run)
    assert told.status == "running"
    assert "Attempt 1 is executed by 'w'; its lease is valid until" in reasons["lease"].text
    propose(client, claimed, Failed(message="boom"))
    told, reasons = why(client, flow_run)
    assert (told.status, reasons["over"].text) == ("over", "boom.")
    assert reasons["over"].command == f"runyard flow-run retry {flow_run.id}"
    assert reasons["logs"].command == f"runyard flow-run logs {flow_run.id}"


@pytest.mark.skipif(machine.place() is None, reason="this system proves no process dead")
def test_a_run_whose_executor_is_gone_is_not_said_to_be_executed(client, pool):
    program = "from runyard.base import machine; print(*machine.identity(), sep='\\n')"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    place, proof = said.stdout.splitlines()
    dead, alive = run(client, deployment(client), -2), run(client, deployment(client))
    for identity in ((place, proof), machine.identity()):
        body = claim_flow_runs.ClaimRequest(
            worker_name="w", limit=1, lease_seconds=30, place=identity[0], proof=identity[1]
        )
        propose(client, *client.call(claim_flow_runs.claim_flow_runs, "machines", body), Running())
    assert set(why(client, alive)[1]) == {"lease"}
    reason = why(client, dead)[1]["executor_gone"]
    assert reason.text.startswith("Attempt 1 was executed by 'w', whose process has ended.")
    assert reason.command == "runyard worker start --pool machines"


def test_a_run_that_is_being_stopped_needs_no_other_stop(client, pool):
    flow_run = run(client, deployment(client))
    (claimed,) = claim(client)
    propose(client, claimed, Running())
    cancelling = flow_runs.SetState(state=StateCreate(type="CANCELLING"))
    client.call(flow_runs.set_flow_run_state, flow_run.id, cancelling)
    told, reasons = why(client, flow_run)
    assert (told.status, reasons["lease"].command) == ("cancelling", None)


def test_a_completed_run_needs_no_command(client, pool):
    flow_run = run(client, deployment(client))
    (claimed,) = claim(client)
    propose(client, claimed, Running())
    propose(client, claimed, Completed())
    assert why(client, flow_run)[1]["over"].command is None


def test_a_process_that_died_is_told_in_words(client, pool):
    flow_run = run(client, deployment(client, crash_retries=2))
    for died in ("once", "2 times"):
        (claimed,) = claim(client)
        propose(client, claimed, Running())
        body = report_exit.ExitReport(flow_run_id=flow_run.id, attempt=claimed.attempt, exit_code=-9)
        client.call(report_exit.report_exit, body)
        (claimed,) = claim(client)
        propose(client, claimed, Running())
        propose(client, claimed, Failed(message="boom"))
        assert why(client, flow_run)[1]["over"].text == f"boom. Its process died {died}."
        retry = flow_runs.SetState(state=StateCreate(type="SCHEDULED", name="AwaitingRetry"), force=True)
        client.call(flow_runs.set_flow_run_state, flow_run.id, retry)


def test_the_message_of_a_crash_is_all(client, pool):
    flow_run = run(client, deployment(client))
    (claimed,) = claim(client)
    propose(client, claimed, Running())
    body = report_exit.ExitReport(
        flow_run_id=flow_run.id, attempt=claimed.attempt, exit_code=1, message="No space left."
    )
    client.call(report_exit.report_exit, body)
    assert why(client, flow_run)[1]["over"].text == "No space left."


def test_a_message_is_told_as_a_sentence(client, pool):
    flow_run = run(client, deployment(client))
    (claimed,) = claim(client)
    propose(client, claimed, Running())
    propose(client, claimed, Cancelled(message="the run was cancelled"))
    assert why(client, flow_run)[1]["over"].text == "The run was cancelled."
