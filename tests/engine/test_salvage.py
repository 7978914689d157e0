"""Whatever a run records: all that can be stored is there, whatever stands beside it, in every store."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runyard import flow, task
from runyard.base import clock, ids
from runyard.base.errors import InvalidInput
from runyard.base.texts import MESSAGE, NAME
from runyard.client import HttpClient, LocalClient
from runyard.domain.states import Completed, Failed, Running, State
from runyard.engine.journal import Journal
from runyard.engine.run_objects import FlowRun, TaskRun
from runyard.operations.flow_runs.flow_runs import filter_flow_runs
from runyard.operations.records.logs import LogListing, filter_logs
from runyard.operations.runs.run_records import LogRow, ResultRow
from runyard.operations.schemas import Listing
from runyard.operations.task_runs.task_runs import filter_task_runs

BAD = "caf\udce9 \x00 “ä” 🚀"

# Any text at all: also lone surrogates, which UTF-8 cannot hold, and NUL, which PostgreSQL's cannot.
texts = st.text(st.characters(codec=None), max_size=30) | st.sampled_from(
    [BAD, "\x00", "\ud800", "x" * 30_000]
)
numbers = st.sampled_from([0, 10, 2**31, 2**63, -(2**70)])
logs = st.tuples(st.just("log"), texts, numbers)
tasks = st.tuples(
    st.just("task"),
    texts,
    st.sampled_from(["0", "1", "2"]),
    st.none() | texts | st.dictionaries(texts, texts, max_size=2) | st.just(object()),
)
flows = st.tuples(st.just("flow"), texts, texts)
results = st.tuples(st.just("result"), texts | st.text("ab", min_size=3000, max_size=3001), numbers)
records = st.lists(logs | tasks | flows | results, max_size=8)


def play(journal, root, record):
    """Record something; its kind and id, and whether a store can hold it."""
    kind, text, *rest = record
    if kind == "log":
        row_id = ids.new_id()
        journal.log(LogRow(row_id, "runyard.flow_runs", rest[0], text, clock.now_us(), root, None))
        return kind, row_id, -(2**31) <= rest[0] < 2**31
    if kind == "task":
        run = TaskRun(text, root, "t", rest[0], (text,))
        run.move(State("PENDING"), journal)
        run.move(Failed(message=text, data=rest[1], name=text or None), journal)
        return kind, run.id, True
    if kind == "flow":
        run = FlowRun(ids.new_id(), text, rest[0], (text,))
        run.root_flow_run_id = root
        run.move(Completed(message=text), journal)
        return kind, run.id, True
    journal.result(ResultRow(text, clock.now_us(), rest[0], root, "{}", "e30=", None))
    return kind, text, None


def found(client, sql, **values):
    with client.database.transaction(write=False) as tx:
        return tx.all(sql, values)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(several=records)
def test_all_that_can_be_stored_is_there(database, several):
    client = LocalClient(database)
    root = ids.new_id()
    journal = Journal(client, root)
    told = [play(journal, root, record) for record in several]
    journal.log(LogRow("last" + root, "n", 20, "the last", clock.now_us(), root, None))
    journal.close()

    kept = {row["id"]: row for row in found(client, "SELECT * FROM logs WHERE flow_run_id = :id", id=root)}
    assert kept["last" + root]["message"] == "the last"
    lost = [row["message"] for row in kept.values() if row["name"] == "runyard.journal"]
    for kind, id, fits in told:
        if kind == "log" and fits:
            assert id in kept
        elif kind == "log":
            assert id in kept or any("log record could not be stored" in line for line in lost)
        elif kind == "task":
            states = found(client, "SELECT * FROM task_run_states WHERE task_run_id = :id", id=id)
            assert len(states) == 2
            (row,) = found(client, "SELECT * FROM task_runs WHERE id = :id", id=id)
            assert json.loads(row["state"])["type"] == row["state_type"] == "FAILED"
        elif kind == "flow":
            (row,) = found(client, "SELECT * FROM flow_runs WHERE id = :id", id=id)
            assert row["state_type"] == "COMPLETED"


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
@given(several=records)
def test_and_can_be_read_over_the_api(api, several):
    client = HttpClient(api.url)
    root = ids.new_id()
    journal = Journal(client, root)
    told = [play(journal, root, record) for record in several]
    journal.close()
    client.call(filter_logs, LogListing())
    client.call(filter_flow_runs, Listing())
    wanted = [id for kind, id, _fits in told if kind == "task"]
    runs = client.call(filter_task_runs, Listing(task_runs={"id": {"any_": wanted}}))
    assert {run.id for run in runs} == set(wanted)
    client.close()


def test_a_value_that_no_store_takes_costs_its_neighbours_nothing(client):
    root = ids.new_id()
    journal = Journal(client, root)
    for at in range(50):
        journal.log(LogRow(ids.new_id(), "n", 2**70 if at == 20 else 20, f"line {at}", at, root, None))
    journal.close()
    lines = [log.message for log in client.call(filter_logs, LogListing(limit=200))]
    assert len(lines) == 50
    assert [line for line in lines if line.startswith("line")] == [
        f"line {at}" for at in range(50) if at != 20
    ]
    assert "A log record could not be stored: InvalidInput" in lines[-1]


def test_a_run_whose_position_is_taken_is_stored_all_the_same(client):
    root = ids.new_id()
    journal = Journal(client, root)
    runs = [TaskRun(f"t-{at}", root, "t", "0") for at in range(3)]
    for run in runs:
        run.move(State("PENDING"), journal)
    for run in runs:
        run.move(Running(), journal)
        run.move(Completed(), journal)
    journal.close()
    stored = client.call(filter_task_runs, Listing())
    assert {run.id: run.state_name for run in stored} == {run.id: "Completed" for run in runs}
    assert len({run.dynamic_key for run in stored}) == 3


def test_texts_of_every_source_are_stored(client, monkeypatch, request):
    from runyard.client import engine_client

    class Shared(dict):
        """The clients of this process: one for all settings."""

        def get(self, key, default=None):
            return client

    # The functions stay as they are: a module that is first imported here would keep another one.
    monkeypatch.setattr(engine_client, "_clients", Shared())

    @task(log_prints=True, tags=[BAD], version=BAD, task_run_name="load-{what}")
    def load(what):
        print(what)
        raise FileNotFoundError(2, "no such file", what)

    @flow(name="f", flow_run_name="scan-{what}", version=BAD)
    def scan(what):
        load(what, return_state=True)
        raise ValueError(what)

    state = scan(BAD, return_state=True)
    # What pytest keeps of the log is sent between its processes, which these texts would end.
    request.config.pluginmanager.get_plugin("logging-plugin").report_handler.reset()
    assert isinstance(state.result(raise_on_failure=False), ValueError)
    (run,) = client.call(filter_flow_runs, Listing())
    spelled = "caf\\udce9 \ufffd “ä” 🚀"
    assert (run.name, run.state_name) == (f"scan-{spelled}", "Failed")
    assert run.state.message == f"Flow run encountered an exception: ValueError: {spelled}"
    # JSON spells every text: the value comes back as it was.
    assert run.parameters == {"what": BAD}
    (inner,) = client.call(filter_task_runs, Listing(task_runs={"tags": {"all_": [spelled]}}))
    assert (inner.name, inner.tags) == (f"load-{spelled}", [spelled])
    assert spelled in [log.message for log in client.call(filter_logs, LogListing())]


def test_keys_of_parameters_that_no_answer_can_hold_are_spelled_out(client):
    @flow(name="f")
    def scan(what):
        return 1

    scan({BAD: [{BAD: 1}], "“ä”": BAD})
    (run,) = client.call(filter_flow_runs, Listing())
    spelled = "caf\\udce9 \ufffd “ä” 🚀"
    assert run.parameters == {"what": {spelled: [{spelled: 1}], "“ä”": BAD}}


class Hostile(Exception):
    """An exception whose own code fails by something that ends a process."""

    def __str__(self):
        raise SystemExit(3)

    __repr__ = __str__


def test_the_text_of_an_exception_decides_nothing(recorded):
    tries = []

    @task(retries=2)
    def fails():
        tries.append(1)
        raise Hostile

    @flow(retries=1)
    def main():
        fails()

    state = main(return_state=True)
    assert isinstance(state.result(raise_on_failure=False), Hostile)
    assert len(tries) == 6
    assert state.type == "FAILED"
    assert "raised SystemExit" in state.message
    assert [run["state_type"] for run in recorded.task_runs()] == ["FAILED"] * 2


def test_an_exception_that_holds_its_data_is_shown_within_bounds(recorded):
    data = [{"row": at, "text": "x" * 50} for at in range(20_000)]

    @task
    def load():
        raise ValueError(data, "the end")

    @flow
    def main():
        load()

    state = main(return_state=True)
    assert state.result(raise_on_failure=False).args[0] is data
    assert len(state.message) <= MESSAGE
    assert state.message.endswith("'the end')")
    assert sum(map(len, recorded.logs())) < 12 * MESSAGE


def test_names_and_messages_are_bounded():
    assert len(State("FAILED", "n" * 1000, "m" * 100_000 + "end").message) == MESSAGE
    assert State("FAILED", message="m" * 100_000 + "end").message.endswith("mend")
    assert len(State("FAILED", "n" * 1000).name) == NAME
    assert State("FAILED", message=5).message == "5"


def nested(depth):
    value = 1
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("depth", [256, 5000])
def test_a_value_that_could_not_be_answered_is_refused(client, depth):
    from runyard.operations.deployments.known_flows import FlowCreate, create_flow
    from runyard.operations.flow_runs.flow_runs import FlowRunCreate, create_flow_run
    from runyard.operations.records.stored_variables import (
        VariableCreate,
        VariableListing,
        create_variable,
        filter_variables,
    )

    flow_id = client.call(create_flow, FlowCreate(name="f")).id
    with pytest.raises(InvalidInput, match="nested"):
        client.call(create_flow_run, FlowRunCreate(flow_id=flow_id, parameters=nested(depth)))
    with pytest.raises(InvalidInput, match="nested"):
        client.call(create_variable, VariableCreate(name="v", value=nested(depth)))
    assert client.call(filter_flow_runs, Listing()) == []
    assert client.call(filter_variables, VariableListing()) == []
    client.call(create_flow_run, FlowRunCreate(flow_id=flow_id, parameters=nested(150)))
    assert client.call(filter_flow_runs, Listing())[0].parameters == nested(150)
