"""`runyard flow-run resume` and `suspend`."""

from __future__ import annotations

import pytest
from runyard.domain.states import Paused, Running
from runyard.operations.deployments.deployments import DeploymentCreate, create_deployment
from runyard.operations.deployments.known_flows import FlowCreate, create_flow
from runyard.operations.flow_runs.flow_runs import (
    FlowRunCreate,
    SetState,
    create_flow_run,
    set_flow_run_state,
)
from runyard.operations.flow_runs.pauses import pause_flow_run
from runyard.operations.schemas import StateCreate

KEYS = {name: f"paused-1-{name}" for name in ("schema", "response", "description")}
SCHEMA = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}


@pytest.fixture
def run(store):
    """A running run of a deployment, called `calm-otter`."""
    flow = store.call(create_flow, FlowCreate(name="etl")).id
    deployment = store.call(create_deployment, DeploymentCreate(name="daily", flow_id=flow)).id
    made = store.call(
        create_flow_run, FlowRunCreate(flow_id=flow, deployment_id=deployment, name="calm-otter")
    )
    store.call(set_flow_run_state, made.id, SetState(state=StateCreate.of(Running())))
    return made.id


def pause(store, run):
    state = Paused(pause_key="1", state_details={"run_input_keyset": KEYS})
    body = {"flow_run_id": run, "attempt": None, "state": state.to_json(), "schema": SCHEMA}
    assert store.call(pause_flow_run, body)["status"] == "ACCEPT"


def test_resume_gives_the_input(runyard, store, run):
    pause(store, run)
    wrong = runyard("flow-run", "resume", "calm-otter", "--input", '{"count": "x"}', code=1)
    assert "input.count must be a whole number" in wrong.err
    assert runyard("flow-run", "inspect", "calm-otter", "-o", "json").json["state_type"] == "PAUSED"
    assert "Resumed flow run" in runyard("flow-run", "resume", "calm-otter", "--input", '{"count": 3}').out
    assert runyard("flow-run", "inspect", "calm-otter", "-o", "json").json["state_type"] == "RUNNING"


def test_only_a_paused_run_is_resumed(runyard, run):
    assert "Running, not paused" in runyard("flow-run", "resume", "calm-otter", code=1).err


def test_why_says_how_to_resume(runyard, store, run):
    pause(store, run)
    assert f"runyard flow-run resume {run} --input JSON" in runyard("flow-run", "why", "calm-otter").out


def test_a_run_is_suspended_and_scheduled_again(runyard, run):
    assert f"runyard flow-run resume {run}" in runyard("flow-run", "suspend", "calm-otter").out
    assert "RUNNING" in runyard("flow-run", "suspend", "calm-otter", "--timeout", 60, code=1).err
    runyard("flow-run", "resume", "calm-otter", "--entrypoint", "x.py:y", code=2)
    assert "scheduled again" in runyard("flow-run", "resume", "calm-otter").out
    assert runyard("flow-run", "inspect", "calm-otter", "-o", "json").json["state_name"] == "Resuming"
