"""Runs that a worker claimed, executed in this process, and deployments started from Python."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from runyard import flow, run_deployment, task
from runyard.base.errors import InvalidInput, NotFound
from runyard.engine import runtime
from runyard.engine.entry import run_claimed
from runyard.operations.deployments.deployments import (
    DeploymentApply,
    DeploymentFlowRunCreate,
    DeploymentsApply,
    apply_deployments,
)
from runyard.operations.flow_runs.claim_flow_runs import ClaimRequest, claim_flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool


@task
def step():
    return 1


@pytest.fixture
def deployment(recorded):
    """A deployment of a flow named `work` in a pool that a test claims from."""
    client = recorded.client
    client.call(create_work_pool, WorkPoolCreate(name="pool", type="process"))
    one = DeploymentApply(name="d", flow_name="work", entrypoint="flows.py:work", work_pool_name="pool")
    return client.call(apply_deployments, DeploymentsApply(deployments=[one], owner="test"))[0].deployment


def claim(recorded):
    body = ClaimRequest(worker_name="w", limit=1, lease_seconds=30)
    claimed = recorded.client.call(claim_flow_runs, "pool", body)
    return claimed[0] if claimed else None


def claimed(recorded, deployment, **fields):
    """A new run, claimed: its id and attempt."""
    body = DeploymentFlowRunCreate(**fields)
    recorded.client.call(create_flow_run_from_deployment, deployment.id, body)
    found = claim(recorded)
    return found.flow_run_id, found.attempt


def only(recorded):
    (run,) = recorded.flow_runs("work")
    return run


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_claimed_run_completes(recorded, deployment, kind):
    def body(x: int = 0):
        assert runtime.flow_run.id == run_id
        assert runtime.deployment.id == deployment.id
        assert runtime.deployment.name == "d"
        seen.append(x)
        step()

    async def body_async(x: int = 0):
        body(x)

    seen = []
    work = flow(name="work", flow_run_name="x-{x}")(body if kind == "sync" else body_async)
    run_id, attempt = claimed(recorded, deployment, parameters={"x": "5"})
    assert run_claimed(work, run_id, attempt, {"x": "5"}) == 0
    assert seen == [5]
    run = only(recorded)
    assert (run["state_type"], run["name"]) == ("COMPLETED", "x-5")
    assert recorded.rows("SELECT * FROM leases") == []


@pytest.mark.parametrize("parameters", [{"y": 1}, {"x": "many"}])
def test_parameters_that_do_not_fit_fail_the_run(recorded, deployment, parameters):
    @flow(name="work")
    def work(x: int = 0):
        pass

    assert run_claimed(work, *claimed(recorded, deployment), parameters) == 0
    assert only(recorded)["state_type"] == "FAILED"
    assert "parameter" in recorded.state(only(recorded))["message"]


def test_a_failing_claimed_run_is_reported(recorded, deployment):
    @flow(name="work", retries=1)
    def work():
        raise ValueError("x")

    assert run_claimed(work, *claimed(recorded, deployment), {}) == 0
    assert recorded.states(only(recorded), "flow")[-4:] == ["Running", "AwaitingRetry", "Running", "Failed"]


def test_an_attempt_that_lost_its_claim_runs_no_line(recorded, deployment, capsys):
    ran = []

    @flow(name="work")
    def work():
        ran.append(1)

    run_id, attempt = claimed(recorded, deployment)
    assert run_claimed(work, run_id, attempt + 1, {}) == 0
    assert ran == []
    assert only(recorded)["state_type"] == "PENDING"
    assert "lost its lease" in capsys.readouterr().err


def test_a_claimed_run_that_exits_is_crashed(recorded, deployment):
    @flow(name="work")
    def work():
        raise SystemExit(3)

    assert run_claimed(work, *claimed(recorded, deployment), {}) == 0
    assert only(recorded)["state_type"] == "CRASHED"


def execute_next(recorded, work):
    """A stand-in for a worker: claims and runs one run, in a thread."""

    def serve():
        deadline = time.monotonic() + 60
        while (found := claim(recorded)) is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        run_claimed(work, found.flow_run_id, found.attempt, found.flow_run.parameters)
        recorded.client.database.discard()

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_run_deployment_waits_for_the_end(recorded, deployment):
    @flow(name="work")
    def work(n: int = 0):
        return n

    @flow
    def parent():
        return run_deployment("work/d", parameters={"n": 2}, flow_run_name="below", tags=["t"])

    thread = execute_next(recorded, work)
    run = parent()
    thread.join()
    assert (run.name, run.state_type, run.parameters) == ("below", "COMPLETED", {"n": 2})
    (tracking,) = recorded.task_runs("d")
    assert only(recorded)["parent_task_run_id"] == tracking["id"]
    assert tracking["state_type"] == "COMPLETED"


def test_run_deployment_without_waiting(recorded, deployment):
    run = run_deployment("work/d", timeout=0)
    assert run.state_type == "SCHEDULED"
    again = run_deployment("d", timeout=0.05, idempotency_key="k")
    assert run_deployment("d", timeout=0, idempotency_key="k").id == again.id

    async def on_a_loop():
        return await run_deployment("work/d", timeout=0, as_subflow=False)

    assert asyncio.run(on_a_loop()).state_type == "SCHEDULED"


def test_run_deployment_refuses(recorded, deployment):
    with pytest.raises(NotFound):
        run_deployment("work/none")
    with pytest.raises(InvalidInput, match="negative"):
        run_deployment("work/d", timeout=-1)
