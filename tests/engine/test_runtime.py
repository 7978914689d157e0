"""What code knows of the run around it: `runtime`, contexts, tags and loggers."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest
from _yard import a_yard, logs_of
from runyard import flow, get_run_logger, tags, task
from runyard.base.exceptions import MissingContextError, RunNameError
from runyard.client import LocalClient
from runyard.engine import runtime
from runyard.engine.context import FlowRunContext, TaskRunContext, get_run_context
from runyard.engine.logging import disable_run_logger, flow_run_logger, get_logger
from runyard.operations.flow_runs.flow_runs import read_flow_run
from runyard.operations.records.logs import LogListing, filter_logs

FLOWS = """
from runyard import flow, runtime

def named():
    run = runtime.flow_run
    year = run.scheduled_start_time.year
    return f"{run.flow_name}-{run.parameters['number']}-{year}-{bool(runtime.deployment.id)}"

@flow(name="work", flow_run_name=named)
def tells(number: int = 1):
    facts = [runtime.deployment.name, runtime.deployment.flow_run_id == runtime.flow_run.id]
    facts += [runtime.flow_run.job_variables, runtime.flow_run.scheduled_start_time.isoformat()]
    facts += [runtime.flow_run.root_flow_run_id == runtime.flow_run.id, runtime.flow_run.parent_flow_run_id]
    print("facts", facts)
"""


def messages(level=0):
    return [log.message for log in LocalClient().call(filter_logs, LogListing()) if log.level >= level]


def test_a_flow_knows_its_run_and_those_around_it(recorded):
    found = {}

    @flow(name="inner", version="2")
    def inner(x):
        found["inner"] = {name: getattr(runtime.flow_run, name) for name in dir(runtime.flow_run)}

    @flow(name="outer")
    def outer():
        found["outer"] = {name: getattr(runtime.flow_run, name) for name in dir(runtime.flow_run)}
        with tags("a", "b"):
            inner(3)

    outer()
    outside, within = found["outer"], found["inner"]
    assert (within["flow_name"], within["flow_version"], within["parameters"]) == ("inner", "2", {"x": 3})
    assert within["tags"] == ["a", "b"]
    assert within["parent_flow_run_id"] == within["root_flow_run_id"] == outside["id"]
    assert outside["root_flow_run_id"] == outside["id"]
    assert (
        outside["parent_flow_run_id"] is outside["parent_deployment_id"] is outside["job_variables"] is None
    )
    assert outside["run_count"] == 1
    assert datetime.now(UTC) - outside["scheduled_start_time"] < timedelta(minutes=1)


def test_a_task_knows_its_run(recorded):
    @task(name="step", tags=["t"])
    def step(x):
        return {name: getattr(runtime.task_run, name) for name in dir(runtime.task_run)}

    @flow
    def parent():
        return step(5)

    facts = parent()
    assert (facts["task_name"], facts["name"], facts["tags"]) == ("step", "step-0", ["t"])
    assert (facts["parameters"], facts["run_count"], facts["api_url"]) == ({"x": 5}, 1, None)


def test_outside_of_runs_nothing_is_known(home):
    assert runtime.flow_run.id is runtime.flow_run.name is runtime.task_run.id is None
    assert (runtime.flow_run.tags, runtime.flow_run.parameters, runtime.deployment.id) == ([], {}, None)
    for module in (runtime.flow_run, runtime.task_run, runtime.deployment):
        with pytest.raises(AttributeError, match="it has"):
            _ = module.nonsense


@pytest.mark.parametrize("prefix", ["PREFECT", "RUNYARD"])
def test_tests_put_values_in_their_place(home, monkeypatch, prefix):
    for name, text in {
        "FLOW_RUN__NAME": "mine",
        "FLOW_RUN__RUN_COUNT": "7",
        "FLOW_RUN__SCHEDULED_START_TIME": "2026-11-22T06:00:00",
        "FLOW_RUN__TAGS": "a",
        "TASK_RUN__EXTRA": "more",
        "DEPLOYMENT__ID": "some-id",
    }.items():
        monkeypatch.setenv(f"{prefix}__RUNTIME__{name}", text)
    assert (runtime.flow_run.name, runtime.flow_run.run_count) == ("mine", 7)
    assert runtime.flow_run.scheduled_start_time == datetime(2026, 11, 22, 6, tzinfo=UTC)
    assert (runtime.task_run.extra, runtime.deployment.id) == ("more", "some-id")
    with pytest.raises(ValueError, match="cannot be mocked"):
        _ = runtime.flow_run.tags


def test_a_name_is_made_of_what_is_known_of_the_run(recorded):
    def named():
        run = runtime.flow_run
        get_run_logger().info("naming %s", run.id)
        below = run.parent_flow_run_id is not None
        return f"{run.flow_name}-{run.parameters['x']}-{'-'.join(run.tags)}-{below}"

    @flow(name="inner", flow_run_name=named)
    def inner(x):
        return runtime.flow_run.name

    @flow(name="outer", flow_run_name=named)
    def outer(x: int):
        return runtime.flow_run.name, inner(x + 1)

    with tags("t"):
        assert outer("1") == ("outer-1-t-False", "inner-2-t-True")


def test_a_run_whose_name_cannot_be_made_fails_by_it(recorded):
    @flow(flow_run_name="{nothing}")
    def nameless():
        raise AssertionError("it must not run")

    state = nameless(return_state=True)
    assert state.message == "Naming the run failed with error: no name by flow_run_name: KeyError: 'nothing'"
    with pytest.raises(RunNameError):
        nameless()


def test_addresses_of_runs(recorded, monkeypatch):
    @flow
    def asks():
        run_id = get_run_context().flow_run.id
        monkeypatch.setenv("RUNYARD_UI_URL", "http://ui:1/")
        return run_id, runtime.flow_run.ui_url, runtime.flow_run.api_url

    run_id, ui, api = asks()
    assert (ui, api) == (f"http://ui:1/flow-runs/flow-run/{run_id}", None)


def test_a_deployed_run_knows_its_deployment(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "flows.py").write_text(FLOWS.replace("@flow(", "@flow(log_prints=True, "))
        yard.worker()
        run = yard.run(entrypoint="flows.py:tells", job_variables={"env": {"A": "1"}})
        yard.ended(run, "COMPLETED")
        expected = yard.client.call(read_flow_run, run).expected_start_time.isoformat()
        (text,) = [log.message for log in logs_of(yard, run) if log.message.startswith("facts")]
        assert yard.client.call(read_flow_run, run).name == f"work-1-{expected[:4]}-True"
        assert text == f"facts {['crash', True, {'env': {'A': '1'}}, expected, True, None]}"


def test_contexts_as_code_uses_them(recorded):
    @task
    def step(x):
        context = get_run_context()
        assert context is TaskRunContext.get()
        return context.task_run.name, context.task.name, context.parameters, context.start_time is not None

    @flow
    def parent(y):
        context = get_run_context()
        assert context is FlowRunContext.get()
        assert context.flow is parent
        assert context.start_time <= datetime.now(UTC)
        return context.flow_run.name, context.parameters, step(1)

    name, parameters, told = parent(2)
    assert (name, parameters) == (recorded.flow_runs()[0]["name"], {"y": 2})
    assert told == ("step-0", "step", {"x": 1}, True)
    with pytest.raises(MissingContextError):
        get_run_context()


def test_a_runs_logger_keeps_its_records_with_the_run(recorded):
    @task
    async def step():
        get_run_logger().warning("from the task", extra={"more": 1})
        get_logger("mine").warning("of the library")

    @flow
    async def parent():
        await step()
        get_run_logger(get_run_context(), colour="red").error("from the flow")

    asyncio.run(parent())
    assert messages(logging.WARNING)[0] == "from the task"
    assert "from the flow" in messages(logging.ERROR)


def test_other_loggers_are_kept_when_the_setting_names_them(recorded, monkeypatch):
    monkeypatch.setenv("PREFECT_LOGGING_EXTRA_LOGGERS", "thirdparty, other.one")

    @flow
    def parent():
        logging.getLogger("thirdparty.part").info("kept")
        logging.getLogger("unnamed").warning("not kept")

    parent()
    assert "kept" in messages()
    assert "not kept" not in messages()


def test_functions_that_log_are_tested_without_a_run(home):
    @task
    def step():
        get_run_logger().info("hello")
        return 1

    with pytest.raises(MissingContextError):
        step.fn()
    with disable_run_logger():
        assert step.fn() == 1
    with pytest.raises(MissingContextError):
        step.fn()


def test_hooks_log_to_the_run_they_are_given(recorded):
    def hook(flow, flow_run, state):
        flow_run_logger(flow_run, flow).info("from the hook")

    @flow(on_completion=[hook])
    def parent():
        pass

    parent()
    assert "from the hook" in messages()
