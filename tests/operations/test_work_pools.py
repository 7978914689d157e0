"""Work pools: names, types, templates, status, deletion."""

from __future__ import annotations

import pytest
from runyard.base.errors import Conflict, InvalidInput, NotAllowed, NotFound
from runyard.domain import job_templates
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import claim_flow_runs, flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.schemas import Filter, Listing
from runyard.operations.work_pools import work_pools, workers
from runyard.operations.work_pools.work_pools import WorkPoolCreate, WorkPoolUpdate


def create(client, name="machines", **fields):
    return client.call(work_pools.create_work_pool, WorkPoolCreate(name=name, **fields))


def deployed_run(client):
    item = {"flow_name": "etl", "name": "daily", "work_pool_name": "machines"}
    body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
    its = client.call(deployments.apply_deployments, body)[0].deployment
    body = deployments.DeploymentFlowRunCreate()
    return client.call(create_flow_run_from_deployment, its.id, body)


def test_a_pool_is_made_with_its_types_template_and_a_default_queue(client):
    pool = create(client, type="docker", description="d", concurrency_limit=2)
    assert pool.base_job_template == job_templates.default("docker")
    assert (pool.status, pool.active_slots, pool.concurrency_limit) == ("NOT_READY", 0, 2)
    assert pool.default_queue_id
    assert client.call(work_pools.read_work_pool, "machines") == pool


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"type": "proces"}, InvalidInput, "did you mean 'process'"),
        ({"name": "a/b"}, InvalidInput, "cannot have '/'"),
        ({"name": " "}, InvalidInput, "1 to 250"),
        ({"name": "Prefect-pool"}, NotAllowed, "reserved"),
        ({"base_job_template": {"variables": {}}}, InvalidInput, "'job_configuration'"),
        (
            {
                "base_job_template": {
                    "job_configuration": {"command": "{{ comand }}"},
                    "variables": {"properties": {"command": {}}},
                }
            },
            InvalidInput,
            "did you mean 'command'",
        ),
    ],
)
def test_what_a_pool_cannot_be(client, fields, error, words):
    with pytest.raises(error, match=words):
        create(client, **{"name": "machines", **fields})
    assert client.call(work_pools.count_work_pools, Filter()) == 0


def test_a_name_is_taken_once(client):
    create(client)
    with pytest.raises(Conflict, match="runyard work-pool inspect machines"):
        create(client)


def test_a_pool_that_is_nearly_called_so_is_named(client):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="default-agent-pool"))
    for name in ("default-agent-pol", "Default-agent-pool"):
        with pytest.raises(NotFound, match="did you mean 'default-agent-pool'"):
            client.call(work_pools.read_work_pool, name)


def test_only_what_is_given_changes(client):
    create(client, description="d", concurrency_limit=2)
    client.call(work_pools.update_work_pool, "machines", WorkPoolUpdate(is_paused=True))
    pool = client.call(work_pools.read_work_pool, "machines")
    assert (pool.status, pool.description, pool.concurrency_limit) == ("PAUSED", "d", 2)
    client.call(work_pools.update_work_pool, "machines", WorkPoolUpdate(concurrency_limit=None))
    assert client.call(work_pools.read_work_pool, "machines").concurrency_limit is None
    with pytest.raises(NotFound, match="runyard work-pool create other"):
        client.call(work_pools.update_work_pool, "other", WorkPoolUpdate(is_paused=True))


def test_pools_are_listed_by_name_and_filtered(client):
    for name in ("b", "a", "c"):
        create(client, name)
    listed = client.call(work_pools.filter_work_pools, Listing(limit=2))
    assert [pool.name for pool in listed] == ["a", "b"]
    body = Listing(work_pools={"name": {"any_": ["c"]}})
    assert [pool.name for pool in client.call(work_pools.filter_work_pools, body)] == ["c"]


def test_a_pool_is_ready_while_a_worker_is_online(client):
    create(client)
    beat = workers.WorkerHeartbeat(name="w", heartbeat_interval_seconds=30)
    client.call(workers.heartbeat_worker, "machines", beat)
    assert client.call(work_pools.read_work_pool, "machines").status == "READY"
    client.call(workers.heartbeat_worker, "machines", workers.WorkerHeartbeat(name="w", stopped=True))
    assert client.call(work_pools.read_work_pool, "machines").status == "NOT_READY"


def test_a_pool_whose_runs_execute_is_not_deleted_unless_forced(client):
    create(client)
    deployed_run(client)
    waiting = deployed_run(client)
    body = claim_flow_runs.ClaimRequest(worker_name="w", limit=1, lease_seconds=30)
    assert len(client.call(claim_flow_runs.claim_flow_runs, "machines", body)) == 1
    assert client.call(work_pools.read_work_pool, "machines").active_slots == 1
    with pytest.raises(Conflict, match="work pool 'machines' still executes 1 run;"):
        client.call(work_pools.delete_work_pool, "machines")
    client.call(work_pools.delete_work_pool, "machines", force=True)
    with pytest.raises(NotFound):
        client.call(work_pools.read_work_pool, "machines")
    run = client.call(flow_runs.read_flow_run, waiting.id)
    assert (run.state_type, run.work_queue_id) == ("SCHEDULED", None)


def test_clients_find_the_types_in_the_collection(client):
    view = client.call(work_pools.read_collection_view, "aggregate-worker-metadata")
    assert set(view["runyard"]) == {"process", "docker", "kubernetes"}
    with pytest.raises(NotFound):
        client.call(work_pools.read_collection_view, "demo-flows")
