"""Deployments: creating, redeploying, pausing, finding, running; what a redeploy keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from runyard.base.errors import Conflict, InvalidInput, NotFound, ParameterError
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.flow_runs.poll_due_runs import get_scheduled_flow_runs_of_deployments
from runyard.operations.schedules import schedules
from runyard.operations.schemas import Filter, Listing, StateCreate
from runyard.operations.work_pools import work_pools, work_queues

SCHEMA = {
    "type": "object",
    "properties": {
        "date": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "count": {"type": "integer", "minimum": 1},
        "mode": {"$ref": "#/definitions/Mode"},
    },
    "required": ["count"],
    "definitions": {"Mode": {"enum": ["fast", "slow"], "type": "string"}},
}


def apply(client, *items, owner="project"):
    body = deployments.DeploymentsApply.model_validate({"owner": owner, "deployments": list(items)})
    return client.call(deployments.apply_deployments, body)


def item(**fields):
    return {"flow_name": "etl", "name": "daily", **fields}


def one(client, **fields):
    return apply(client, item(**fields))[0]


@pytest.fixture
def pool(client):
    body = work_pools.WorkPoolCreate(name="machines", type="process")
    return client.call(work_pools.create_work_pool, body)


def run(client, deployment, **fields):
    body = deployments.DeploymentFlowRunCreate.model_validate(fields)
    return client.call(create_flow_run_from_deployment, deployment.id, body)


def test_a_first_apply_creates_and_a_second_one_changes_nothing(client, pool):
    declared = item(
        work_pool_name="machines",
        parameters={"count": 2},
        tags=["a"],
        entrypoint="flows/etl.py:etl",
        parameter_openapi_schema=SCHEMA,
        schedules=[{"schedule": {"cron": "0 6 * * *"}}, {"schedule": {"interval": 60}}],
    )
    first = apply(client, declared)[0]
    assert first.action == "created"
    assert first.deployment.flow_name == "etl"
    assert first.deployment.work_pool_name == "machines"
    assert first.deployment.work_queue_name == "default"
    assert len(first.deployment.schedules) == 2
    second = apply(client, declared)[0]
    assert (second.action, second.changes) == ("unchanged", [])
    assert second.deployment == first.deployment


def test_what_a_redeploy_does_not_say_stays(client, pool):
    one(client, work_pool_name="machines", tags=["a"], description="old", concurrency_limit=3, paused=True)
    again = one(client, description="new")
    assert again.action == "updated"
    assert [(change.field, change.before, change.after) for change in again.changes] == [
        ("description", "old", "new")
    ]
    kept = again.deployment
    assert (kept.tags, kept.concurrency_limit, kept.paused) == (["a"], 3, True)
    assert kept.work_pool_name == "machines"
    assert one(client, concurrency_limit=None).deployment.concurrency_limit is None


def test_all_or_nothing(client):
    with pytest.raises(NotFound, match="runyard work-pool create nowhere --type process"):
        apply(client, item(), item(name="other", work_pool_name="nowhere"))
    assert client.call(deployments.count_deployments, Filter()) == 0
    with pytest.raises(InvalidInput, match="declared twice"):
        apply(client, item(), item())


def test_a_queue_is_made_when_it_is_named(client, pool):
    made = one(client, work_pool_name="machines", work_queue_name="urgent").deployment
    assert made.work_queue_name == "urgent"
    body = deployments.DeploymentUpdate(work_queue_name="slow")
    client.call(deployments.update_deployment, made.id, body)
    changed = client.call(deployments.read_deployment, made.id)
    assert (changed.work_pool_name, changed.work_queue_name) == ("machines", "slow")
    queue = client.call(work_queues.read_work_queue_by_id, changed.work_queue_id)
    assert queue.name == "slow"


def test_schedules_keep_their_identity_and_an_operators_pause(client):
    cron = {"schedule": {"cron": "0 6 * * *"}, "slug": "morning", "active": True}
    every = {"schedule": {"interval": 3600}}
    before = one(client, schedules=[cron, every]).deployment
    by_slug = {entry.slug: entry for entry in before.schedules}
    update = schedules.DeploymentScheduleUpdate(active=False)
    for entry in before.schedules:
        client.call(schedules.update_deployment_schedule, before.id, entry.id, update)
    later = {**cron, "schedule": {"cron": "0 7 * * *", "timezone": "Europe/Berlin"}}
    after = {entry.slug: entry for entry in one(client, schedules=[every, later]).deployment.schedules}
    assert {slug: entry.id for slug, entry in after.items()} == {
        slug: entry.id for slug, entry in by_slug.items()
    }
    assert not after["morning"].active
    assert not after[None].active
    assert after[None].schedule == by_slug[None].schedule
    assert after["morning"].schedule.cron == "0 7 * * *"
    # Only a declaration that itself changes overrides the operator.
    one(client, schedules=[every, {**later, "active": False}])
    result = one(client, schedules=[every, later]).deployment
    assert {entry.slug: entry.active for entry in result.schedules} == {"morning": True, None: False}


def test_a_redeploy_removes_only_what_its_owner_declared(client):
    made = one(client, schedules=[{"schedule": {"cron": "0 6 * * *"}}]).deployment
    extra = [schedules.DeploymentScheduleCreate.model_validate({"schedule": {"cron": "0 8 * * *"}})]
    client.call(schedules.create_deployment_schedules, made.id, extra)
    kept = one(client, schedules=[{"schedule": {"cron": "0 7 * * *"}}]).deployment
    assert [entry.schedule.cron for entry in kept.schedules] == ["0 8 * * *", "0 7 * * *"]
    assert len(one(client).deployment.schedules) == 2
    gone = one(client, schedules=[])
    assert [entry.schedule.cron for entry in gone.deployment.schedules] == ["0 8 * * *"]
    assert gone.changes[0].before.startswith("cron: 0 7 * * *")
    with pytest.raises(InvalidInput, match="declared twice"):
        one(client, schedules=[{"schedule": {"cron": "0 7 * * *"}}] * 2)


def test_the_api_replaces_schedules_unless_all_have_slugs(client):
    made = one(client, schedules=[{"schedule": {"cron": "0 6 * * *"}}]).deployment

    def patch(*entries):
        body = deployments.DeploymentUpdate.model_validate({"schedules": list(entries)})
        client.call(deployments.update_deployment, made.id, body)
        return {entry.slug: entry for entry in client.call(schedules.read_deployment_schedules, made.id)}

    first = patch(
        {"schedule": {"cron": "0 1 * * *"}, "slug": "a"}, {"schedule": {"interval": 9}, "slug": "b"}
    )
    second = patch({"schedule": {"cron": "0 2 * * *"}, "slug": "c", "replaces": "a"})
    assert set(second) == {"b", "c"}
    assert second["c"].id == first["a"].id
    with pytest.raises(InvalidInput, match="slug"):
        patch({"schedule": {"cron": "0 3 * * *"}})


def test_pausing_stops_schedules_and_resuming_starts_from_now(client):
    made = one(client, schedules=[{"schedule": {"interval": 3600}}]).deployment
    assert made.schedules[0].next_due is not None
    client.call(deployments.pause_deployment, made.id)
    paused = client.call(deployments.read_deployment, made.id)
    assert paused.paused
    assert paused.schedules[0].next_due is None
    client.call(deployments.resume_deployment, made.id)
    resumed = client.call(deployments.read_deployment, made.id)
    assert not resumed.paused
    assert resumed.schedules[0].next_due > datetime.now(UTC)


def test_finding_one(client):
    made = one(client).deployment
    other = apply(client, item(flow_name="report", name="daily"))[0].deployment
    for reference in ("etl/daily", made.id):
        assert client.call(deployments.find_deployment, reference=reference).id == made.id
    with pytest.raises(Conflict, match="report/daily"):
        client.call(deployments.find_deployment, reference="daily")
    with pytest.raises(NotFound, match="did you mean 'etl/daily'"):
        client.call(deployments.find_deployment, reference="etl/dayly")
    client.call(deployments.delete_deployment, other.id)
    assert client.call(deployments.find_deployment, reference="daily").id == made.id
    assert client.call(deployments.find_deployment, reference=made.id[:-1]).id == made.id
    found = client.call(deployments.read_deployment_by_name, "etl", "daily")
    assert found.id == made.id
    with pytest.raises(NotFound):
        client.call(deployments.read_deployment, other.id)


def test_filters_and_sorts(client):
    for name in ("b", "a", "c"):
        apply(client, item(name=name, tags=[name]))
    listed = client.call(deployments.filter_deployments, Listing())
    assert [entry.name for entry in listed] == ["a", "b", "c"]
    body = Listing(deployments={"tags": {"any_": ["c"]}})
    assert [entry.name for entry in client.call(deployments.filter_deployments, body)] == ["c"]
    body = Listing(flows={"name": {"any_": ["etl"]}}, sort="NAME_DESC", limit=2)
    assert [entry.name for entry in client.call(deployments.filter_deployments, body)] == ["c", "b"]


def test_a_run_overlays_parameters_and_unites_tags(client, pool):
    made = one(
        client,
        work_pool_name="machines",
        parameters={"count": 2, "mode": "slow"},
        tags=["nightly", "a"],
        parameter_openapi_schema=SCHEMA,
    ).deployment
    result = run(client, made, parameters={"mode": "fast", "date": None}, tags=["a", "b"], name="mine")
    assert result.parameters == {"count": 2, "mode": "fast", "date": None}
    assert result.tags == ["nightly", "a", "b"]
    assert (result.name, result.state_type, result.deployment_id) == ("mine", "SCHEDULED", made.id)
    assert result.work_queue_name == "default"
    assert len(client.call(flow_runs.read_flow_run_states, flow_run_id=result.id)) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"count": "two"}, "'count' .* must be a whole number, not \"(two|\\.\\.\\.)\""),
        ({"count": 0}, "at least 1"),
        ({"count": 1, "mode": "brisk"}, 'must be one of "fast", "slow"'),
        ({"count": 1, "date": 5}, "'date' .* must be a text or null"),
        ({"count": 1, "dat": "x"}, "no parameter 'dat'; did you mean 'date'"),
        ({}, "'count' .* is required"),
    ],
)
def test_parameters_that_do_not_fit_are_refused(client, given, words):
    made = one(client, parameter_openapi_schema=SCHEMA).deployment
    with pytest.raises(ParameterError, match=words):
        run(client, made, parameters=given)
    assert run(client, made, parameters=given, enforce_parameter_schema=False).id


def test_parameters_and_job_variables_are_checked_when_deployed(client, pool):
    with pytest.raises(ParameterError, match="count"):
        one(client, parameter_openapi_schema=SCHEMA, parameters={"count": []})
    bad = {"schedule": {"cron": "0 6 * * *"}, "parameters": {"mode": "brisk"}}
    with pytest.raises(ParameterError, match="mode"):
        one(client, parameter_openapi_schema=SCHEMA, schedules=[bad])
    with pytest.raises(ParameterError, match="job variable 'env'"):
        one(client, work_pool_name="machines", job_variables={"env": ["A=1"]})
    for env, words in (
        ({"A=B": "1"}, "not a valid variable name"),
        ({"A": "x\0"}, "contains a NUL character"),
    ):
        with pytest.raises(ParameterError, match=f"deployment '.*': job variable 'env.A.*{words}"):
            one(client, work_pool_name="machines", job_variables={"env": env})
    one(client, work_pool_name="machines", job_variables={"env": {"A": "{{ $NAME }}=\n", "B": None}})


def test_an_idempotency_key_makes_one_run(client):
    made = one(client).deployment
    first = run(client, made, idempotency_key="k")
    assert run(client, made, idempotency_key="k").id == first.id


def test_a_run_at_a_time(client):
    made = one(client).deployment
    moment = datetime.now(UTC) + timedelta(hours=1)
    state = StateCreate(type="SCHEDULED", state_details={"scheduled_time": moment.isoformat()})
    result = run(client, made, state=state.model_dump())
    assert result.next_scheduled_start_time == moment
    due = get_scheduled_flow_runs_of_deployments
    body = {"deployment_ids": [made.id], "scheduled_before": moment}
    kind = due.function.__globals__["ScheduledRunsOfDeployments"]
    assert [entry.id for entry in client.call(due, kind.model_validate(body))] == [result.id]
    assert client.call(due, kind.model_validate({"deployment_ids": [made.id]})) == []
    assert client.call(deployments.read_deployment, made.id).status == "READY"


def test_deleting_takes_waiting_runs_along(client):
    made = one(client, schedules=[{"schedule": {"interval": 60}}]).deployment
    waiting = run(client, made)
    client.call(deployments.delete_deployment, made.id)
    with pytest.raises(NotFound):
        client.call(flow_runs.read_flow_run, waiting.id)
    with pytest.raises(NotFound):
        client.call(deployments.delete_deployment, made.id)


def test_create_updates_the_one_of_that_name(client):
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))
    body = deployments.DeploymentCreate(name="daily", flow_id=flow.id, description="one", paused=True)
    first = client.call(deployments.create_deployment, body)
    body = deployments.DeploymentCreate(name="daily", flow_id=flow.id, description="two")
    second = client.call(deployments.create_deployment, body)
    assert (second.id, second.description, second.paused) == (first.id, "two", True)
    with pytest.raises(NotFound):
        client.call(deployments.create_deployment, deployments.DeploymentCreate(name="x", flow_id="none"))
