"""`get_client()`: the methods people call, sync and async, with filters as they write them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from runyard import flow, get_client, task
from runyard.client_schemas import FlowRun, StateType
from runyard.client_schemas import filters as by
from runyard.client_schemas.actions import VariableCreate, VariableUpdate, WorkPoolCreate
from runyard.client_schemas.schedules import CronSchedule, IntervalSchedule, construct_schedule
from runyard.client_schemas.sorting import FlowRunSort, LogSort
from runyard.exceptions import NotFound
from runyard.sdk_client import RunyardClient, SyncRunyardClient
from runyard.states import Cancelled, Scheduled


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
