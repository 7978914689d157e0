"""Background tasks: submitted by one process, executed once by another that serves the task."""

import asyncio
import os
import threading
import time

import pytest
from runyard import allow_failure, flow, get_run_logger, tags, task
from runyard.base.errors import MissingResult, ParameterError, RunFailed, RunyardError
from runyard.client import LocalClient
from runyard.client import engine_client as connection
from runyard.client.engine_client import shared_client
from runyard.engine.background.background_submit import BackgroundFuture, served_name
from runyard.operations.records.logs import LogListing, filter_logs
from runyard.operations.task_runs.task_runs import read_task_run
from runyard.workers.task_worker import TaskWorker, serve

WAIT_SECONDS = 60


def until(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
    return value


@task
def double(number):
    return number * 2


@task
async def halve(number):
    await asyncio.sleep(0)
    return number / 2


@task
def fails(text):
    raise ValueError(text)


def test_delay_gives_a_future_at_once_and_a_server_runs_it(home):
    future = double.delay(21)
    assert future.state.is_scheduled()
    assert not future.done()
    with TaskWorker(double):
        assert future.result(timeout=WAIT_SECONDS) == 42
    assert future.done()
    assert future.state.is_completed()


def test_an_async_task_in_async_code(home):
    async def main():
        future = halve.delay(42)
        async with TaskWorker(halve):
            return await future.result_async(timeout=WAIT_SECONDS)

    assert asyncio.run(main()) == 21


def test_states_tags_and_logs_are_recorded(home):
    @task(log_prints=True, tags=["one"])
    def talk(name):
        get_run_logger().warning("hello %s", name)
        print("printed")

    with tags("two"):
        future = talk.delay(name="otter")
    with TaskWorker(talk):
        future.wait(WAIT_SECONDS)
    client = LocalClient()
    run = client.call(read_task_run, future.task_run_id)
    assert (run.state_name, run.run_count, run.flow_run_id) == ("Completed", 1, None)
    assert run.tags == ["one", "two"]
    logs = client.call(filter_logs, LogListing(logs={"task_run_id": {"any_": [run.id]}}))
    said = [log.message for log in logs]
    assert "hello otter" in said
    assert "printed" in said


def test_a_failure_comes_back_with_its_type(home):
    future = fails.delay("broken")
    with TaskWorker(fails), pytest.raises(ValueError, match="broken"):
        future.result(timeout=WAIT_SECONDS)
    assert isinstance(future.result(raise_on_failure=False), ValueError)


def test_retries_of_the_task_hold(home, tmp_path):
    notes = tmp_path / "notes"

    @task(retries=2)
    def third_time(path):
        with open(path, "a") as file:
            file.write("x")
            if file.tell() < 3:
                raise ValueError("not yet")
        return "done"

    future = third_time.delay(str(notes))
    with TaskWorker(third_time):
        assert future.result(timeout=WAIT_SECONDS) == "done"
    assert LocalClient().call(read_task_run, future.task_run_id).run_count == 3


def test_a_wrong_call_is_refused_where_it_is_made(home):
    with pytest.raises(ParameterError):
        double.delay()
    with pytest.raises(RunyardError, match="cannot be sent"):
        double.delay(threading.Lock())


def test_a_result_that_cannot_be_kept_says_so(home):
    @task
    def locks():
        return threading.Lock()

    future = locks.delay()
    with TaskWorker(locks):
        future.wait(WAIT_SECONDS)
    assert future.state.is_completed()
    with pytest.raises(MissingResult, match="cannot be sent"):
        future.result()


def test_a_future_that_is_not_done_times_out(home):
    with pytest.raises(TimeoutError):
        double.delay(1).result(timeout=0.01)


def test_map_deferred_submits_all_and_futures_are_arguments(home):
    first = double.map([1, 2, 3], deferred=True)
    assert all(isinstance(future, BackgroundFuture) for future in first)
    second = [double.delay(future) for future in first]
    with TaskWorker(double, limit=1):
        assert [future.result(timeout=WAIT_SECONDS) for future in second] == [4, 8, 12]
        assert first.result() == [2, 4, 6]


def test_upstream_failures_and_allow_failure(home):
    @task
    def told(value):
        return type(value).__name__

    broken = fails.delay("broken")
    stopped, allowed = told.delay(broken), told.delay(allow_failure(broken))
    after = told.apply_async(kwargs={"value": 1}, wait_for=[broken])
    with TaskWorker(fails, told):
        assert allowed.result(timeout=WAIT_SECONDS) == "ValueError"
        stopped.wait(WAIT_SECONDS)
        after.wait(WAIT_SECONDS)
    assert (stopped.state.name, after.state.name) == ("NotReady", "NotReady")


def test_a_flow_delays_and_uses_futures_in_its_own_tasks(home):
    @flow
    def parent():
        future = double.delay(4)
        return double(future), double.submit(future).result()

    with TaskWorker(double):
        assert parent() == (16, 16)


def test_a_background_run_outlives_its_flow(home):
    @flow
    def crashes():
        futures.append(double.delay(1))
        raise ValueError("later")

    futures = []
    crashes(return_state=True)
    assert futures[0].state.is_scheduled()
    with TaskWorker(double):
        assert futures[0].result(timeout=WAIT_SECONDS) == 2


def test_any_process_gets_the_result(home):
    future = double.delay(5)
    with TaskWorker(double):
        future.wait(WAIT_SECONDS)
    assert BackgroundFuture(future.task_run_id).result() == 10


def test_a_served_task_keeps_its_name_when_its_code_is_mended():
    assert served_name(double) == "test_background_tasks:double"
    assert served_name(double.with_options(retries=1)) == served_name(double)


def test_what_cannot_be_served_is_refused(home):
    with pytest.raises(TypeError):
        TaskWorker(len)
    with pytest.raises(ValueError, match="no task"):
        serve()
    with pytest.raises(ValueError, match="two of the tasks"):
        TaskWorker(double, double.with_options(name="other"))
    with pytest.raises(ValueError, match="below 1"):
        TaskWorker(double, limit=0)


def test_serving_ends_by_its_timeout(home, capsys):
    future = double.delay(1)
    serve(double, timeout=0.5)
    assert future.result(timeout=0) == 2
    assert "Stopped serving" in capsys.readouterr().out


def test_over_http(api, home, monkeypatch):
    monkeypatch.setenv("RUNYARD_API_URL", api.url)

    @task(log_prints=True)
    def talk(word):
        print("said", word)
        return word.upper()

    futures = talk.map(["a", "b"], deferred=True)
    with TaskWorker(talk):
        assert futures.result(timeout=WAIT_SECONDS) == ["A", "B"]
    logs = shared_client().call(
        filter_logs, LogListing(logs={"task_run_id": {"any_": [futures[0].task_run_id]}})
    )
    assert [log.message for log in logs][:1] == ["said a"]
    for client in connection._clients.values():
        client.close()
    connection._clients.clear()


def test_what_a_long_run_does_is_seen_while_it_runs(home, tmp_path):
    @task(log_prints=True)
    def wait(path):
        print("waiting")
        while not os.path.exists(path):
            time.sleep(0.01)

    future = wait.delay(str(tmp_path / "go"))
    client = LocalClient()
    wanted = LogListing(logs={"task_run_id": {"any_": [future.task_run_id]}})
    with TaskWorker(wait):
        until(lambda: future.state.is_running())
        until(lambda: [log.message for log in client.call(filter_logs, wanted)] == ["waiting"])
        (tmp_path / "go").touch()
        future.result(timeout=WAIT_SECONDS)


def test_astart_is_ended_by_cancelling_it(home):
    async def main():
        future = halve.delay(8)
        work = asyncio.create_task(TaskWorker(halve).astart())
        found = await future.result_async(WAIT_SECONDS)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        return found

    assert asyncio.run(main()) == 4


class Rejected(ValueError):
    def __init__(self, rows):
        super().__init__(rows)
        self.rows = rows


@pytest.mark.parametrize("count", [3, 50_000])
def test_what_a_failure_carries_is_bounded(home, count):
    @task
    def rejects():
        try:
            raise KeyError("the root of it")
        except KeyError as error:
            raise Rejected([{"number": number, "text": "x" * 50} for number in range(count)]) from error

    future = rejects.delay()
    with TaskWorker(rejects):
        future.wait(timeout=WAIT_SECONDS)
    failure = future.state.result(raise_on_failure=False)
    assert "Rejected" in future.state.message
    assert "the root of it" in str(failure.__cause__)
    if count == 3:
        assert type(failure).__name__ == "Rejected"
        assert len(failure.rows) == 3
    else:
        assert isinstance(failure, RunFailed)
        assert "Rejected" in str(failure)
    with LocalClient().database.transaction(write=False) as tx:
        assert tx.value("SELECT max(length(outcome)) FROM background_tasks") < 200_000
