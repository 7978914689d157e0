"""What a beginner's tutorial for Prefect shows: each script runs as it is written for Prefect."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from runyard.blocks.system import Secret
from runyard.client import connect
from runyard.operations.deployments.deployments import find_deployment

BASIC = '''
from prefect import flow, task
from prefect.logging import get_run_logger

@task
def extract(source: str) -> dict:
    """Gets rows."""
    get_run_logger().info(f"extracting from {source}")
    return {"source": source, "rows": [1, 2, 3]}

@task
def transform(data: dict) -> dict:
    data["rows"] = [row * 2 for row in data["rows"]]
    return data

@task
def load(data: dict, target: str) -> bool:
    print(f"loaded {data['rows']} into {target}")
    return True

@flow(name="Rows Pipeline")
def pipeline(source: str = "db", target: str = "lake"):
    return load(transform(extract(source)), target)

if __name__ == "__main__":
    assert pipeline() is True
'''

TASK_OPTIONS = """
from datetime import timedelta
from prefect import flow, task
from prefect.tasks import exponential_backoff

@task(
    name="Careful", description="with everything", tags=["etl", "production"], retries=3,
    retry_delay_seconds=60, timeout_seconds=3600, cache_key_fn=lambda: "static_key",
    cache_expiration=timedelta(hours=1), log_prints=True,
)
def careful(param: str) -> str:
    print(f"working on {param}")
    return f"done: {param}"

tries = []

@task(retries=5, retry_delay_seconds=exponential_backoff(backoff_factor=0.001))
def flaky():
    tries.append(1)
    if len(tries) < 3:
        raise Exception("not yet")
    return "fine"

@flow
def main():
    assert careful("a") == careful("b") == "done: a"
    assert flaky() == "fine"

main()
assert len(tries) == 3
"""

FLOW_OPTIONS = """
from prefect import flow, task
from prefect.task_runners import ConcurrentTaskRunner, SequentialTaskRunner

order = []

@task
def note(x):
    order.append(x)
    return x

@flow(
    name="Options", description="all of them", version="1.0.0", retries=2, retry_delay_seconds=300,
    timeout_seconds=7200, task_runner=ConcurrentTaskRunner(), log_prints=True, persist_result=True,
)
def main():
    return [future.result() for future in [note.submit(x) for x in range(4)]]

@flow(task_runner=SequentialTaskRunner())
def one_by_one():
    return [note.submit(x).result() for x in range(4)]

assert main() == [0, 1, 2, 3]
order.clear()
assert one_by_one() == order == [0, 1, 2, 3]
"""

DYNAMIC = """
from prefect import flow, task

@task
def work(item: str) -> str:
    return f"worked: {item}"

@flow
def loop(items: list[str]):
    results = []
    for item in items:
        results.append(work(item))
    return results

@flow
def parallel(items: list[str]):
    futures = [work.submit(item) for item in items]
    return [future.result() for future in futures]

@task
def is_large(data: dict) -> bool:
    return data.get("count", 0) > 100

@task
def large(data: dict):
    print(f"large: {data['count']}")

@task
def small(data: dict):
    print(f"small: {data['count']}")

@flow
def branch(data: dict):
    if is_large(data):
        large(data)
    else:
        small(data)

@flow(name="Part")
def part(source: str):
    return len(loop.fn([source]))

@flow(name="Whole")
def whole():
    print(f"total: {part('a') + part('b')}")

assert loop(["a", "b"]) == parallel(["a", "b"]) == ["worked: a", "worked: b"]
branch({"count": 150})
branch({"count": 50})
whole()
"""

DEPLOYMENT = """
from prefect import flow
from prefect.deployments import Deployment
from prefect.server.schemas.schedules import CronSchedule

@flow
def nightly(date: str = None):
    print(f"for {date}")

deployment = Deployment.build_from_flow(
    flow=nightly, name="daily", version="1.0", tags=["production", "etl"],
    schedule=CronSchedule(cron="0 6 * * *"), parameters={"date": None}, work_pool_name="default-pool",
)
deployment.apply()
"""

HANDLERS = """
from prefect import flow, task
from prefect.states import Completed, Failed, State

def handler(task, task_run, state: State):
    if state.is_failed():
        print(f"task {task.name} failed")
    return state

@task(on_failure=[handler])
def risky():
    raise ValueError("wrong")

@flow(on_failure=[lambda flow, flow_run, state: print("flow failed")])
def main():
    risky()

try:
    main()
except ValueError:
    pass
"""

RESULTS = """
from prefect import flow, task
from prefect.filesystems import S3, LocalFileSystem
from prefect.serializers import JSONSerializer

@task(result_storage=LocalFileSystem(basepath="kept"))
def locally():
    return {"data": [1, 2, 3]}

@task(
    persist_result=True,
    result_storage=S3(bucket_path="bucket/results"),
    result_serializer=JSONSerializer(),
)
def in_a_bucket():
    return {"large": "data"}

@flow
def main():
    assert locally() == {"data": [1, 2, 3]}

main()
import os
assert len(os.listdir("kept")) == 1
"""

SECRETS = """
import os
from prefect import flow, task
from prefect.blocks.system import Secret

@task
def use_secret():
    api_key = Secret.load("my-api-key").get()
    return f"using {api_key[:4]}..."

@task
def use_env_var():
    return os.getenv("MY_SECRET")

@flow
def main():
    assert use_env_var() == "from outside"
    print(use_secret())

main()
"""


@pytest.fixture
def run(home, tmp_path, monkeypatch):
    """Runs a script by `python -m runyard`; what it printed."""
    monkeypatch.setenv("RUNYARD_PREFECT_IMPORTS", "always")
    monkeypatch.setenv("MY_SECRET", "from outside")

    def run(script):
        (tmp_path / "script.py").write_text(script)
        done = subprocess.run(
            [sys.executable, "-m", "runyard", "script.py"], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_a_first_flow(run):
    assert run(BASIC) == "loaded [2, 4, 6] into lake\n"


@pytest.mark.parametrize("script", [TASK_OPTIONS, FLOW_OPTIONS, RESULTS], ids=["tasks", "flows", "results"])
def test_options(run, script):
    run(script)


def test_dynamic_workflows(run):
    assert run(DYNAMIC) == "large: 150\nsmall: 50\ntotal: 2\n"


def test_a_deployment_made_by_python(run):
    run(DEPLOYMENT)
    run(DEPLOYMENT)
    found = connect().call(find_deployment, reference="nightly/daily")
    assert (found.version, sorted(found.tags), found.parameters) == (
        "1.0",
        ["etl", "production"],
        {"date": None},
    )
    assert found.work_pool_name == "default-pool"
    (schedule,) = found.schedules
    assert json.loads(schedule.model_dump_json())["schedule"]["cron"] == "0 6 * * *"
    assert found.entrypoint == "script.py:nightly"


def test_state_handlers(run):
    assert run(HANDLERS) == "task risky failed\nflow failed\n"


def test_secrets(run):
    Secret(value="sk-12345").save("my-api-key")
    assert run(SECRETS) == "using sk-1...\n"
