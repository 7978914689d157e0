"""What a shell offers for a word: names of what is stored, ids where a name is not unique, and help."""

from __future__ import annotations

import pytest
from _history import History
from runyard.base.errors import InvalidInput
from runyard.operations.blocks import block_types
from runyard.operations.deployments import deployments
from runyard.operations.installation.completion_candidates import list_candidates
from runyard.operations.limits import tag_limits
from runyard.operations.schedules import schedules
from runyard.operations.work_pools import work_pools, workers
from runyard.store.database import get_database


def offered(client, kind, prefix="", of="", **fields):
    return [tuple(each) for each in client.call(list_candidates, kind=kind, prefix=prefix, of=of, **fields)]


@pytest.fixture
def pool(client):
    return client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="machines"))


def deploy(client, flow, name, **fields):
    item = {"flow_name": flow, "name": name, "work_pool_name": "machines", **fields}
    body = deployments.DeploymentsApply.model_validate({"owner": f"{flow}{name}", "deployments": [item]})
    return client.call(deployments.apply_deployments, body)[0].deployment


def test_deployments_by_full_name_and_by_a_unique_name(client, pool):
    deploy(client, "etl", "daily", description="Load all orders.\n\nMore words.")
    deploy(client, "etl", "weekly")
    paused = deploy(client, "report", "weekly")
    client.call(deployments.pause_deployment, paused.id)
    assert offered(client, "deployments") == [
        ("etl/daily", "Load all orders."),
        ("etl/weekly", ""),
        ("report/weekly", "paused"),
    ]
    assert offered(client, "deployments", "etl/w") == [("etl/weekly", "")]
    assert offered(client, "deployments", "da") == [("daily", "etl/daily")]
    assert offered(client, "deployments", "we") == []
    assert offered(client, "deployments", limit=1) == [("etl/daily", "Load all orders.")]
    assert offered(client, "deployments", limit=-1) == []


def test_schedules_and_parameters_of_a_deployment(client, pool):
    schema = {
        "type": "object",
        "properties": {"date": {"type": "string"}, "size": {"type": "integer", "default": 3}},
    }
    its = deploy(client, "etl", "daily", parameter_openapi_schema=schema)
    specs = [
        {"schedule": {"cron": "0 6 * * *"}, "slug": "early"},
        {"schedule": {"cron": "0 18 * * *"}, "slug": "late", "active": False},
        {"schedule": {"interval": 3600}},
    ]
    bodies = [schedules.DeploymentScheduleCreate.model_validate(each) for each in specs]
    *_, unnamed = client.call(schedules.create_deployment_schedules, its.id, bodies)
    expected = [
        ("early", "cron 0 6 * * *"),
        ("late", "cron 0 18 * * *, paused"),
        (unnamed.id, "interval 3600.0"),
    ]
    for reference in ("etl/daily", "daily", its.id, its.id[:20]):
        assert offered(client, "schedules", of=reference) == expected
    assert offered(client, "schedules", "ea", of="daily") == expected[:1]
    assert offered(client, "parameters", of="daily") == [("date=", "string"), ("size=", "integer, default 3")]
    assert offered(client, "parameters", "si", of="daily") == [("size=", "integer, default 3")]
    assert offered(client, "parameters", of="unknown") == []
    assert offered(client, "schedules") == []


def test_a_run_whose_name_several_runs_have_is_offered_by_its_id(client):
    with History(get_database()) as history:
        old = history.flow_run(3, name="brave-fox", kind="FAILED")
        new = history.flow_run(1, name="brave-fox")
        history.flow_run(2, name="calm-otter", kind="FAILED")
        history.flow_run(0.1, name="eager-owl", kind="RUNNING")
        asked = history.flow_run(0.2, name="wise-hen", kind="PAUSED")
    assert offered(client, "flow-runs") == [
        ("eager-owl", "Running"),
        ("wise-hen", "Paused"),
        (new, "brave-fox, Completed"),
        ("calm-otter", "Failed"),
        (old, "brave-fox, Failed"),
    ]
    assert offered(client, "flow-runs", "b") == [(new, "brave-fox, Completed"), (old, "brave-fox, Failed")]
    assert offered(client, "flow-runs", of="open") == [("wise-hen", "Paused"), ("eager-owl", "Running")]
    assert offered(client, "flow-runs", of="paused") == [("wise-hen", "Paused")]
    assert [value for value, _ in offered(client, "flow-runs", of="ended")] == [new, "calm-otter", old]
    assert offered(client, "flow-runs", asked[:-3]) == [(asked, "wise-hen, Paused")]
    # Its namesake is beyond the limit: the name is not unique all the same.
    assert offered(client, "flow-runs", "b", of="ended", limit=1)[0][0] == new


def test_task_runs(client):
    with History(get_database()) as history:
        first, second = (history.flow_run(days) for days in (2, 1))
        one = history.task_run(first, 2, name="fetch")
        two = history.task_run(second, 1, name="fetch")
        history.task_run(second, 0.5, name="store", kind="FAILED")
    assert offered(client, "task-runs") == [
        ("store", "Failed"),
        (two, "fetch, Completed"),
        (one, "fetch, Completed"),
    ]


def test_workers_limits_and_block_types(client, pool):
    client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="other"))
    for where, name in (("machines", "w1"), ("other", "w2")):
        client.call(workers.heartbeat_worker, where, workers.WorkerHeartbeat(name=name))
    assert offered(client, "workers") == [("w1", "machines"), ("w2", "other")]
    assert offered(client, "workers", of="other") == [("w2", "other")]
    assert offered(client, "workers", "x") == []
    limit = tag_limits.TagLimitCreate(tag="api", concurrency_limit=2)
    client.call(tag_limits.create_tag_limit, limit)
    assert offered(client, "tag-limits", "a") == [("api", "")]
    made = block_types.BlockTypeCreate(name="Ticket", slug="ticket", description="A place for tickets.")
    client.call(block_types.create_block_type, made)
    assert offered(client, "block-types", "tic") == [("ticket", "A place for tickets.")]
    assert offered(client, "pools", "ma") == [("machines", "")]
    assert offered(client, "queues", of="machines") == [("default", "")]


def test_an_unknown_kind_is_refused(client):
    with pytest.raises(InvalidInput, match="unknown kind 'spoons'"):
        offered(client, "spoons")
    with pytest.raises(InvalidInput, match="unknown states 'lost'"):
        offered(client, "flow-runs", of="lost")
