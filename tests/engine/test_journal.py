"""The journal: nothing is lost, whatever the database does meanwhile; stale attempts are refused."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import threading
import time
from itertools import pairwise

import pytest
from runyard import flow, get_run_logger, task
from runyard.base.errors import ApiUnavailable, RunAborted, StaleAttempt
from runyard.base.exceptions import Abort
from runyard.domain.states import Completed, Failed, Running, State
from runyard.engine.cache_policies import INPUTS
from runyard.engine.journal import Journal
from runyard.engine.logging import get_logger
from runyard.engine.run_objects import TaskRun
from runyard.operations.flow_runs.end_flow_run import report_state
from runyard.operations.flow_runs.start_flow_run import start_flow_run
from runyard.operations.flow_runs.write_journal import write_journal
from runyard.operations.records.kept_results import read_result
from runyard.operations.runs.run_records import LogRow


@task
def step(n=0):
    return n


def begun(client, **fields):
    """Start a run by hand, as the engine does; its answer."""
    body = {
        "flow_run_id": "00000000-0000-7000-8000-000000000001",
        "attempt": None,
        "flow_name": "f",
        "flow_version": None,
        "name": "calm-otter",
        "parameters": '{"x":1}',
        "empirical_policy": "{}",
        "tags": ["a"],
        "owner": "process 1",
        "lease_seconds": 60.0,
        **fields,
    }
    return body, client.call(start_flow_run, body)


def test_a_run_starts_reports_and_ends_through_any_client(client):
    body, answer = begun(client)
    assert (answer["status"], answer["attempt"], answer["run_count"]) == ("ACCEPT", 1, 1)
    assert (answer["name"], answer["tags"]) == ("calm-otter", ["a"])
    journal = Journal(client, body["flow_run_id"], answer["attempt"])
    run = TaskRun("t-0", body["flow_run_id"], "t", "0", ("x",))
    for state in (State("PENDING"), Running(), Completed(message="it's “done”")):
        run.move(state, journal)
    for n in range(50):
        journal.log(LogRow(f"log-{n}", "runyard.flow_runs", 20, "text", n, body["flow_run_id"], None))
    journal.close()
    ended = client.call(
        report_state,
        {"flow_run_id": body["flow_run_id"], "attempt": 1, "state": Completed().to_json(), "force": False},
    )
    assert (ended["status"], ended["state"]["type"]) == ("ACCEPT", "COMPLETED")


def test_writing_a_group_twice_changes_nothing(client):
    run = TaskRun("t-0", None, "t", "0")
    run.enter(Completed())
    body = {"task_runs": [run.row(5)], "task_run_states": [run.state_row(run.state)]}
    client.call(write_journal, body)
    client.call(write_journal, body)


def test_a_stale_attempt_is_refused(client):
    body, _answer = begun(client)
    stale = {"flow_run_id": body["flow_run_id"], "attempt": 7}
    with pytest.raises(StaleAttempt):
        client.call(write_journal, stale)
    with pytest.raises(StaleAttempt):
        client.call(report_state, {**stale, "state": Failed().to_json()})
    with pytest.raises(StaleAttempt):
        begun(client, attempt=7)


def test_a_flow_whose_run_was_given_away_stops(recorded):
    ran = []

    @flow
    def robbed():
        ran.append("before")
        step()
        with recorded.client.database.transaction() as tx:
            tx.execute("UPDATE flow_runs SET attempt = attempt + 1")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            step()
            time.sleep(0.01)
        ran.append("after")

    with pytest.raises(RunAborted, match="rejected"):
        robbed()
    assert ran == ["before"]
    assert recorded.flow_runs()[0]["state_type"] == "RUNNING"


def test_a_run_goes_on_while_the_database_is_held(recorded, monkeypatch, capsys):
    monkeypatch.setenv("RUNYARD_DATABASE_TIMEOUT_SECONDS", "0.05")
    done = threading.Event()

    @flow
    def patient():
        holder = sqlite3.connect(recorded.client.database._driver.path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        for n in range(10):
            step(n)
        done.set()
        time.sleep(0.3)
        holder.execute("COMMIT")
        holder.close()

    patient()
    assert done.is_set()
    assert len(recorded.task_runs("step")) == 10
    assert capsys.readouterr().err.count("cannot record") <= 1


def test_records_wait_for_an_api_that_is_away():
    calls = []

    class Away:
        def call(self, _operation, body):
            calls.append(body)
            if len(calls) < 3:
                raise ApiUnavailable("nobody there")

    journal = Journal(Away())
    TaskRun("t-0", None, "t", "0").move(Running(), journal)
    journal.close()
    assert len(calls) == 3
    assert calls[0] == calls[2]


def test_producers_wait_when_too_much_waits(home, monkeypatch):
    monkeypatch.setenv("RUNYARD_JOURNAL_MAX_RECORDS", "10")
    longest = []

    class Slow:
        def call(self, _operation, body):
            time.sleep(0.005)
            longest.append(len(body["logs"]))

    journal = Journal(Slow())
    for n in range(100):
        journal.log(LogRow(f"log-{n}", "n", 20, "text", n, None, None))
    journal.close()
    assert sum(longest) == 100
    assert max(longest) <= 11


def test_a_refused_journal_aborts():
    class Refusing:
        def call(self, _operation, body):
            raise StaleAttempt("too late")

    journal = Journal(Refusing(), "r", 1)
    journal.log(LogRow("log-1", "n", 20, "text", 1, None, None))
    journal.flush()
    with pytest.raises(Abort, match="too late"):
        journal.check()
    journal.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_writes_nothing_of_its_parents(recorded):
    @flow
    def forks():
        step(1)
        child = os.fork()
        if child == 0:
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        step(2)

    forks()
    assert len(recorded.task_runs("step")) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_stopping_a_forked_child_does_not_end_the_run(recorded):
    @flow
    def forks():
        heard, ready = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(ready, b"!")
            time.sleep(60)
            os._exit(0)
        assert os.read(heard, 1) == b"!"
        os.kill(child, signal.SIGTERM)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert forks() == -signal.SIGTERM
    assert recorded.flow_runs()[0]["state_type"] == "COMPLETED"


def test_what_a_flow_wrote_is_there_before_its_end_is(recorded):
    @flow
    def busy():
        for n in range(3000):
            step(n)

    busy()
    assert len(recorded.task_runs("step")) == 3000
    assert {row["state_type"] for row in recorded.task_runs()} == {"COMPLETED"}


@pytest.mark.parametrize("way", ["logger", "prints"])
def test_records_over_the_limit_are_left_out_but_for_the_end_and_one_line_says_so(home, monkeypatch, way):
    monkeypatch.setenv("RUNYARD_LOGGING_MAX_MEGABYTES_PER_RUN", "1")

    @flow(log_prints=way == "prints")
    def floods():
        say = print if way == "prints" else get_run_logger().info
        for number in range(4_000):
            say(f"{number:0999d}")

    floods()
    with sqlite3.connect(home / "runyard.db") as database:
        kept = [text for (text,) in database.execute("SELECT message FROM logs ORDER BY timestamp, id")]
    numbers = [int(text) for text in kept if text.isdecimal()]
    assert numbers[0] == 0
    assert numbers[-1] == 3_999
    assert len(numbers) < 1_200
    assert [text for text in kept if "more than 1 MB of logs" in text]
    assert "Finished in state Completed()" in kept[-1]
    (gap,) = [one for one, two in pairwise(numbers) if two != one + 1]
    assert 700 < gap < 800


def test_a_run_waits_for_an_api_that_is_away_while_a_kept_result_is_looked_for(recorded, monkeypatch, capsys):
    away = [True, True, True]
    call = type(recorded.client).call

    def sometimes(self, operation, *arguments, **fields):
        if operation is read_result and away:
            away.pop()
            raise ApiUnavailable("nobody there")
        return call(self, operation, *arguments, **fields)

    monkeypatch.setattr(type(recorded.client), "call", sometimes)

    @task(persist_result=True, cache_policy=INPUTS)
    def kept(n):
        return n + 1

    @flow
    def needs_results():
        return kept(1), kept(1)

    assert needs_results() == (2, 2)
    assert not away
    assert {row["state_type"] for row in recorded.task_runs()} == {"COMPLETED"}
    assert capsys.readouterr().err.count("cannot read a stored result, retrying: nobody there") == 1


@flow
def says_nothing():
    pass


def _kept(home):
    with sqlite3.connect(home / "runyard.db") as database:
        return [text for (text,) in database.execute("SELECT message FROM logs ORDER BY timestamp, id")]


def test_the_first_and_the_last_record_are_stored_once_and_around_the_others(home):
    @flow
    def speaks():
        get_run_logger().info("in between")

    speaks()
    first, between, last = _kept(home)
    assert first.startswith("Beginning flow run ")
    assert (between, last) == ("in between", "Finished in state Completed()")


@pytest.mark.parametrize("taken", ["Beginning", "Finished"])
@pytest.mark.parametrize("where", ["logger", "handlers"])
def test_a_filter_of_the_users_takes_the_first_or_the_last_record_too(home, taken, where):
    logger = logging.getLogger("prefect.flow_runs")
    get_logger()

    def passes(record):
        return not record.getMessage().startswith(taken)

    filtered = [logger] if where == "logger" else list(logger.handlers)
    for each in filtered:
        each.addFilter(passes)
    try:
        says_nothing()
    finally:
        for each in filtered:
            each.removeFilter(passes)
    (text,) = _kept(home)
    assert text.startswith({"Beginning": "Finished", "Finished": "Beginning"}[taken])


def test_the_first_and_the_last_record_are_made_by_the_factory_of_the_users(home):
    class Marked(logging.LogRecord):
        def getMessage(self):
            return f"marked: {super().getMessage()}"

    logging.setLogRecordFactory(Marked)
    try:
        says_nothing()
    finally:
        logging.setLogRecordFactory(logging.LogRecord)
    first, last = _kept(home)
    assert first.startswith("marked: Beginning")
    assert last.startswith("marked: Finished")


def test_the_first_and_the_last_record_have_levels(home, monkeypatch):
    monkeypatch.setenv("RUNYARD_LOGGING_LEVEL", "ERROR")

    @flow
    def fails():
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fails()
    assert [text.splitlines()[0][:8] for text in _kept(home)] == ["Encounte", "Finished"]
