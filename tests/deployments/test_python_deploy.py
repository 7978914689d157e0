"""Deployments made by Python: `flow.deploy`, `deploy(a, b)`, `flow.to_deployment`, their schedules."""

import asyncio
import os
from datetime import UTC, datetime, timedelta

import pytest
from runyard import flow
from runyard.base.errors import InvalidInput, NotFound, ParameterError, RunyardError
from runyard.client import LocalClient
from runyard.deployments.deploy_from_python import EntrypointType, RunnerDeployment, adeploy, deploy
from runyard.deployments.legacy import Deployment
from runyard.domain.schedules.specifications import Cron, Interval, RRule
from runyard.operations.deployments.deployments import find_deployment
from runyard.operations.work_pools.work_pools import WorkPoolCreate, create_work_pool
from runyard.operations.work_pools.work_queues import read_work_queue


@flow(description="counts", version="7")
def count(upto: int = 3):
    return list(range(upto))


@flow
def other():
    pass


renamed = flow(lambda: "x", name="renamed")


@pytest.fixture
def client(home):
    client = LocalClient()
    client.call(create_work_pool, WorkPoolCreate(name="pool", type="process"))
    client.call(create_work_pool, WorkPoolCreate(name="boxes", type="docker"))
    return client


def read(client, name):
    return client.call(find_deployment, name)


def specs(deployment):
    """The timings as they were given, without what is filled in: where intervals and rules begin."""
    found = []
    for each in deployment.schedules:
        told = each.schedule.model_dump(exclude_none=True, exclude_defaults=True, exclude={"anchor_date"})
        found.append({key: v.splitlines()[-1] if key == "rrule" else v for key, v in told.items()})
    return found


def test_a_deployment_with_everything(client, capsys):
    made = count.deploy(
        "daily",
        work_pool_name="pool",
        cron="0 6 * * *",
        parameters={"upto": 5},
        tags=["one"],
        job_variables={"env": {"A": "b"}},
        concurrency_limit=2,
        work_queue_name="default",
    )
    stored = read(client, "count/daily")
    assert stored.id == made
    assert (stored.description, stored.version, stored.work_pool_name) == ("counts", "7", "pool")
    assert (stored.parameters, stored.tags) == ({"upto": 5}, ["one"])
    assert stored.job_variables == {"env": {"A": "b"}}
    assert stored.concurrency_limit == 2
    assert specs(stored) == [{"cron": "0 6 * * *"}]
    assert stored.parameter_openapi_schema["properties"]["upto"]["type"] == "integer"
    assert os.path.join(stored.path, stored.entrypoint.split(":")[0]) == __file__
    assert stored.entrypoint.endswith(":count")
    assert "runyard worker start --pool pool" in capsys.readouterr().out


@pytest.mark.parametrize(("version", "stored"), [(1, "1"), (0, "0"), (1.5, "1.5"), ("v1", "v1")])
def test_a_number_is_a_version(client, version, stored):
    count.to_deployment("made", version=version, work_pool_name="pool").apply()
    count.deploy("deployed", version=version, work_pool_name="pool", print_next_steps=False)
    Deployment.build_from_flow(flow=count, name="built", version=version, work_pool_name="pool").apply()
    assert [read(client, f"count/{name}").version for name in ("made", "deployed", "built")] == [stored] * 3


def test_a_queue_without_a_pool_belongs_to_the_pool_of_such_queues(client):
    made = Deployment.build_from_flow(flow=count, name="built", work_queue_name="night")
    made.apply(work_queue_concurrency=3)
    stored = read(client, "count/built")
    assert (stored.work_pool_name, stored.work_queue_name) == ("default-agent-pool", "night")
    assert client.call(read_work_queue, "default-agent-pool", "night").concurrency_limit == 3


def test_a_queue_of_no_pool_is_refused_where_no_agent_is_meant(client):
    with pytest.raises(InvalidInput, match="work queue 'night' without a work pool; set work_pool_name="):
        count.to_deployment("made", work_queue_name="night").apply()


def test_the_name_of_the_variable_counts(client):
    renamed.deploy("x", work_pool_name="pool", print_next_steps=False)
    assert read(client, "renamed/x").entrypoint.endswith(":renamed")


def test_a_module_as_entrypoint(client):
    made = count.to_deployment("module", entrypoint_type=EntrypointType.MODULE_PATH)
    assert made.entrypoint == f"{__name__}.count"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"interval": 60}, [{"interval": 60.0}]),
        ({"interval": timedelta(minutes=2)}, [{"interval": 120.0}]),
        ({"interval": [60, timedelta(hours=1)]}, [{"interval": 60.0}, {"interval": 3600.0}]),
        ({"cron": ["0 1 * * *", "0 2 * * *"]}, [{"cron": "0 1 * * *"}, {"cron": "0 2 * * *"}]),
        ({"rrule": "FREQ=DAILY"}, [{"rrule": "FREQ=DAILY"}]),
        (
            {"schedule": Cron("0 1 * * *", timezone="Europe/Berlin")},
            [{"cron": "0 1 * * *", "timezone": "Europe/Berlin"}],
        ),
        ({"schedules": [Interval(60), RRule("FREQ=DAILY")]}, [{"interval": 60.0}, {"rrule": "FREQ=DAILY"}]),
        ({"schedules": [{"cron": "0 1 * * *", "slug": "a"}]}, [{"cron": "0 1 * * *"}]),
        ({"schedules": [{"schedule": {"interval": 60}, "active": False}]}, [{"interval": 60.0}]),
    ],
)
def test_every_way_to_say_when(client, options, expected):
    count.deploy("timed", work_pool_name="pool", print_next_steps=False, **options)
    key = str
    assert sorted(specs(read(client, "count/timed")), key=key) == sorted(expected, key=key)


def test_schedules_keep_their_options(client):
    anchor = datetime(2026, 1, 1, tzinfo=UTC)
    schedule = Interval(
        timedelta(hours=1), anchor_date=anchor, active=False, parameters={"upto": 1}, slug="hourly"
    )
    count.deploy("timed", work_pool_name="pool", schedule=schedule, print_next_steps=False)
    (stored,) = read(client, "count/timed").schedules
    assert (stored.active, stored.parameters, stored.slug) == (False, {"upto": 1}, "hourly")
    assert stored.schedule.anchor_date == anchor


def test_a_redeploy_changes_its_own_and_does_not_unpause(client):
    first = count.deploy(
        "again", work_pool_name="pool", cron="0 1 * * *", paused=True, print_next_steps=False
    )
    second = count.deploy("again", work_pool_name="pool", interval=60, tags=["t"], print_next_steps=False)
    stored = read(client, "count/again")
    assert first == second == stored.id
    assert stored.paused
    assert specs(stored) == [{"interval": 60.0}]


def test_several_at_once_all_or_none(client):
    ids = deploy(count.to_deployment("a"), other.to_deployment("b"), work_pool_name="pool")
    assert [read(client, "count/a").id, read(client, "other/b").id] == ids
    bad = count.to_deployment("c", job_variables={"env": 3})
    with pytest.raises(RunyardError):
        deploy(other.to_deployment("d"), bad, work_pool_name="pool")
    with pytest.raises(NotFound):
        read(client, "other/d")


def test_in_async_code(client):
    async def main():
        first = await count.deploy("async", work_pool_name="pool", print_next_steps=False)
        made = await other.to_deployment("async", work_pool_name="pool")
        second = await made.apply()
        third = await count.adeploy("async", work_pool_name="pool", print_next_steps=False)
        return first, second, third

    first, second, third = asyncio.run(main())
    assert first == third == read(client, "count/async").id
    assert second == read(client, "other/async").id


def test_applied_without_a_pool(client):
    made = RunnerDeployment.from_flow(count, "bare")
    assert made.full_name == "count/bare"
    assert made.apply() == read(client, "count/bare").id
    made = RunnerDeployment.from_entrypoint(f"{__file__}:other", "by-place")
    made.apply(work_pool_name="pool")
    assert read(client, "other/by-place").work_pool_name == "pool"


def test_the_default_pool_is_the_settings_one(client, monkeypatch):
    monkeypatch.setenv("RUNYARD_DEFAULT_WORK_POOL_NAME", "pool")
    count.deploy("default", print_next_steps=False)
    assert read(client, "count/default").work_pool_name == "pool"


def test_what_is_wrong_is_refused_before_anything_is_made(client):
    with pytest.raises(InvalidInput, match="no work pool"):
        count.deploy("x")
    with pytest.raises(NotFound, match="nowhere"):
        count.deploy("x", work_pool_name="nowhere")
    with pytest.raises(InvalidInput, match="image"):
        count.deploy("x", work_pool_name="boxes")
    with pytest.raises(ParameterError, match="upto"):
        count.deploy("x", work_pool_name="pool", parameters={"upto": "many"})
    with pytest.raises(InvalidInput, match="cron and interval"):
        count.deploy("x", work_pool_name="pool", cron="0 1 * * *", interval=60)
    with pytest.raises(InvalidInput, match="unknown option of a deployment: chron"):
        count.deploy("x", work_pool_name="pool", chron="0 1 * * *")
    with pytest.raises(InvalidInput, match="to_deployment"):
        deploy(count, work_pool_name="pool")
    with pytest.raises(NotFound):
        read(client, "count/x")


TRIGGER = {"expect": ["prefect.flow-run.Failed"], "match": {"prefect.resource.id": "prefect.flow-run.*"}}


def test_triggers_are_checked_and_kept(client):
    count.deploy("watching", work_pool_name="pool", triggers=[TRIGGER], print_next_steps=False)
    assert read(client, "count/watching").triggers == [{**TRIGGER, "type": "event"}]
    with pytest.raises(InvalidInput, match=r"triggers: .*expct"):
        count.to_deployment("x", triggers=[{"expct": ["a"]}])


def test_the_commit_is_the_version_where_it_is_asked_for(client, monkeypatch):
    for name, value in (("GITHUB_SHA", "0123456789abcdef"), ("GITHUB_REF_NAME", "main")):
        monkeypatch.setenv(name, value)
    other.deploy("plain", work_pool_name="pool", print_next_steps=False)
    other.deploy("by-commit", work_pool_name="pool", version_type="vcs:github", print_next_steps=False)
    assert read(client, "other/by-commit").version == "01234567"
    plain = read(client, "other/plain")
    assert (plain.version != "01234567", plain.version_info["commit_sha"]) == (True, "0123456789abcdef")
    with pytest.raises(InvalidInput, match="version_type='svn' is unknown"):
        other.to_deployment("x", version_type="svn")


@pytest.mark.parametrize(
    ("limit", "options"),
    [
        (3, None),
        ({"limit": 3, "collision_strategy": "CANCEL_NEW"}, {"collision_strategy": "CANCEL_NEW"}),
    ],
)
def test_limits_in_both_shapes(client, limit, options):
    count.deploy("limited", work_pool_name="pool", concurrency_limit=limit, print_next_steps=False)
    stored = read(client, "count/limited")
    assert stored.concurrency_limit == 3
    if options:
        assert stored.concurrency_options.collision_strategy == "CANCEL_NEW"


def test_everything_at_once_is_stored(client):
    count.deploy(
        "whole",
        work_pool_name="pool",
        schedules=[Cron("0 1 * * *", slug="night"), Interval(3600, slug="hour")],
        paused=True,
        description="mine",
        version="9",
        tags=["a", "b"],
        enforce_parameter_schema=False,
        parameters={"upto": "no number"},
        print_next_steps=False,
        ignore_warnings=True,
    )
    stored = read(client, "count/whole")
    assert (stored.paused, stored.description, stored.version) == (True, "mine", "9")
    assert (stored.tags, stored.enforce_parameter_schema) == (["a", "b"], False)
    assert {each.slug for each in stored.schedules} == {"night", "hour"}


def test_the_async_twins(client):
    async def main():
        made = await count.ato_deployment("one", work_pool_name="pool")
        first = await made.aapply()
        (second,) = await adeploy(RunnerDeployment.from_flow(other, "two"), work_pool_name="pool")
        third = await RunnerDeployment.afrom_storage(
            os.path.dirname(__file__), f"{os.path.basename(__file__)}:other", "three"
        )
        return first, second, await third.aapply(work_pool_name="pool")

    made = asyncio.run(main())
    assert list(made) == [read(client, name).id for name in ("count/one", "other/two", "other/three")]
