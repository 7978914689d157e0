"""Options that are not the subject of a test of their own: each is typed once, and changes what it should."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import httpx
import pytest
from _ports import free_port
from runyard.blocks.system import Secret
from runyard.domain import states
from runyard.operations import schemas
from runyard.operations.flow_runs import flow_runs
from runyard.operations.records import logs as log_operations

FLOW = """
from prefect import flow, task

@task
def step(n):
    if n > 1:
        raise ValueError(n)

@task
def other():
    pass

@flow(log_prints=True)
def etl(date: str = None, size: int = 1):
    print("hello")
    other()
    step(size)
"""
SECONDS = 60.0


@pytest.fixture
def folder(tmp_path, monkeypatch, home):
    (tmp_path / "etl.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def pool(runyard, folder):
    runyard("work-pool", "create", "pool", "--type", "process")
    return "pool"


@pytest.fixture
def daily(runyard, pool):
    runyard("deploy", "etl.py:etl", "-n", "daily", "-p", pool)


def shown(runyard, reference="daily"):
    return runyard("deployment", "inspect", reference, "-o", "json").json


def until(condition):
    deadline = time.monotonic() + SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


# deploy


def test_deploy_takes_versions_limits_and_parameters(runyard, pool, monkeypatch):
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef")
    runyard(
        "deploy", "etl.py:etl", "-n", "d", "-p", pool, "--version-type", "vcs:github", "-cl", 2,
        "--collision-strategy", "CANCEL_NEW", "--params", '{"size": 3}', "--interval", 3600, "--anchor-date",
        "2026-01-01T00:30:00Z", "--yes", "--upload",
    )  # fmt: skip
    made = shown(runyard, "d")
    assert made["version"] == "01234567"
    assert made["concurrency_limit"] == 2
    assert made["concurrency_options"]["collision_strategy"] == "CANCEL_NEW"
    assert made["parameters"] == {"size": 3}
    assert made["schedules"][0]["schedule"]["anchor_date"].startswith("2026-01-01T00:30:00")
    assert "is not one of" in runyard("deploy", "etl.py:etl", "-n", "d", "--version-type", "svn", code=2).err


def test_deploy_may_leave_parameters_unchecked(runyard, pool):
    wrong = ("deploy", "etl.py:etl", "-n", "d", "-p", pool, "--params", '{"size": "many"}')
    assert "size" in runyard(*wrong, code=1).err
    assert "size" in runyard(*wrong, "--enforce-parameter-schema", code=1).err
    runyard(*wrong, "--no-enforce-parameter-schema")
    assert shown(runyard, "d")["enforce_parameter_schema"] is False


# deployment


def test_deployments_are_listed_and_deleted(runyard, pool):
    for name in ("b", "a", "c"):
        runyard("deploy", "etl.py:etl", "-n", name, "-p", pool)

    def names(*options):
        return [each["name"] for each in runyard("deployment", "ls", *options, "-o", "json").json]

    assert names() == ["a", "b", "c"]
    assert names("--by-created") == ["c", "a", "b"]
    assert "etl/c" in runyard("deployment", "ls", "--by-created").out.splitlines()[0]
    runyard("deployment", "delete", "--id", shown(runyard, "b")["id"], "--yes")
    assert names() == ["a", "c"]
    assert "--all" in runyard("deployment", "delete", code=2).err
    runyard("deployment", "delete", "--all", "--yes")
    assert names() == []


def test_a_run_by_the_id_of_its_deployment(runyard, daily):
    key = shown(runyard)["id"]
    made = runyard("deployment", "run", "--id", key, "-jv", "stream_output=false", "-o", "json").json
    assert made["deployment_id"] == key
    assert made["job_variables"]["stream_output"] is False
    assert "--id" in runyard("deployment", "run", code=2).err
    assert "--id" in runyard("deployment", "run", "daily", "--id", key, code=2).err


def test_watching_a_new_run_gives_up_in_time(runyard, daily):
    answer = runyard(
        "deployment", "run", "daily", "--watch", "--watch-interval", 1, "--watch-timeout", 0.2, code=1
    )
    assert "still Scheduled" in answer.err


def test_backfilled_runs_take_tags_and_job_variables(runyard, daily):
    runyard("deployment", "schedule", "create", "daily", "--cron", "0 6 * * *", "--timezone", "UTC")
    runyard(
        "deployment", "backfill", "daily", "--from", "2026-01-01", "--to", "2026-01-02", "--tag", "past",
        "-jv", "stream_output=false", "--yes",
    )  # fmt: skip
    (made,) = runyard("flow-run", "ls", "--tag", "past", "-o", "json").json
    assert made["job_variables"] == {"stream_output": False}


def test_a_schedule_takes_all_its_options(runyard, daily):
    def make(*options):
        return runyard("deployment", "schedule", "create", "daily", *options, "-o", "json").json

    made = make("--cron", "0 0 1 * mon", "--no-day-or", "--active", "--catchup", "all", "--catchup-limit", 3)
    assert made["schedule"]["day_or"] is False
    assert (made["active"], made["catchup"], made["catchup_limit"]) == (True, "all", 3)
    assert make("--cron", "0 0 1 * tue", "--day_or")["schedule"]["day_or"] is True
    assert make("--cron", "0 0 1 * wed", "--no-active")["active"] is False
    coming = runyard(
        "schedule", "next", "--rrule", "FREQ=DAILY;BYHOUR=6;BYMINUTE=0;BYSECOND=0", "--tz", "UTC", "-n", 2,
        "--after", "2026-01-01", "-o", "json",
    ).json  # fmt: skip
    assert [each["utc"] for each in coming] == ["2026-01-01T06:00:00Z", "2026-01-02T06:00:00Z"]

    def first(*options):
        after = ("--after", "2026-11-24T12:00Z", "-n", 1, "-o", "json")  # a Tuesday
        (only,) = runyard("deployment", "schedule", "next", "daily", *after, *options).json
        return only["schedule"]

    assert (first("--all"), first()) == ("cron: 0 0 1 * wed", "cron: 0 0 1 * tue")


# flow


def test_flows_are_listed_up_to_the_limit(runyard, pool):
    with open("more.py", "w") as file:
        file.write(FLOW.replace("def etl", "def more"))
    for name in ("etl", "more"):
        runyard("deploy", f"{name}.py:{name}", "-n", name, "-p", pool)
    assert len(runyard("flow", "ls", "-o", "json").json) == 2
    assert [each["name"] for each in runyard("flow", "ls", "--limit", 1, "-o", "json").json] == ["more"]


@pytest.mark.parametrize("pauses", [True, False])
def test_a_flow_is_served_with_every_option(runyard, folder, pauses):
    served = subprocess.Popen(
        [
            sys.executable, "-m", "runyard_cli.main", "flow", "serve", "etl.py:etl", "--name", "served",
            "--description", "mine", "--version", "7", "--tag", "a", "--tag", "b", "--cron", "0 6 * * *",
            "--rrule", "FREQ=DAILY", "--interval", "3600", "--anchor-date", "2026-01-01T00:30:00Z",
            "--timezone", "Europe/Berlin", "--limit", "2", "--global-limit", "3",
            "--pause-on-shutdown" if pauses else "--no-pause-on-shutdown",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    try:
        until(lambda: "being served" in served.stdout.readline())
        made = shown(runyard, "etl/served")
        assert (made["description"], made["version"], made["tags"]) == ("mine", "7", ["a", "b"])
        assert made["concurrency_limit"] == 3
        timings = [each["schedule"] for each in made["schedules"]]
        assert {each["timezone"] for each in timings} == {"Europe/Berlin"}
        (interval,) = [each for each in timings if "interval" in each]
        assert datetime.fromisoformat(interval["anchor_date"]) == datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
        served.send_signal(signal.SIGINT)
        assert served.wait(SECONDS) == 0
        assert shown(runyard, "etl/served")["paused"] is pauses
    finally:
        served.kill()
        served.wait()
        served.stdout.close()


# runs


def test_a_run_is_deleted_without_a_question(runyard, daily):
    made = runyard("deployment", "run", "daily", "-o", "json").json
    runyard("flow-run", "delete", made["id"], "--yes")
    assert runyard("flow-run", "ls", "-o", "json").json == []


def test_logs_from_a_level_on(runyard, daily, store):
    run = runyard("deployment", "run", "daily", "-o", "json").json
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    records = [
        log_operations.LogCreate(
            name="x", level=level, message=str(level), flow_run_id=run["id"], timestamp=moment
        )
        for level in (10, 20, 30, 40, 50)
    ]
    store.call(log_operations.create_logs, body=records)

    def levels(*options):
        return [each["level"] for each in runyard("flow-run", "logs", run["id"], *options, "-o", "json").json]

    assert levels("--level", "debug") == [10, 20, 30, 40, 50]
    assert levels("--level", "WARNING") == [30, 40, 50]
    assert "'loud' is not one of" in runyard("flow-run", "logs", run["id"], "--level", "loud", code=2).err
    body = flow_runs.SetState(state=schemas.StateCreate(type=states.CANCELLED), force=True)
    store.call(flow_runs.set_flow_run_state, run["id"], body=body)
    followed = runyard("flow-run", "logs", run["id"], "--follow", "--level", "ERROR").out
    assert [line.rpartition(" - ")[2] for line in followed.splitlines()] == ["40", "50"]


def test_task_runs_are_filtered_and_shown(runyard, program, daily):
    for size in (1, 2):
        runyard("deployment", "run", "daily", "-p", f"size={size}")
    program("worker", "start", "--pool", "pool", "--run-once")

    def names(*options):
        return sorted(each["name"] for each in runyard("task-run", "ls", *options, "-o", "json").json)

    everything = names()
    assert len(everything) == 4
    failed = names("--state", "Failed")
    assert len(failed) == 1
    assert names("--state-type", "failed") == failed
    assert names("--task-run-name", failed[0])[0] == failed[0]
    assert len(names("--limit", 2)) == 2
    (run,) = runyard("task-run", "ls", "--state", "failed", "-o", "json").json
    assert run["name"] in runyard("task-run", "inspect", run["id"]).out

    def logs(*options):
        return runyard("task-run", "logs", run["id"], *options, "-o", "json").json

    assert len(logs()) > 1
    assert "ValueError" in runyard("task-run", "logs", run["id"]).out
    assert logs("--head", "-n", 1) == logs()[:1]
    assert logs("--tail", "-n", 1) == logs()[-1:]
    assert logs("--reverse") == logs()[::-1]
    assert {each["level"] for each in logs("--level", "ERROR")} == {40}


# pools, queues, workers


def test_a_pool_is_made_with_everything(runyard, folder):
    template = runyard("work-pool", "get-default-base-job-template", "--type", "process").json
    template["variables"]["properties"]["mine"] = {"type": "string"}
    (folder / "template.json").write_text(json.dumps(template))
    made = runyard(
        "work-pool", "create", "whole", "--type", "process", "--description", "all", "--paused",
        "--base-job-template", "template.json", "--concurrency-limit", 2, "--set-as-default", "-o", "json",
    ).json  # fmt: skip
    assert (made["description"], made["is_paused"], made["concurrency_limit"]) == ("all", True, 2)
    assert "mine" in made["base_job_template"]["variables"]["properties"]
    runyard("deploy", "etl.py:etl", "-n", "d")
    assert shown(runyard, "d")["work_pool_name"] == "whole"
    del template["variables"]["properties"]["mine"]
    (folder / "template.json").write_text(json.dumps(template))
    runyard("work-pool", "update", "whole", "--base-job-template", "template.json", "--concurrency-limit", 5)
    changed = runyard("work-pool", "inspect", "whole", "-o", "json").json
    assert "mine" not in changed["base_job_template"]["variables"]["properties"]
    assert (changed["concurrency_limit"], changed["description"]) == (5, "all")


def test_a_pool_shows_the_job_of_each_run_or_why_there_is_none(runyard, daily, monkeypatch):
    variables = ["-jv", "env.REGION={{ $WHERE }}", "-jv", 'env.TOKEN="{{ prefect.blocks.secret.token }}"']
    Secret(value="hunter2secret").save("token")
    runyard("deployment", "run", "daily", "--flow-run-name", "good", *variables)
    runyard(
        "deployment", "run", "daily", "--flow-run-name", "bad", "-jv", 'env.X="{{ prefect.variables.no }}"'
    )
    monkeypatch.setenv("WHERE", "eu")
    good, bad = runyard("work-pool", "preview", "pool", "--jobs", "-o", "json").json
    assert (good["name"], good["job_problem"]) == ("good", None)
    assert good["job"]["env"] == {"REGION": "eu", "TOKEN": "********"}
    assert bad["job"] is None
    assert "variable 'no' not found" in bad["job_problem"]
    shown = runyard("work-pool", "preview", "pool", "--jobs").out
    assert "    REGION: eu\n" in shown
    assert "cannot start: job variables of the run" in shown
    assert "hunter2secret" not in shown


def test_a_pool_shows_no_more_than_the_limit(runyard, daily):
    for _ in range(3):
        runyard("deployment", "run", "daily")
    assert len(runyard("work-pool", "preview", "pool", "--limit", 2, "-o", "json").json) == 2
    queue = ("default", "--pool", "pool")
    assert len(runyard("work-queue", "preview", *queue, "--limit", 1, "-o", "json").json) == 1
    assert len(runyard("work-queue", "read-runs", *queue, "-o", "json").json) == 3
    runyard("deployment", "run", "daily", "--start-in", "1h")
    assert len(runyard("work-queue", "read-runs", *queue, "-o", "json").json) == 3
    assert len(runyard("work-queue", "preview", *queue, "-o", "json").json) == 4


def test_a_queue_of_a_pool(runyard, pool):
    runyard("work-pool", "create", "second", "--type", "process")
    for each in (pool, "second"):
        runyard("work-queue", "create", "urgent", "--pool", each, "--description", f"of {each}")
    of_pool = ("urgent", "--pool", pool)
    assert runyard("work-queue", "inspect", *of_pool, "-o", "json").json["description"] == "of pool"
    runyard("work-queue", "pause", *of_pool)
    assert runyard("work-queue", "inspect", *of_pool, "-o", "json").json["is_paused"] is True
    runyard("work-queue", "resume", *of_pool)
    runyard("work-queue", "set-concurrency-limit", "urgent", 4, "--pool", pool)
    assert runyard("work-queue", "inspect", *of_pool, "-o", "json").json["concurrency_limit"] == 4
    runyard("work-queue", "clear-concurrency-limit", *of_pool)
    assert runyard("work-queue", "slots", *of_pool, "-o", "json").json["limit"] is None

    def listed(*options):
        found = runyard("work-queue", "ls", *options, "-o", "json").json
        return sorted((each["work_pool_name"], each["name"]) for each in found)

    assert listed("--pool", pool) == [(pool, "default"), (pool, "urgent")]
    assert listed("--match", "urg") == [(pool, "urgent"), ("second", "urgent")]
    assert "of second" in runyard("work-queue", "ls", "--verbose").out
    runyard("work-queue", "delete", *of_pool, "--yes")
    assert listed("--match", "urg") == [("second", "urgent")]


def test_a_worker_with_every_option(runyard, folder):
    template = runyard("work-pool", "get-default-base-job-template", "--type", "process").json
    template["variables"]["properties"]["mine"] = {"type": "string"}
    (folder / "template.json").write_text(json.dumps(template))
    port = free_port()
    worker = subprocess.Popen(
        [
            sys.executable, "-m", "runyard_cli.main", "worker", "start", "--pool", "new", "--name", "mine",
            "--type", "process", "--limit", "3", "--with-healthcheck", "--create-pool-if-not-found",
            "--base-job-template", "template.json", "--install-policy", "never", "--prefetch-seconds", "1",
        ],
        env={**os.environ, "RUNYARD_WORKER_WEBSERVER_PORT": str(port)},
        stdout=subprocess.DEVNULL,
    )  # fmt: skip

    def answers():
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health", timeout=60).status_code == 200
        except httpx.TransportError:
            return False

    try:
        until(answers)
        until(lambda: runyard("work-pool", "ls", "-o", "json").json)
        (seen,) = until(lambda: runyard("worker", "ls", "--pool", "new", "-o", "json").json)
        assert (seen["name"], seen["concurrency_limit"]) == ("mine", 3)
        made = runyard("work-pool", "inspect", "new", "-o", "json").json
        assert "mine" in made["base_job_template"]["variables"]["properties"]
        assert "mine" in runyard("worker", "ls").out
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(SECONDS) == 0
    finally:
        worker.kill()
        worker.wait()


# what is shared


def test_lists_end_at_their_limit(runyard, store):
    for number in range(3):
        runyard("variable", "set", f"v{number}", number)
        runyard("concurrency-limit", "create", f"t{number}", 1)
    assert len(runyard("variable", "ls", "--limit", 2, "-o", "json").json) == 2
    runyard("concurrency-limit", "delete", "t0", "--yes")
    assert len(runyard("concurrency-limit", "ls", "-o", "json").json) == 2


def test_a_limit_by_name_with_every_option(runyard):
    made = runyard(
        "global-concurrency-limit", "create", "db", "--limit", 5, "--active", "--active-slots", 2,
        "--slot-decay-per-second", 0.5, "-o", "json",
    ).json  # fmt: skip
    assert (made["limit"], made["active"], made["slot_decay_per_second"]) == (5, True, 0.5)


# the server


def test_the_server_is_started_and_stopped(folder, home):
    port = free_port()
    pytest.importorskip("uvicorn", reason="needs the extra server")
    server = subprocess.Popen(
        [
            sys.executable, "-m", "runyard_cli.main", "server", "start", "--host", "127.0.0.1", "--port",
            str(port),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers():
        try:
            return httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=60).json() is True
        except httpx.TransportError:
            return False

    try:
        until(answers)
        server.send_signal(signal.SIGTERM)
        server.wait(SECONDS)
    finally:
        server.kill()
        server.wait()
