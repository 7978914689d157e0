"""Workers as users start them: options, pools, schedules, the health check."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from datetime import timedelta
from types import SimpleNamespace

import pytest
from _ports import free_port
from _yard import DEADLINE_SECONDS, a_yard, logs_of, status_of, until
from prometheus_client.parser import text_string_to_metric_families
from runyard.base import clock
from runyard.base.errors import InvalidInput, RunyardError
from runyard.operations.flow_runs import claim_flow_runs
from runyard.operations.flow_runs.flow_runs import read_flow_run
from runyard.operations.schedules.schedules import DeploymentScheduleCreate, create_deployment_schedules
from runyard.operations.work_pools.work_pools import (
    WorkPoolCreate,
    WorkPoolUpdate,
    create_work_pool,
    read_work_pool,
    update_work_pool,
)
from runyard.server.worker_api import RunApi
from runyard.workers import loop
from runyard.workers.health import start_health_server
from runyard.workers.worker import start_worker
from runyard.workers.worker_options import WorkerOptions


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        yield yard


@pytest.mark.parametrize("limit", [1, 2, None])
def test_run_once_runs_all_that_is_due_within_the_limit_and_ends(yard, limit):
    runs = [yard.run() for _ in range(3)]
    yard.release()
    worker = yard.worker(run_once=True, limit=limit)
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert [yard.state(run).type for run in runs] == ["COMPLETED"] * 3
    assert status_of(yard, "first") == "OFFLINE"


def test_run_once_runs_what_the_limits_of_its_pool_held_back(yard):
    runs = [yard.run() for _ in range(3)]
    yard.client.call(update_work_pool, "pool", WorkPoolUpdate(concurrency_limit=1))
    yard.release()
    assert yard.worker(run_once=True, limit=None).wait(DEADLINE_SECONDS) == 0
    assert [yard.state(run).type for run in runs] == ["COMPLETED"] * 3


def test_run_once_leaves_what_becomes_due_while_it_works(yard):
    first = yard.run()
    worker = yard.worker(run_once=True, limit=1)
    yard.started()
    later = yard.run()
    yard.release()
    assert worker.wait(DEADLINE_SECONDS) == 0
    assert (yard.state(first).type, yard.state(later).type) == ("COMPLETED", "SCHEDULED")


def test_run_once_with_nothing_to_do_ends(yard):
    assert yard.worker(run_once=True).wait(DEADLINE_SECONDS) == 0


def test_no_more_runs_than_the_limit_at_a_time(yard):
    runs = [yard.run() for _ in range(3)]
    yard.worker(limit=2)
    yard.started(2)
    assert sorted(yard.state(run).type for run in runs) == ["RUNNING", "RUNNING", "SCHEDULED"]
    yard.release()
    for run in runs:
        yard.ended(run, "COMPLETED")


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"working_dir": "/no/such/folder"}, "working_dir /no/such/folder cannot be entered"),
        ({"command": "no-such-program --now"}, "command 'no-such-program' cannot be started"),
        ({"python": "/no/such/python"}, "command '/no/such/python' cannot be started"),
    ],
)
def test_a_run_that_cannot_be_launched_crashes_and_says_why(yard, variables, says):
    run = yard.run(job_variables=variables)
    yard.worker()
    assert says in yard.ended(run, "CRASHED").message
    until(lambda: any(says in log.message for log in logs_of(yard, run)), "the log")


def test_a_missing_entrypoint_crashes_and_says_why(yard):
    run = yard.run(entrypoint="flows.py:wrok")
    yard.worker()
    assert "wrok" in yard.ended(run, "CRASHED").message


def test_variables_that_need_a_fresh_interpreter_get_one(yard):
    run = yard.run(job_variables={"env": {"PYTHONHASHSEED": "1"}})
    yard.release()
    yard.worker()
    yard.ended(run, "COMPLETED")


@pytest.mark.parametrize("variables", [{}, {"env": {"PYTHONHASHSEED": "1"}}], ids=["forked", "executed"])
@pytest.mark.parametrize("shown", [True, False])
def test_a_record_is_kept_once_and_shown_once_where_output_is_streamed(yard, variables, shown):
    run = yard.run(job_variables={**variables, "stream_output": shown})
    yard.release()
    yard.worker()
    yard.ended(run, "COMPLETED")
    expected = ("Beginning flow run", "Finished in state Completed()", "working")

    def kept():
        text = "\n".join(log.message for log in logs_of(yard, run))
        return [text.count(words) for words in expected]

    until(lambda: all(kept()), "all records")
    assert kept() == [1, 1, 1]
    until(lambda: "finished" in yard.said(), "the worker's last word")
    assert [yard.said().count(words) for words in expected] == [int(shown)] * 3


def test_a_worker_alone_turns_schedules_into_runs(yard):
    yard.release()
    yard.worker()
    first = yard.run()
    yard.ended(first, "COMPLETED")
    deployment_id = yard.client.call(read_flow_run, first).deployment_id
    schedule = DeploymentScheduleCreate(schedule={"interval": 1})
    yard.client.call(create_deployment_schedules, deployment_id, [schedule])
    yard.started(2)


def test_the_pool_is_made_where_it_is_missing(home, yard):
    assert yard.worker(pool="fresh", run_once=True).wait(DEADLINE_SECONDS) == 0
    assert yard.client.call(read_work_pool, "fresh").type == "process"


def test_a_missing_pool_can_be_an_error(yard):
    assert yard.worker(pool="fresh", create_pool_if_not_found=False).wait(DEADLINE_SECONDS) == 1
    assert "work-pool create fresh" in yard.said()


def test_pools_of_other_types_get_a_clear_answer(yard):
    yard.client.call(create_work_pool, WorkPoolCreate(name="other", type="ecs"))
    assert yard.worker(pool="other").wait(DEADLINE_SECONDS) == 1
    assert "no worker of type 'ecs' is installed here, only docker, kubernetes, process" in yard.said()


def test_an_engine_that_does_not_answer_is_one_line(yard):
    yard.client.call(create_work_pool, WorkPoolCreate(name="other", type="docker"))
    worker = yard.worker(pool="other", DOCKER_HOST="unix:///no/such/engine.sock")
    assert worker.wait(DEADLINE_SECONDS) == 1
    last = yard.said().splitlines()[-1]
    assert "the Docker Engine at unix:///no/such/engine.sock (DOCKER_HOST) does not answer" in last


def test_a_paused_pool_starts_nothing_until_it_is_resumed(yard):
    yard.client.call(update_work_pool, "pool", WorkPoolUpdate(is_paused=True))
    run = yard.run()
    yard.release()
    yard.worker()
    until(lambda: "is paused" in yard.said(), "the warning")
    until(lambda: status_of(yard, "first") == "ONLINE", "the heartbeat")
    assert yard.state(run).type == "SCHEDULED"
    yard.client.call(update_work_pool, "pool", WorkPoolUpdate(is_paused=False))
    yard.ended(run, "COMPLETED")


@pytest.mark.parametrize(
    "options",
    [
        *({"name": name} for name in ("a/b", "50%", " ", "n" * 251, "a\x1b[31m", "a\u202eb")),
        {"limit": 0},
        {"type": "none"},
    ],
)
def test_wrong_options_are_refused(home, options):
    with pytest.raises(InvalidInput):
        start_worker(WorkerOptions(pool="pool", **options), RunApi)


def test_the_health_check_says_what_is_wrong():
    problem: list[str | None] = [None]
    server = start_health_server("127.0.0.1", 0, lambda: problem[0])
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert json.load(answer) == {"message": "OK"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/health", method="HEAD")) as answer:
            assert (answer.status, answer.read()) == (200, b"")
        problem[0] = "the database is away"
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/health")
        with caught.value as answer:
            assert (answer.code, json.load(answer)) == (503, {"message": "the database is away"})
    finally:
        server.shutdown()
        server.server_close()


def test_the_health_check_is_served_on_an_address_of_ipv6_too():
    try:
        server = start_health_server("::1", 0, lambda: None)
    except RunyardError as error:
        pytest.skip(f"no IPv6 here: {error}")
    try:
        with urllib.request.urlopen(f"http://[::1]:{server.server_address[1]}/health") as answer:
            assert json.load(answer) == {"message": "OK"}
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("host", ["198.51.100.7", "2001:db8::1", "no.such.host.invalid"])
def test_an_address_that_is_not_here_is_told_as_such(host):
    with pytest.raises(RunyardError, match="set RUNYARD_WORKER_WEBSERVER_HOST to an address"):
        start_health_server(host, 0, lambda: None)


def test_a_port_that_is_taken_is_told_as_such():
    told = pytest.raises(RunyardError, match="set RUNYARD_WORKER_WEBSERVER_PORT to a free port")
    with socket.create_server(("127.0.0.1", 0)) as taken, told:
        start_health_server("127.0.0.1", taken.getsockname()[1], lambda: None)


def test_a_worker_serves_its_health(yard):
    port = free_port()
    yard.worker(with_healthcheck=True, RUNYARD_WORKER_WEBSERVER_PORT=str(port))

    def healthy():
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health") as answer:
                return answer.status == 200
        except OSError:
            return False

    until(healthy, "the health check")


def metrics_of(port):
    """The samples of a worker's metrics, by name and labels; empty while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            text = answer.read().decode()
    except OSError:
        return {}
    families = text_string_to_metric_families(text)
    samples = [each for family in families for each in family.samples]
    return {(each.name, *sorted(each.labels.items())): each.value for each in samples}


def test_a_worker_tells_what_it_and_its_pool_have_to_do(yard):
    port, queue = free_port(), (("pool", "pool"), ("queue", "default"))
    yard.client.call(update_work_pool, "pool", WorkPoolUpdate(concurrency_limit=1))
    yard.run()
    yard.run()
    yard.worker(with_healthcheck=True, limit=2, RUNYARD_WORKER_WEBSERVER_PORT=str(port))
    yard.started()

    def running():
        found = metrics_of(port)
        return found if found.get(("runyard_queue_running_runs", *queue)) == 1 else None

    found = until(running, "the metrics of the run")
    assert found[("runyard_queue_due_runs", *queue)] == 1
    assert found[("runyard_queue_oldest_due_seconds", *queue)] > 0
    assert found[("runyard_queue_waiting_runs", *queue)] == 0
    assert found[("runyard_pool_limit", ("pool", "pool"))] == 1
    assert found[("runyard_worker_running_runs",)] == 1
    assert found[("runyard_worker_limit",)] == 2
    assert found[("runyard_worker_connected",)] == 1
    assert found[("runyard_run_duration_seconds_count",)] == 0
    yard.release()
    until(lambda: metrics_of(port).get(("runyard_run_duration_seconds_count",)) == 2, "the ends of both runs")
    found = metrics_of(port)
    assert found[("runyard_run_lateness_seconds_count",)] == 2
    assert found[("runyard_run_duration_seconds_sum",)] > 0
    assert found[("runyard_queue_due_runs", *queue)] == 0


def test_without_the_library_for_metrics_health_is_answered():
    server = start_health_server("127.0.0.1", 0, lambda: None)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.status == 200
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{url}/metrics")
        with caught.value as answer:
            assert answer.code == 501
            assert "install runyard[metrics]" in json.load(answer)["message"]
    finally:
        server.shutdown()
        server.server_close()


def test_a_second_worker_of_one_name_is_told_once_and_works(yard):
    yard.worker()
    until(lambda: status_of(yard, "first") == "ONLINE", "the first worker")
    alone = yard.said()
    second = yard.worker(run_once=True)
    assert second.wait(DEADLINE_SECONDS) == 0
    assert "was alive a moment ago" not in alone
    assert yard.said().count("A worker 'first' of pool 'pool' was alive a moment ago") == 1


def test_a_database_that_is_moved_away_under_a_worker_is_told_once_and_found_again(yard, home, tmp_path):
    yard.worker()
    run = yard.run()
    yard.started()
    until(lambda: yard.state(run).type == "RUNNING", "the run")
    away = tmp_path / "away"
    away.mkdir()
    files = sorted(home.glob("runyard.db*"))
    for file in files:
        file.rename(away / file.name)
    yard.release()
    until(lambda: "replaced while this process used it" in yard.said(), "the line")
    until(lambda: "the runs go on, trying again" in yard.said(), "the worker's own line")
    assert not (home / "runyard.db").exists()
    # The file itself comes last: who opened it alone would miss what is in its journal.
    for file in reversed(files):
        (away / file.name).rename(file)
    yard.ended(run, "COMPLETED")
    until(lambda: "The database answers again" in yard.said(), "the other line")
    assert yard.said().count("was moved, deleted or replaced") <= 2


@pytest.mark.parametrize("hours", [-1, 0, 1])
def test_what_is_due_is_judged_by_the_clock_of_the_database(home, hours):
    there = clock.now() + timedelta(hours=hours)
    told = claim_flow_runs.NextDue(due=there + timedelta(seconds=5), now=there)
    client = SimpleNamespace(call=lambda *_arguments, **_fields: told)
    options = SimpleNamespace(pool="p", work_queues=(), name="w", run_once=False, schedules=True)
    worker = loop.Worker(client, SimpleNamespace(running={}, logs=[]), SimpleNamespace(), options, print)
    with worker._stopping_by:
        worker._next_due = worker._due_after_this()
        assert 0 < worker._seconds_until_due() <= 5
        # However far away it is: that clock may be set, so it is asked again.
        worker._next_due += 3_600_000_000
        assert 5 < worker._seconds_until_due() <= 10
