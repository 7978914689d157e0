"""Pausing and resuming by the operations: who may, what is asked, and when it is too late."""

from __future__ import annotations

from datetime import timedelta

import pytest
from runyard.base import clock
from runyard.domain.flow_run_rules import is_expired_pause
from runyard.domain.states import Cancelling, Failed, Paused, Running, Suspended
from runyard.operations.deployments.deployments import DeploymentCreate, create_deployment
from runyard.operations.deployments.known_flows import FlowCreate, create_flow
from runyard.operations.flow_runs.explain import explain_flow_run
from runyard.operations.flow_runs.flow_run_inputs import read_flow_run_input
from runyard.operations.flow_runs.flow_runs import (
    FlowRunCreate,
    SetState,
    create_flow_run,
    read_flow_run,
    set_flow_run_state,
)
from runyard.operations.flow_runs.pauses import ResumeFlowRun, pause_flow_run, resume_flow_run
from runyard.operations.recovery.recover_flow_runs import RecoverRequest, recover
from runyard.operations.schemas import StateCreate

KEYS = {"schema": "paused-1-schema", "response": "paused-1-response", "description": "paused-1-description"}
SCHEMA = {
    "type": "object",
    "properties": {"count": {"type": "integer"}, "note": {"type": "string", "default": ""}},
    "required": ["count"],
    "additionalProperties": False,
}


@pytest.fixture
def flow(client):
    return client.call(create_flow, FlowCreate(name="etl")).id


def running(client, flow, **fields):
    run = client.call(create_flow_run, FlowRunCreate(flow_id=flow, **fields))
    assert propose(client, run.id, Running()).status == "ACCEPT"
    return run.id


@pytest.fixture
def run(client, flow):
    return running(client, flow)


@pytest.fixture
def deployed(client, flow):
    deployment = client.call(create_deployment, DeploymentCreate(name="daily", flow_id=flow))
    return running(client, flow, deployment_id=deployment.id)


def propose(client, run, state):
    return client.call(set_flow_run_state, run, SetState(state=StateCreate.of(state)))


def pause(client, run, state, **more):
    body = {"flow_run_id": run, "attempt": None, "state": state.to_json(), **more}
    return client.call(pause_flow_run, body)


def ask(client, run):
    state = Paused(pause_key="1", state_details={"run_input_keyset": KEYS})
    return pause(client, run, state, schema=SCHEMA, description="How many?")


def resume(client, run, **given):
    return client.call(resume_flow_run, run, ResumeFlowRun(**given))


def test_a_paused_run_goes_on_at_once_and_that_is_no_further_try(client, run):
    assert pause(client, run, Paused(pause_key="1"))["status"] == "ACCEPT"
    answer = resume(client, run)
    assert (answer.status, answer.state.type) == ("ACCEPT", "RUNNING")
    assert client.call(read_flow_run, run).run_count == 1


def test_each_pause_stops_the_run_once(client, run):
    pause(client, run, Paused(pause_key="1"))
    resume(client, run)
    again = pause(client, run, Paused(pause_key="1"))
    assert (again["status"], again["state"]["type"]) == ("REJECT", "RUNNING")
    assert pause(client, run, Paused(pause_key="2"))["status"] == "ACCEPT"


def test_only_a_paused_run_is_resumed(client, run):
    answer = resume(client, run)
    assert answer.status == "ABORT"
    assert "not paused" in answer.details["reason"]


def test_a_suspended_run_is_scheduled_again_and_takes_no_slot_meanwhile(client, deployed):
    assert pause(client, deployed, Suspended(pause_key="1"))["status"] == "ACCEPT"
    assert "No process executes it" in client.call(explain_flow_run, deployed).reasons[-1].text
    answer = resume(client, deployed)
    assert (answer.status, answer.state.name) == ("ACCEPT", "Resuming")
    policy = client.call(read_flow_run, deployed).empirical_policy
    assert policy.resuming
    assert policy.pause_keys == ["1"]


def test_others_cannot_suspend_a_run_without_a_deployment(client, run):
    answer = pause(client, run, Suspended(pause_key="1"))
    assert (answer["status"], answer["state"]["type"]) == ("ABORT", "RUNNING")


def test_the_answer_to_a_pause_is_kept_for_the_run(client, run):
    ask(client, run)
    assert client.call(read_flow_run_input, run, "paused-1-description") == '"How many?"'
    assert resume(client, run, run_input={"count": 3}).status == "ACCEPT"
    assert client.call(read_flow_run_input, run, "paused-1-response") == '{"count": 3}'


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (None, "input.count is required"),
        ({"count": "many"}, 'input.count must be a whole number, not "many"'),
        ({"count": 1, "other": 2}, "input.other is unknown"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused_and_the_run_stays_paused(client, run, given, wrong):
    ask(client, run)
    answer = resume(client, run, run_input=given)
    assert answer.status == "REJECT"
    assert wrong in answer.details["reason"]
    assert client.call(read_flow_run, run).state_type == "PAUSED"


def test_a_resume_that_comes_too_late_fails_the_run(client, run):
    pause(client, run, Paused(timeout_seconds=-1, pause_key="1"))
    answer = resume(client, run)
    assert (answer.status, answer.state.type) == ("REJECT", "FAILED")


def test_recovery_fails_what_nobody_resumed_in_time(client, deployed):
    pause(client, deployed, Suspended(timeout_seconds=60, pause_key="1"))
    assert client.call(recover, RecoverRequest()).expired == []
    later = RecoverRequest(now=clock.now() + timedelta(minutes=2))
    assert client.call(recover, later).expired == [deployed]
    state = client.call(read_flow_run, deployed).state
    assert (state.type, state.message) == ("FAILED", "The flow was paused and never resumed.")
    assert is_expired_pause(state.to_state())
    assert not is_expired_pause(Failed(message=state.message))
    assert client.call(recover, later).expired == []


def test_a_suspended_run_is_cancelled_at_once(client, deployed):
    pause(client, deployed, Suspended(pause_key="1"))
    propose(client, deployed, Cancelling())
    assert client.call(read_flow_run, deployed).state_type == "CANCELLED"


def test_why_names_the_command_that_resumes(client, run):
    ask(client, run)
    told = client.call(explain_flow_run, run)
    assert told.status == "paused"
    assert told.reasons[0].command == f"runyard flow-run resume {run} --input JSON"
