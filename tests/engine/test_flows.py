"""Flows: their values, states, parameters, names, retries, hooks and subflows, sync and async."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

import pytest
from pydantic import BaseModel
from runyard import flow, get_run_logger, tags, task
from runyard.base.exceptions import (
    InvalidNameError,
    MissingContextError,
    ParameterError,
    ReservedArgumentError,
)
from runyard.domain import states
from runyard.domain.states import State
from runyard.engine import runtime


class Point(BaseModel):
    x: int


def call(thing, *args, **kwargs):
    """The outcome of a flow, whether it is sync or async."""
    outcome = thing(*args, **kwargs)
    return asyncio.run(outcome) if asyncio.iscoroutine(outcome) else outcome


def either(kind, body):
    """`body` as a sync function, or an async one that does the same."""
    if kind == "sync":
        return body

    async def twin(*args, **kwargs):
        return body(*args, **kwargs)

    twin.__name__ = body.__name__
    return twin


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_a_flow_gives_its_value_and_is_recorded(recorded, kind):
    def my_flow():
        return 42

    assert call(flow(either(kind, my_flow))) == 42
    (run,) = recorded.flow_runs()
    assert run["flow_name"] == "my-flow"
    assert run["state_type"] == "COMPLETED"
    assert run["run_count"] == 1
    assert run["start_time"] <= run["end_time"]
    assert recorded.states(run, "flow") == ["Pending", "Running", "Completed"]
    assert recorded.rows("SELECT * FROM leases") == []


@both
def test_a_failing_flow_raises_what_it_raised_with_its_traceback(recorded, kind):
    def broken():
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck") as caught:
        call(flow(either(kind, broken)))
    assert "broken" in [entry.name for entry in caught.traceback]
    (run,) = recorded.flow_runs()
    assert run["state_type"] == "FAILED"
    assert recorded.state(run)["message"] == "Flow run encountered an exception: ValueError: no luck"
    assert any("Traceback" in text and "no luck" in text for text in recorded.logs())


@both
def test_return_state_raises_nothing(recorded, kind):
    def broken():
        raise ValueError("no luck")

    state = call(flow(either(kind, broken)), return_state=True)
    assert state.is_failed()
    assert isinstance(state.result(raise_on_failure=False), ValueError)
    with pytest.raises(ValueError, match="no luck"):
        state.result()


def test_the_returned_states_decide(recorded):
    @task
    def fine():
        return 1

    @task
    def broken():
        raise ValueError("x")

    @flow
    def one(state):
        return state

    @flow
    def mixed():
        return [fine(return_state=True), broken(return_state=True)]

    @flow
    def futures():
        return [fine.submit(), fine.submit()]

    @flow
    def single():
        return fine.submit()

    assert one(states.Completed(message="hello"), return_state=True).message == "hello"
    assert one(states.Cancelled(), return_state=True).is_cancelled()
    state = mixed(return_state=True)
    assert (state.type, state.message) == ("FAILED", "1/2 states failed.")
    assert all(isinstance(item, State) and item.is_completed() for item in futures())
    assert isinstance(single(), State)
    assert single().result() == 1


def test_parameters_are_validated_and_coerced(recorded):
    @flow
    def typed(number: int, point: Point, names: list[str] | None = None, date: str = None):  # noqa: RUF013
        return number, point, names, date

    assert typed("3", {"x": "4"}, names=("a",), date=None) == (3, Point(x=4), ["a"], None)
    with pytest.raises(ParameterError, match=r"number: .*integer"):
        typed("many", {"x": 1})
    assert [run["state_type"] for run in recorded.flow_runs()] == ["COMPLETED", "FAILED"]


def test_validation_can_be_switched_off(recorded):
    @flow(validate_parameters=False)
    def loose(number: int):
        return number

    assert loose("3") == "3"


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {}, "missing"),
        ((1, 2), {}, "positional"),
        ((1,), {"y": 1}, "unexpected"),
        ((1,), {"x": 1}, "multiple"),
    ],
)
def test_arguments_that_do_not_fit_start_nothing(recorded, args, kwargs, message):
    @flow
    def one(x):
        return x

    with pytest.raises(ParameterError, match=message):
        one(*args, **kwargs)
    assert recorded.flow_runs() == []


def test_all_kinds_of_parameters_arrive(recorded):
    @flow
    def wide(a, /, b=2, *rest: int, c, d: int = 4, **others: str):
        return a, b, rest, c, d, others

    assert wide(1, c=3) == (1, 2, (), 3, 4, {})
    assert wide(1, 5, 6, "7", c=3, d="8", e="x") == (1, 5, (6, 7), 3, 8, {"e": "x"})


def test_parameters_are_kept_as_json(recorded):
    @dataclass
    class Thing:
        size: int

    @flow
    def kept(a, thing, secret):
        return None

    kept({"x": [1]}, Thing(3), object())
    (run,) = recorded.flow_runs()
    assert json.loads(run["parameters"]) == {"a": {"x": [1]}, "thing": {"size": 3}, "secret": "<object>"}


def test_names_come_from_templates(recorded):
    @flow(flow_run_name="load-{day}")
    def load(day: str):
        return runtime.flow_run.name

    @flow(flow_run_name=lambda: "made")
    def made():
        return runtime.flow_run.name

    assert load("monday") == "load-monday"
    assert made() == "made"


@pytest.mark.parametrize("name", ["daily/etl", "a&b", "<x>"])
def test_a_name_that_no_reference_could_hold_is_refused(name):
    with pytest.raises(InvalidNameError, match="invalid flow name"):
        flow(name=name)(print)
    assert flow(lambda: 1).name == "lambda"


@pytest.mark.parametrize("kind", [flow, task])
def test_arguments_that_every_call_has_are_refused(kind):
    with pytest.raises(ReservedArgumentError, match="'wait_for' is an argument of every call"):
        kind(lambda x, wait_for: x)
    with pytest.raises(ReservedArgumentError, match="return_state"):

        @kind
        def mine(*, return_state=False):
            pass

    @kind
    def fine(**kwargs):
        return_state = wait_for = 1
        return return_state + wait_for


def test_flows_retry(recorded):
    tries = []

    @task
    def step():
        return len(tries)

    @flow(retries=2, retry_delay_seconds=0.05)
    def flaky():
        tries.append(1)
        step()
        if len(tries) < 3:
            raise ValueError("again")
        return "done"

    assert flaky() == "done"
    (run,) = recorded.flow_runs()
    assert run["run_count"] == 3
    assert recorded.states(run, "flow") == [
        "Pending", "Running", "AwaitingRetry", "Running", "AwaitingRetry", "Running", "Completed",
    ]  # fmt: skip
    assert [row["dynamic_key"] for row in recorded.task_runs("step")] == ["0", "0.2", "0.3"]


@both
def test_a_flow_that_takes_too_long_fails_as_timed_out(recorded, kind):
    if kind == "sync":

        @flow(timeout_seconds=0.1)
        def slow():
            time.sleep(60)
    else:

        @flow(timeout_seconds=0.1)
        async def slow():
            await asyncio.sleep(60)

    state = call(slow, return_state=True)
    assert (state.type, state.name) == ("FAILED", "TimedOut")
    assert "0.1 second" in state.message


def test_hooks_see_the_run_and_its_state(recorded):
    seen = []

    def note(flow, flow_run, state):
        seen.append((flow.name, flow_run.name, state.name))

    async def note_async(flow, flow_run, state):
        seen.append(("async", state.name))

    @flow(name="hooked", flow_run_name="me", on_running=[note], on_completion=[note_async])
    def hooked():
        return None

    @flow(on_failure=[note])
    def broken():
        raise ValueError

    @broken.on_failure
    def worse(flow, flow_run, state):
        raise RuntimeError("a hook's own trouble")

    hooked()
    assert seen == [("hooked", "me", "Running"), ("async", "Completed")]
    assert broken(return_state=True).is_failed()
    assert seen[-1][0] == "broken"
    assert any("a hook's own trouble" in text for text in recorded.logs())


@both
def test_subflows_are_recorded_below_the_run_that_calls_them(recorded, kind):
    def child(n: int):
        return n + 1

    child = flow(either(kind, child))

    if kind == "sync":

        @flow
        def parent():
            return child(1) + child(2)
    else:

        @flow
        async def parent():
            first, second = await asyncio.gather(child(1), child(2))
            return first + second

    assert call(parent) == 5
    (above,) = recorded.flow_runs("parent")
    below = recorded.flow_runs("child")
    stand_ins = recorded.task_runs("child")
    assert [run["state_type"] for run in below] == ["COMPLETED"] * 2
    assert {run["root_flow_run_id"] for run in below} == {above["id"]}
    assert {run["parent_task_run_id"] for run in below} == {run["id"] for run in stand_ins}
    assert [run["state_type"] for run in stand_ins] == ["COMPLETED"] * 2
    assert recorded.state(stand_ins[0])["state_details"]["child_flow_run_id"] in {run["id"] for run in below}


def test_a_failing_subflow_fails_its_caller_unless_it_is_caught(recorded):
    @flow
    def child():
        raise KeyError("gone")

    @flow
    def careless():
        child()

    @flow
    def careful():
        return "caught" if child(return_state=True).is_failed() else "?"

    with pytest.raises(KeyError):
        careless()
    assert careful() == "caught"


def test_logs_and_prints_belong_to_the_run(recorded, capsys):
    @task
    def speak():
        get_run_logger().warning("from the task")
        print("printed", "in", "the task")

    @flow(log_prints=True, flow_run_name="talker")
    def talk():
        get_run_logger().info("from the flow %d", 1)
        print("printed")
        speak()

    talk()
    (run,) = recorded.flow_runs()
    rows = {row["message"]: row for row in recorded.rows("SELECT * FROM logs")}
    assert rows["from the flow 1"]["flow_run_id"] == run["id"]
    assert rows["printed"]["name"] == "runyard.flow_runs"
    (task_run,) = recorded.task_runs()
    assert rows["from the task"]["task_run_id"] == task_run["id"]
    assert rows["printed in the task"]["task_run_id"] == task_run["id"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "| WARNING | Task run 'speak-0' - from the task" in err
    assert "| INFO    | Flow run 'talker' - from the flow 1" in err


def test_prints_stay_prints_without_log_prints(recorded, capsys):
    @flow
    def talk():
        print("hello")

    talk()
    assert capsys.readouterr().out == "hello\n"
    assert "hello" not in recorded.logs()


def test_there_is_no_run_logger_outside_of_runs(home):
    with pytest.raises(MissingContextError):
        get_run_logger()


def test_tags_of_the_block_and_facts_of_the_run(recorded):
    @task(tags=["own"])
    def step():
        return runtime.task_run.tags, runtime.task_run.task_name, runtime.flow_run.id

    @flow
    def tagged(x=1):
        return (*step(), runtime.flow_run.parameters)

    with tags("outer", "b"):
        found = tagged()
    (run,) = recorded.flow_runs()
    assert found == (["b", "outer", "own"], "step", run["id"], {"x": 1})
    assert json.loads(run["tags"]) == ["b", "outer"]
    assert runtime.flow_run.name is None
    assert runtime.task_run.tags == []


def test_flows_on_methods_and_with_options(recorded):
    class Job:
        factor = 3

        @flow
        def scaled(self, x: int):
            return x * self.factor

    assert Job().scaled("2") == 6
    renamed = Job.scaled.with_options(name="other", retries=1)
    assert (renamed.name, renamed.retries, Job.scaled.name) == ("other", 1, "scaled")


def test_the_result_of_a_generator_flow_is_a_list(recorded):
    @flow
    def count():
        yield from range(3)

    @flow
    async def count_async():
        for n in range(3):
            yield n

    assert count(return_state=True).result() == [0, 1, 2]
    assert asyncio.run(count_async(return_state=True)).result() == [0, 1, 2]


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit])
def test_a_flow_ended_from_within_is_crashed(recorded, end):
    @task
    def step():
        raise end

    @flow
    def ended():
        step()

    with pytest.raises(end):
        ended()
    (run,) = recorded.flow_runs()
    assert run["state_type"] == "CRASHED"
    assert recorded.task_runs()[0]["state_type"] == "CRASHED"
    assert "Execution was aborted" in recorded.state(run)["message"]
