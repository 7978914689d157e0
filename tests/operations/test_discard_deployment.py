"""Deleting a deployment with all its runs leaves nothing of it, and everything of the others."""

from __future__ import annotations

import pytest
from runyard.base.errors import NotFound
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.deployments.discard_deployment import discard_deployment
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, create_flow_run, filter_flow_runs
from runyard.operations.records.logs import LogCreate, LogListing, create_logs, filter_logs
from runyard.operations.schemas import Listing
from runyard.operations.work_pools import work_pools


def deploy(client, flow, name):
    item = {"flow_name": flow, "name": name, "work_pool_name": "machines", "entrypoint": "f.py:f"}
    body = deployments.DeploymentsApply.model_validate({"owner": name, "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment.id


def runs(client, deployment_id, count):
    body = deployments.DeploymentFlowRunCreate()
    return [client.call(create_flow_run_from_deployment, deployment_id, body) for _ in range(count)]


def discard(client, deployment_id):
    """How many calls it took."""
    calls = 1
    while not client.call(discard_deployment, deployment_id):
        calls += 1
    return calls


def test_nothing_is_left_of_it_and_all_of_the_others(client):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))
    tried, kept = deploy(client, "etl", "daily-dev"), deploy(client, "etl", "daily")
    only = deploy(client, "report", "weekly-dev")
    (first, *_) = runs(client, tried, 45)
    (other,) = runs(client, kept, 1)
    record = LogCreate(name="l", level=20, message="m", timestamp=first.created, flow_run_id=first.id)
    client.call(create_logs, [record])
    inner = client.call(known_flows.create_flow, known_flows.FlowCreate(name="inner"))
    child = {"flow_id": inner.id, "deployment_id": tried, "state": {"type": "COMPLETED"}}
    client.call(create_flow_run, FlowRunCreate.model_validate(child))
    assert discard(client, tried) == 3
    assert discard(client, only) == 1
    assert [run.id for run in client.call(filter_flow_runs, Listing())] == [other.id]
    assert client.call(filter_logs, LogListing()) == []
    assert [each.name for each in client.call(deployments.filter_deployments, Listing())] == ["daily"]
    assert [flow.name for flow in client.call(known_flows.filter_flows, Listing())] == ["etl"]
    with pytest.raises(NotFound):
        client.call(discard_deployment, tried)
