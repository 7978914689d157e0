"""Options are checked where they are written; what is stored is read whatever it holds."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from runyard import flow, task
from runyard.base import ids
from runyard.base.exceptions import InvalidNameError
from runyard.operations.flow_runs.flow_runs import (
    delete_flow_run,
    filter_flow_runs,
    read_flow_run,
    set_flow_run_state,
)
from runyard.operations.records.logs import LogListing, filter_logs
from runyard.operations.schemas import Listing
from runyard.operations.task_runs.task_runs import filter_task_runs


def nothing():
    return None


@pytest.mark.parametrize("kind", [flow, task])
@pytest.mark.parametrize(
    ("option", "wrong"),
    [
        ("retries", 1.5),
        ("retries", "2"),
        ("retries", -1),
        ("retries", float("nan")),
        ("retries", [1]),
        ("retry_delay_seconds", "1"),
        ("retry_delay_seconds", ["a"]),
        ("retry_delay_seconds", -1),
        ("retry_delay_seconds", [1, -1]),
        ("retry_delay_seconds", float("nan")),
        ("retry_delay_seconds", float("inf")),
        ("retry_delay_seconds", list(range(51))),
        ("retry_delay_seconds", {"a": 1}),
        ("timeout_seconds", "soon"),
        ("timeout_seconds", -5),
        ("timeout_seconds", float("nan")),
        ("timeout_seconds", [1]),
        ("name", 5),
        ("description", 5),
        ("on_failure", print),
        ("on_failure", "print"),
        ("on_completion", [5]),
        ("log_prints", "no"),
        ("persist_result", "no"),
        ("cache_result_in_memory", "no"),
        ("result_serializer", 5),
        ("result_storage", 5),
        ("result_storage", object()),
    ],
)
def test_a_wrong_option_is_said_by_its_name(kind, option, wrong):
    with pytest.raises((TypeError, ValueError), match=option):
        kind(**{option: wrong})(nothing)


@pytest.mark.parametrize(
    ("kind", "option", "wrong"),
    [
        (flow, "flow_run_name", 5),
        (flow, "task_runner", 5),
        (task, "task_run_name", 5),
        (task, "tags", 5),
        (task, "retry_jitter_factor", -1),
        (task, "retry_jitter_factor", "a"),
        (task, "retry_jitter_factor", float("inf")),
        (task, "retry_condition_fn", 5),
        (task, "cache_key_fn", 5),
        (task, "cache_expiration", 5),
        (task, "cache_policy", 5),
        (task, "refresh_cache", "no"),
        (task, "result_storage_key", 5),
        (flow, "validate_parameters", "no"),
    ],
)
def test_so_is_one_of_flows_or_tasks_alone(kind, option, wrong):
    with pytest.raises((TypeError, ValueError), match=option):
        kind(**{option: wrong})(nothing)


@pytest.mark.parametrize("kind", [flow, task])
def test_what_prefect_accepts_is_accepted(kind):
    assert kind(retries=2.0)(nothing).retries == 2
    assert kind(retry_delay_seconds=[0.1, 0.2])(nothing).retry_delay_seconds == [0.1, 0.2]
    assert kind(retry_delay_seconds=(1, 2))(nothing).retry_delay_seconds == [1, 2]
    assert kind(retry_delay_seconds=timedelta(seconds=90))(nothing).retry_delay_seconds == 90
    assert kind(timeout_seconds="3")(nothing).timeout_seconds == 3.0
    assert kind(timeout_seconds=0)(nothing).timeout_seconds is None
    assert kind(timeout_seconds=float("inf"))(nothing).timeout_seconds is None
    assert kind(version=5)(nothing).version == "5"
    assert kind(on_failure=(print,))(nothing).on_failure_hooks == [print]
    assert kind(retries=3).__call__(nothing).with_options(retries=1).retries == 1


def test_tags_and_names_of_tasks_are_texts_within_bounds():
    assert task(tags=[5, "a"])(nothing).tags == {"5", "a"}
    assert task(tags="one")(nothing).tags == {"one"}
    assert len(task(name="n" * 400)(nothing).name) < 255


@pytest.mark.parametrize("name", ["x" * 300, "a/b", "50%"])
def test_a_flow_is_not_called_so(name):
    with pytest.raises(InvalidNameError, match="invalid flow name"):
        flow(name=name)(nothing)


def test_a_list_of_waits_is_waited_for_one_after_the_other(recorded):
    tries = []

    @flow(retries=3, retry_delay_seconds=[0.001, 0.002])
    def main():
        tries.append(1)
        if len(tries) < 4:
            raise ValueError("again")

    main()
    (run,) = recorded.flow_runs()
    assert len(tries) == 4
    listed = recorded.client.call(filter_flow_runs, Listing())
    assert listed[0].empirical_policy.retry_delay == [0.001, 0.002]
    assert run["state_type"] == "COMPLETED"


BROKEN = {
    "state": [
        '{"id":"1","type":"FAILED","name":"a"b"}',
        "",
        "null",
        "[]",
        '{"type":"NONE"}',
        '{"type":"FAILED"}',
    ],
    "empirical_policy": ['{"retries":1.5,"retry_delay":"x"}', '{"retry_delay":[[1]]}', "[1]"],
    "tags": ["[5]", "{}", '"a"', "nonsense"],
    "parameters": ["[1]", "nonsense", '{"a":' * 300 + "1" + "}" * 300],
    "labels": ["5"],
    "created_by": ["5"],
    "job_variables": ['"x"'],
    "created": [2**62, -(2**62)],
    "start_time": [2**62, "2026-01-01", 1e23],
    "end_time": ["yesterday"],
    "expected_start_time": ["2026-01-01"],
    "next_scheduled_start_time": [""],
    "total_run_time": ["12 s", 1e23],
}


@pytest.mark.parametrize(
    ("column", "value"), [(name, value) for name, all in BROKEN.items() for value in all]
)
def test_a_row_that_does_not_fit_is_listed_and_deleted(recorded, column, value):
    """Such as another version, a repair by hand or a client of another kind may have left."""

    @task
    def step():
        return 1

    @flow
    def main():
        step()
        return 1

    main()
    main()
    (first, _second) = recorded.flow_runs()
    with recorded.client.database.transaction() as tx:
        tx.execute(
            f"UPDATE flow_runs SET {column} = :value WHERE id = :id", {"value": value, "id": first["id"]}
        )
        if column in ("state", "empirical_policy", "tags", "created", "start_time", "total_run_time"):
            tx.execute(f"UPDATE task_runs SET {column} = :value", {"value": value})
        tx.execute("UPDATE logs SET level = 'INFO', timestamp = 'now' WHERE id = (SELECT min(id) FROM logs)")
    call = recorded.client.call
    listed = {run.id: run for run in call(filter_flow_runs, Listing())}
    assert len(listed) == 2
    assert listed[first["id"]].state_type == "COMPLETED"
    json.loads(listed[first["id"]].model_dump_json())
    assert call(read_flow_run, first["id"]).name == first["name"]
    assert len(call(filter_task_runs, Listing())) == 2
    assert call(filter_logs, LogListing())
    call(delete_flow_run, first["id"])
    assert [run.id for run in call(filter_flow_runs, Listing())] == [id for id in listed if id != first["id"]]


def test_a_run_with_a_broken_state_can_be_given_another(recorded):
    from runyard.operations.flow_runs.flow_run_shapes import SetState
    from runyard.operations.schemas import StateCreate

    @flow
    def main():
        return 1

    main()
    (run,) = recorded.flow_runs()
    with recorded.client.database.transaction() as tx:
        tx.execute("UPDATE flow_runs SET state = 'nonsense' WHERE id = :id", {"id": run["id"]})
    body = SetState(state=StateCreate(type="FAILED", name='a"b', message="by hand"), force=True)
    recorded.client.call(set_flow_run_state, run["id"], body)
    state = recorded.client.call(read_flow_run, run["id"]).state
    assert (state.type, state.name, state.message) == ("FAILED", 'a"b', "by hand")


def test_a_state_of_a_name_with_quotes_is_read_back(recorded):
    from runyard.domain.states import Completed

    @task
    def step():
        return Completed(name='"done"', message=5)

    @flow
    def main():
        step()

    main()
    (run,) = recorded.client.call(filter_task_runs, Listing())
    assert (run.state.name, run.state.message, run.state_name) == ('"done"', "5", '"done"')
    assert ids.new_id() != run.id
