"""How a run failed, in one sentence: which tasks failed first, with which error, and the command to retry."""

from __future__ import annotations

import pytest
from runyard.domain.states import Completed, Crashed, Failed, Running, State
from runyard.operations.deployments import deployments, known_flows
from runyard.operations.flow_runs import explain, flow_runs
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs import task_runs

TASK, FLOW = "Task run encountered an exception: ", "Flow run encountered an exception: "
NOT_READY = State("PENDING", "NotReady", "Upstream task run 'x' did not reach a 'COMPLETED' state.")


@pytest.fixture
def calls(client):
    """Create runs with tasks, and explain how they failed."""
    return Calls(client)


class Calls:
    """Creates runs and their tasks in given states."""

    def __init__(self, client):
        self.client = client
        self.flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))

    def run(self, state, **fields):
        body = flow_runs.FlowRunCreate(flow_id=self.flow.id, state=StateCreate.of(Running()), **fields)
        made = self.client.call(flow_runs.create_flow_run, body)
        return self.end(made, state) if state else made

    def end(self, run, state):
        body = flow_runs.SetState(state=StateCreate.of(state), force=True)
        self.client.call(flow_runs.set_flow_run_state, run.id, body)
        return run

    def task(self, run, name, state, **fields):
        body = task_runs.TaskRunCreate(
            task_key=name, dynamic_key=name, name=name, flow_run_id=run.id,
            state=StateCreate.of(state), **fields,
        )  # fmt: skip
        return self.client.call(task_runs.create_task_run, body)

    def failure(self, run):
        return self.client.call(explain.explain_flow_run, run.id).failure


def test_one_mapped_task_failed(calls):
    run = calls.run(None)
    for number in range(3):
        calls.task(run, f"fetch-{number}", Completed())
    bad = calls.task(run, "fetch-3", Failed(message=f"{TASK}ValueError: no page 3"))
    calls.task(run, "total", NOT_READY)
    calls.end(run, Failed(message=f"{FLOW}UpstreamTaskError: Upstream task run 'x' did not reach it."))
    failure = calls.failure(run)
    assert failure.summary == "1 of 5 tasks failed, 1 did not run: fetch-3: ValueError: no page 3."
    assert (failure.tasks, failure.failed, failure.not_run, failure.error) == (5, 1, 1, None)
    (cause,) = failure.causes
    assert (cause.id, cause.kind, cause.error) == (bad.id, "task_run", "ValueError: no page 3")
    assert failure.retry == f"runyard flow-run retry {run.id} --entrypoint FILE.py:FLOW"


def test_each_error_is_told_once_with_some_of_its_tasks(calls):
    run = calls.run(None)
    for number in range(5):
        calls.task(run, f"a-{number}", Failed(message=f"{TASK}ValueError: a"))
    calls.task(run, "b", Failed(message=f"{TASK}KeyError: 'b'"))
    calls.end(run, Failed(message="6/6 states failed."))
    assert calls.failure(run).summary == (
        "6 of 6 tasks failed: a-0, a-1, a-2 and 2 more: ValueError: a; b: KeyError: 'b'."
    )


def test_an_error_of_the_flows_own_comes_first(calls):
    run = calls.run(None)
    calls.task(run, "a", Failed(message=f"{TASK}ValueError: a"))
    calls.end(run, Failed(message=f"{FLOW}RuntimeError: gave up\nafter 3 tries"))
    failure = calls.failure(run)
    assert failure.summary == "RuntimeError: gave up; after 3 tries; 1 of 1 task failed: a: ValueError: a."
    assert failure.error == "RuntimeError: gave up\nafter 3 tries"
    alone = calls.run(Failed(message=f"{FLOW}RuntimeError: boom"))
    assert calls.failure(alone).summary == "RuntimeError: boom."
    assert calls.failure(calls.run(Completed())) is None


def test_the_cause_inside_a_subflow_and_inside_a_task(calls):
    run = calls.run(None)
    error = "ValueError: no page 1"
    caller = calls.task(run, "sub-0", Failed(message=f"{FLOW}{error}"))
    inner = calls.run(None, parent_task_run_id=caller.id, name="calm-otter")
    outer = calls.task(inner, "outer", Failed(message=f"{TASK}{error}"))
    calls.task(
        inner, "fetch", Failed(message=f"{TASK}{error}"),
        task_inputs={"__parents__": [{"input_type": "task_run", "id": outer.id}]},
    )  # fmt: skip
    calls.end(inner, Failed(message=f"{FLOW}{error}"))
    calls.end(run, Failed(message=f"{FLOW}{error}"))
    assert calls.failure(run).summary == f"2 of 2 tasks failed: fetch of calm-otter: {error}."
    failure = calls.failure(inner)
    assert failure.summary == f"2 of 2 tasks failed: fetch: {error}."
    assert failure.retry == f"runyard flow-run retry {run.id} --entrypoint FILE.py:FLOW"


def test_a_subflow_that_failed_without_a_task(calls):
    run = calls.run(None)
    caller = calls.task(run, "sub-0", Running())
    inner = calls.run(None, parent_task_run_id=caller.id, name="calm-otter")
    calls.end(inner, Failed(message=f"{FLOW}KeyError: 'x'"))
    calls.end(run, Failed(message=f"{FLOW}KeyError: 'x'"))
    failure = calls.failure(run)
    assert failure.summary == "no task failed, but a subflow run: calm-otter: KeyError: 'x'."
    assert [cause.kind for cause in failure.causes] == ["flow_run"]


def test_tasks_that_ended_with_a_crashed_process_are_no_causes(calls):
    run = calls.run(None)
    calls.task(run, "a", Running())
    calls.end(run, Crashed(message="It was killed."))
    failure = calls.failure(run)
    assert (failure.summary, failure.causes) == ("It was killed.", [])


def test_a_subflow_of_a_deployments_run_is_retried_with_that_run(calls):
    apply = deployments.DeploymentsApply.model_validate(
        {"owner": "test", "deployments": [{"flow_name": "etl", "name": "daily"}]}
    )
    daily = calls.client.call(deployments.apply_deployments, apply)[0].deployment
    run = calls.run(None, deployment_id=daily.id)
    caller = calls.task(run, "sub-0", Running())
    inner = calls.end(calls.run(None, parent_task_run_id=caller.id), Failed(message="x"))
    assert calls.failure(inner).retry == f"runyard flow-run retry {run.id}"
