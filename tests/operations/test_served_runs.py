"""Runs of deployments without a pool: claimed by who serves those deployments, within their limits."""

from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.operations.deployments.deployments import (
    DeploymentApply,
    DeploymentFlowRunCreate,
    DeploymentsApply,
    apply_deployments,
)
from runyard.operations.flow_runs.claim_served_flow_runs import (
    ServedClaim,
    ServedDeployments,
    claim_served_flow_runs,
    read_next_served,
)
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.explain import explain_flow_run
from runyard.operations.flow_runs.flow_runs import read_flow_run
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool


def deploy(client, name="one", **fields):
    deployment = DeploymentApply(name=name, flow_name="work", entrypoint="flows.py:work", **fields)
    body = DeploymentsApply(deployments=[deployment], owner="python")
    return client.call(apply_deployments, body)[0].deployment.id


def run(client, deployment_id, due=None):
    state = StateCreate(
        type="SCHEDULED", state_details={"scheduled_time": clock.format_time(due)} if due else {}
    )
    body = DeploymentFlowRunCreate(state=state) if due else DeploymentFlowRunCreate()
    return client.call(create_flow_run_from_deployment, deployment_id, body).id


def claim(client, *deployment_ids, limit=10):
    body = ServedClaim(
        deployment_ids=list(deployment_ids), worker_name="runner", limit=limit, lease_seconds=60
    )
    return client.call(claim_served_flow_runs, body)


def next_due(client, *deployment_ids):
    return client.call(read_next_served, ServedDeployments(deployment_ids=list(deployment_ids))).due


def test_only_the_served_deployments_runs_are_claimed_and_once(client):
    first, second = deploy(client), deploy(client, "two")
    runs = [run(client, first), run(client, first)]
    run(client, second)
    claimed = claim(client, first)
    assert [each.flow_run_id for each in claimed] == runs
    assert {each.attempt for each in claimed} == {1}
    assert claimed[0].flow_name == "work"
    assert claimed[0].deployment.entrypoint == "flows.py:work"
    assert "variables" in claimed[0].base_job_template
    assert client.call(read_flow_run, runs[0]).state_name == "Pending"
    assert claim(client, first) == []


def test_the_oldest_of_all_come_first(client):
    first, second = deploy(client), deploy(client, "two")
    runs = [run(client, first), run(client, second), run(client, first)]
    assert [each.flow_run_id for each in claim(client, first, second, limit=2)] == runs[:2]
    assert [each.flow_run_id for each in claim(client, first, second)] == runs[2:]


def test_runs_of_a_pool_are_the_pools(client):
    client.call(create_work_pool, WorkPoolCreate(name="pool", type="process"))
    deployment_id = deploy(client, work_pool_name="pool")
    run(client, deployment_id)
    assert claim(client, deployment_id) == []
    assert next_due(client, deployment_id) is None


def test_a_full_deployment_holds_up_nobody(client):
    full, free = deploy(client, concurrency_limit=1), deploy(client, "two")
    runs = [run(client, full), run(client, full), run(client, free)]
    assert [each.flow_run_id for each in claim(client, full, free)] == [runs[0], runs[2]]
    assert claim(client, full, free) == []
    assert next_due(client, full, free) is None


def test_a_full_deployment_may_cancel_what_comes(client):
    options = {"collision_strategy": "CANCEL_NEW"}
    deployment_id = deploy(client, concurrency_limit=1, concurrency_options=options)
    runs = [run(client, deployment_id) for _ in range(3)]
    assert [each.flow_run_id for each in claim(client, deployment_id)] == runs[:1]
    states = [client.call(read_flow_run, each).state_name for each in runs]
    assert states == ["Pending", "Cancelled", "Cancelled"]


def test_a_limit_of_the_claim_cancels_nothing(client):
    options = {"collision_strategy": "CANCEL_NEW"}
    deployment_id = deploy(client, concurrency_limit=5, concurrency_options=options)
    runs = [run(client, deployment_id) for _ in range(2)]
    assert [each.flow_run_id for each in claim(client, deployment_id, limit=1)] == runs[:1]
    assert client.call(read_flow_run, runs[1]).state_name == "Scheduled"


def test_when_to_look_again(client):
    deployment_id = deploy(client)
    assert next_due(client, deployment_id) is None
    later = clock.now() + timedelta(hours=1)
    run(client, deployment_id, later)
    assert next_due(client, deployment_id) == pytest.approx(later, abs=timedelta(seconds=1))
    assert claim(client, deployment_id) == []
    run(client, deployment_id)
    assert next_due(client, deployment_id) <= clock.now()


def test_a_run_that_nobody_serves_says_so(client):
    run_id = run(client, deploy(client))
    reasons = client.call(explain_flow_run, run_id).reasons
    (reason,) = [each for each in reasons if each.code == "not_served"]
    assert "script that serves it" in reason.text
    assert reason.command == "runyard flow serve flows.py:work --name one"


def test_nothing_served_is_nothing_claimed(client):
    assert claim(client) == []
    assert next_due(client) is None
