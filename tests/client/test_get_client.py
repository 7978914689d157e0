"""`get_client()`: the methods people call, sync and async, with filters as they write them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from runyard import flow, get_client, task
from runyard.base.exceptions import NotFound
from runyard.client.schemas import FlowRun, StateType
from runyard.client.schemas import filters as by
from runyard.client.schemas.actions import (
    ArtifactCreate,
    ArtifactUpdate,
    BlockDocumentCreate,
    BlockDocumentUpdate,
    BlockSchemaCreate,
    BlockTypeCreate,
    BlockTypeUpdate,
    VariableCreate,
    VariableUpdate,
    WorkPoolCreate,
)
from runyard.client.schemas.schedule_models import CronSchedule, IntervalSchedule, construct_schedule
from runyard.client.schemas.sorting import FlowRunSort, LogSort
from runyard.client.user_client import RunyardClient, SyncRunyardClient
from runyard.domain.states import Cancelled, Scheduled


@task(name="step")
def step():
    return 1


@flow(name="good", log_prints=True)
def good():
    print("hello")
    return step()


@flow(name="bad")
def bad():
    raise ValueError("no")


@pytest.fixture
def runs(recorded):
    """Two good runs and a bad one."""
    good()
    good()
    bad(return_state=True)


@pytest.fixture
def deployment(recorded):
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="pool", type="process"))
        flow_id = client.create_flow_from_name("etl")
        return client.create_deployment(
            flow_id, "daily", work_pool_name="pool", entrypoint="flows.py:etl", path="."
        )


def completed():
    kinds = by.FlowRunFilterStateType(any_=[StateType.COMPLETED])
    return by.FlowRunFilter(state=by.FlowRunFilterState(type=kinds))


def test_runs_are_found_by_filters(runs):
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(flow_run_filter=completed(), sort=FlowRunSort.START_TIME_ASC)
        assert [run.state.is_completed() for run in found] == [True, True]
        assert found[0].start_time < found[1].start_time
        assert len(client.read_flow_runs(flow_run_filter=completed(), limit=1, offset=1)) == 1
        named = by.FlowFilter(name=by.FlowFilterName(any_=["bad"]))
        (failed,) = client.read_flow_runs(flow_filter=named)
        assert (failed.state_type, failed.state.is_failed(), failed.state.is_final()) == (
            "FAILED",
            True,
            True,
        )
        assert client.count_flow_runs(flow_filter=named) == 1
        (task_run,) = client.read_task_runs(flow_run_filter={"id": {"any_": [found[0].id]}})
        assert task_run.name == "step-0"
        assert isinstance(client.read_flow_run(UUID(found[0].id)), FlowRun)
        assert {each.name for each in client.read_flows()} == {"good", "bad"}
        assert client.read_flow_by_name("good").id == found[0].flow_id


def test_the_async_client_has_the_same_methods(runs):
    async def ask():
        async with get_client() as client:
            found = await client.read_flow_runs(flow_run_filter=completed())
            several = await asyncio.gather(*(client.read_flow_run(run.id) for run in found))
            assert [run.id for run in several] == [run.id for run in found]
            assert await client.api_healthcheck() is None
            assert await client.hello()
            with pytest.raises(NotFound):
                await client.read_flow_run(UUID(int=0))

    asyncio.run(ask())
    own = {name for name in dir(SyncRunyardClient) if not name.startswith("_")}
    assert own == {name for name in dir(RunyardClient) if not name.startswith("_")}


def test_logs_of_a_run(runs):
    client = get_client(sync_client=True)
    run = client.read_flow_runs(flow_run_filter=completed(), limit=1)[0]
    wanted = by.LogFilter(
        flow_run_id=by.LogFilterFlowRunId(any_=[run.id]), text=by.LogFilterTextSearch(query="hello")
    )
    assert [log.message for log in client.read_logs(wanted, sort=LogSort.TIMESTAMP_DESC)] == ["hello"]


def test_a_run_of_a_deployment(deployment):
    client = get_client(sync_client=True)
    assert client.read_deployment_by_name("etl/daily").id == deployment
    assert [each.name for each in client.read_deployments()] == ["daily"]
    run = client.create_flow_run_from_deployment(
        UUID(deployment), tags=["b", "a"], idempotency_key="once", state=Scheduled()
    )
    again = client.create_flow_run_from_deployment(deployment, idempotency_key="once")
    assert (again.id, sorted(again.tags)) == (run.id, ["a", "b"])
    client.update_flow_run(run.id, name="mine")
    assert client.read_flow_run(run.id).name == "mine"
    answer = client.set_flow_run_state(run.id, Cancelled(message="by hand"))
    assert (answer.status, answer.state.type) == ("ACCEPT", "CANCELLED")
    assert [state.type for state in client.read_flow_run_states(run.id)] == ["SCHEDULED", "CANCELLED"]
    client.delete_flow_run(run.id)
    assert client.read_flow_runs() == []


def test_deployments_and_their_schedules_change(deployment):
    client = get_client(sync_client=True)
    client.pause_deployment(deployment)
    assert client.read_deployment(deployment).paused
    client.resume_deployment(deployment)
    assert not client.read_deployment(deployment).paused
    every = IntervalSchedule(interval=timedelta(minutes=5))
    client.create_deployment_schedules(deployment, [(CronSchedule(cron="0 6 * * *"), True), (every, False)])
    first, second = client.read_deployment_schedules(deployment)
    assert {first.active, second.active} == {True, False}
    client.update_deployment_schedule(deployment, first.id, active=False)
    client.delete_deployment_schedule(deployment, second.id)
    assert [each.active for each in client.read_deployment_schedules(deployment)] == [False]


def test_pools_and_queues(deployment):
    client = get_client(sync_client=True)
    assert client.read_work_pool("pool").type == "process"
    assert [pool.name for pool in client.read_work_pools()] == ["pool"]
    queue = client.create_work_queue("fast", "pool", priority=2)
    assert {each.name for each in client.read_work_queues("pool")} == {"default", "fast"}
    assert client.read_work_queue_by_name("fast", "pool").id == queue.id
    client.delete_work_queue_by_id(queue.id)
    assert len(client.read_work_queues()) == 1
    assert client.read_workers_for_work_pool("pool") == []


def test_variables_and_limits(recorded):
    client = get_client(sync_client=True)
    client.create_variable(VariableCreate(name="colour", value="red"))
    client.update_variable(VariableUpdate(name="colour", value="blue"))
    found = client.read_variable_by_name("colour")
    assert found is not None
    assert found.value == "blue"
    client.delete_variable_by_name("colour")
    assert client.read_variable_by_name("colour") is None
    client.create_concurrency_limit("db", 3)
    assert client.read_concurrency_limit_by_tag("db").concurrency_limit == 3
    assert len(client.read_concurrency_limits()) == 1
    client.delete_concurrency_limit_by_tag("db")
    assert client.read_concurrency_limits() == []


def test_schedules_are_made_of_what_is_given():
    assert construct_schedule(interval=60).interval == 60
    assert construct_schedule(cron="0 6 * * *", timezone="UTC").cron == "0 6 * * *"
    assert construct_schedule(rrule="FREQ=DAILY").rrule == "FREQ=DAILY"
    with pytest.raises(ValueError, match="one of"):
        construct_schedule()


def test_a_filter_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="nonsense"):
        by.FlowRunFilter(nonsense=1)
    with pytest.raises(AttributeError):
        _ = by.FlowRunFilterNonsense


def test_the_api_greets_as_prefects_does(recorded):
    with get_client(sync_client=True) as client:
        assert client.hello().status_code == 200
    assert asyncio.run(get_client().hello()).json()


def test_runs_tell_their_times_and_types_as_values(runs):
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(flow_filter=by.FlowFilter(name={"any_": ["bad"]}))
        step_run = client.read_task_runs()[0]
    for each in (run, step_run):
        assert each.state_type is each.state.type
        assert each.total_run_time >= timedelta()
        assert each.model_dump(mode="json")["total_run_time"] == each.total_run_time.total_seconds()
    assert run.state_type.value == "FAILED"
    assert run.state.state_details.flow_run_id == run.id
    assert run.state.state_details.pause_timeout is None


def test_task_runs_made_by_hand(recorded):
    with get_client(sync_client=True) as client:
        run = client.create_flow_run(good)
        made = client.create_task_run(step, run.id, "7", extra_tags=["x"], state=Scheduled())
        assert client.read_task_run(made.id).name == "step-7"
        assert (made.tags, made.state.is_scheduled()) == (["x"], True)


def test_blocks_by_hand(recorded):
    with get_client(sync_client=True) as client:
        kind = client.create_block_type(BlockTypeCreate(name="By hand", slug="by-hand"))
        client.update_block_type(kind.id, BlockTypeUpdate(description="Told."))
        assert client.read_block_type_by_slug("by-hand").description == "Told."
        assert kind.id in {each.id for each in client.read_block_types()}
        assert client.get_most_recent_block_schema_for_block_type(kind.id) is None
        fields = {"title": "ByHand", "secret_fields": ["token"], "properties": {"token": {"type": "string"}}}
        schema = client.create_block_schema(BlockSchemaCreate(block_type_id=kind.id, fields=fields))
        assert client.get_most_recent_block_schema_for_block_type(UUID(kind.id)).id == schema.id
        assert client.read_block_schema_by_checksum(schema.checksum).id == schema.id
        assert schema.id in {each.id for each in client.read_block_schemas()}
        new = BlockDocumentCreate(
            name="mine", data={"token": "abc"}, block_schema_id=schema.id, block_type_id=kind.id
        )
        saved = client.create_block_document(new, include_secrets=False)
        assert saved.data["token"] != "abc"
        client.update_block_document(saved.id, BlockDocumentUpdate(data={"token": "def"}))
        (found,) = client.read_block_documents_by_type("by-hand")
        assert found.data == {"token": "def"}
        assert client.read_block_documents_by_type("by-hand", offset=1) == []
        assert found.id in {each.id for each in client.read_block_documents(limit=50)}
        client.delete_block_type(kind.id)
        with pytest.raises(NotFound):
            client.read_block_type_by_slug("by-hand")


def test_limits_by_hand(recorded):
    with get_client(sync_client=True) as client:
        for limit in (2, 3):
            client.upsert_global_concurrency_limit_by_name("db", limit, slot_decay_per_second=0.5)
            assert client.read_global_concurrency_limit_by_name("db").limit == limit
        client.create_concurrency_limit("tag", 2)
        client.reset_concurrency_limit_by_tag("tag", slot_override=[UUID(int=7)])
        assert client.read_concurrency_limit_by_tag("tag").active_slots == [str(UUID(int=7))]
        client.reset_concurrency_limit_by_tag("tag")
        assert client.read_concurrency_limit_by_tag("tag").active_slots == []


def test_the_latest_of_each_artifact(recorded):
    with get_client(sync_client=True) as client:
        for data in ("old", "new"):
            made = client.create_artifact(ArtifactCreate(key="report", type="markdown", data=data))
        client.update_artifact(made.id, ArtifactUpdate(description="of today"))
        wanted = by.ArtifactFilter(key=by.ArtifactFilterKey(any_=["report"]))
        (latest,) = client.read_latest_artifacts(artifact_filter=wanted)
    assert (latest.data, latest.description, latest.latest_id) == ("new", "of today", made.id)


def test_what_is_due_for_a_worker_of_ones_own(deployment):
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployment)
        client.create_work_queue("night", "pool")
        assert [q.name for q in client.match_work_queues(["ni", "x"], "pool")] == ["night"]
        (due,) = client.get_scheduled_flow_runs_for_work_pool("pool", ["default"])
        assert due.flow_run.id == run.id
        (due,) = client.get_scheduled_flow_runs_for_deployments([UUID(deployment)], limit=5)
        assert due.id == run.id
