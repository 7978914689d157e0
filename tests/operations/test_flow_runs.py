"""Flow runs: idempotent creation, states and their bookkeeping, references, deletion."""

import pytest
from runyard.base.errors import Conflict, InvalidInput, NotFound, StaleAttempt
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import flow_runs
from runyard.operations.flow_runs.flow_runs import FlowRunCreate, FlowRunUpdate, SetState
from runyard.operations.records import logs
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs import task_runs


@pytest.fixture
def flow(client):
    return client.call(known_flows.create_flow, body=known_flows.FlowCreate(name="etl"))


@pytest.fixture
def run(client, flow):
    return client.call(flow_runs.create_flow_run, body=FlowRunCreate(flow_id=flow.id, name="first-run"))


def propose(client, run, kind, force=False, attempt=None, **state):
    body = SetState(state=StateCreate(type=kind, **state), force=force, attempt=attempt)
    return client.call(flow_runs.set_flow_run_state, run.id, body=body)


def read(client, run):
    return client.call(flow_runs.read_flow_run, run.id)


def test_an_idempotency_key_makes_one_run(client, flow):
    body = FlowRunCreate(flow_id=flow.id, idempotency_key="k")
    assert client.call(flow_runs.create_flow_run, body=body).id == (
        client.call(flow_runs.create_flow_run, body=body).id
    )


def test_a_run_of_an_unknown_flow_is_refused(client):
    with pytest.raises(NotFound):
        client.call(flow_runs.create_flow_run, body=FlowRunCreate(flow_id="nowhere"))


def test_a_run_from_start_to_end(client, run):
    assert (run.state_type, run.run_count, run.start_time) == ("PENDING", 0, None)
    assert propose(client, run, "RUNNING").status == "ACCEPT"
    running = read(client, run)
    assert (running.run_count, running.attempt) == (1, 1)
    assert running.start_time is not None
    done = propose(client, run, "COMPLETED", data={"kept": 1})
    over = read(client, run)
    assert (over.state_type, over.end_time) == ("COMPLETED", done.state.timestamp)
    assert over.total_run_time.total_seconds() > 0
    states = client.call(flow_runs.read_flow_run_states, flow_run_id=run.id)
    assert [state.type for state in states] == ["PENDING", "RUNNING", "COMPLETED"]
    assert len({state.timestamp for state in states}) == 3
    assert propose(client, run, "RUNNING").status == "REJECT"
    assert propose(client, run, "CRASHED").status == "ABORT"


def test_a_report_of_a_lost_attempt_is_refused_unless_it_says_what_is_known(client, run):
    propose(client, run, "RUNNING")
    with pytest.raises(StaleAttempt):
        propose(client, run, "COMPLETED", attempt=7)
    assert propose(client, run, "COMPLETED", attempt=1).status == "ACCEPT"
    assert propose(client, run, "COMPLETED", attempt=1).status == "ACCEPT"
    with pytest.raises(StaleAttempt):
        propose(client, run, "FAILED", attempt=1)
    assert len(client.call(flow_runs.read_flow_run_states, flow_run_id=run.id)) == 3


def test_the_same_proposal_twice_is_applied_once(client, run):
    details = {"transition_id": "11111111-1111-7111-8111-111111111111"}
    assert propose(client, run, "RUNNING", state_details=details).status == "ACCEPT"
    assert propose(client, run, "RUNNING", state_details=details).status == "REJECT"
    assert read(client, run).run_count == 1


def test_retries_wait_within_the_process(client, flow):
    body = FlowRunCreate(flow_id=flow.id, empirical_policy={"retries": 1, "retry_delay": 60})
    run = client.call(flow_runs.create_flow_run, body=body)
    propose(client, run, "RUNNING")
    answer = propose(client, run, "FAILED", message="no")
    assert (answer.status, answer.state.name) == ("REJECT", "AwaitingRetry")
    waiting = propose(client, run, "RUNNING", attempt=1)
    assert waiting.status == "WAIT"
    assert 0 < waiting.details["delay_seconds"] <= 60


def test_cancelling_what_nobody_executes_cancels_it(client, run):
    assert propose(client, run, "CANCELLING").state.type == "CANCELLED"


def test_subflow_states_show_on_the_task_run_and_end_with_the_root(client, flow, run):
    propose(client, run, "RUNNING")
    stand_in = client.call(
        task_runs.create_task_run,
        body=task_runs.TaskRunCreate(task_key="sub", dynamic_key="0", flow_run_id=run.id),
    )
    body = FlowRunCreate(flow_id=flow.id, parent_task_run_id=stand_in.id)
    child = client.call(flow_runs.create_flow_run, body=body)
    assert child.root_flow_run_id == run.id
    propose(client, child, "RUNNING", attempt=1)
    shown = client.call(task_runs.read_task_run, stand_in.id)
    assert shown.state_type == "RUNNING"
    assert shown.state.state_details["child_flow_run_id"] == child.id
    propose(client, run, "CRASHED", message="lost")
    assert read(client, child).state_type == "CRASHED"
    assert client.call(task_runs.read_task_run, stand_in.id).state_type == "CRASHED"


def test_a_person_finds_a_run(client, flow, run):
    for reference in (run.id, run.id[:20], "first-run"):
        assert client.call(flow_runs.find_flow_run, reference=reference).id == run.id
    client.call(flow_runs.create_flow_run, body=FlowRunCreate(flow_id=flow.id, name="first-run"))
    with pytest.raises(Conflict, match="first-run"):
        client.call(flow_runs.find_flow_run, reference="first-run")
    with pytest.raises(NotFound):
        client.call(flow_runs.find_flow_run, reference="nobody")


def test_only_given_fields_change(client, run):
    client.call(flow_runs.update_flow_run, run.id, body=FlowRunUpdate(infrastructure_pid="42"))
    client.call(flow_runs.update_flow_run_labels, run.id, body={"a": 1})
    changed = read(client, run)
    assert (changed.name, changed.infrastructure_pid, changed.labels) == ("first-run", "42", {"a": 1})
    with pytest.raises(Conflict):
        client.call(flow_runs.update_flow_run, run.id, body=FlowRunUpdate(job_variables={"x": 1}))


def test_deleting_takes_all_that_is_the_runs(client, run):
    record = logs.LogCreate(name="n", level=20, message="m", timestamp=run.created, flow_run_id=run.id)
    client.call(logs.create_logs, body=[record])
    client.call(flow_runs.delete_flow_run, run.id)
    assert client.call(flow_runs.read_flow_run_states, flow_run_id=run.id) == []
    assert client.call(logs.filter_logs, body=logs.LogListing()) == []
    with pytest.raises(NotFound):
        client.call(flow_runs.delete_flow_run, run.id)


def test_a_run_cannot_begin_paused(client, flow):
    body = FlowRunCreate(flow_id=flow.id, state=StateCreate(type="PAUSED"))
    with pytest.raises(InvalidInput):
        client.call(flow_runs.create_flow_run, body=body)


def find(client, reference):
    return client.call(flow_runs.find_flow_run, reference=reference)


def test_what_a_reference_may_be_and_what_is_said_of_a_wrong_one(client, flow):
    with pytest.raises(NotFound, match=r"^no flow run exists yet$"):
        find(client, "-")
    made = [
        client.call(flow_runs.create_flow_run, FlowRunCreate(flow_id=flow.id, name=name))
        for name in ("calm-otter", "two", "two")
    ]
    assert find(client, "-").id == made[-1].id
    assert find(client, "calm-otter").id == find(client, made[0].id[:-1]).id == made[0].id
    with pytest.raises(NotFound, match=r"^flow run 'clam-otter' not found; did you mean 'calm-otter'\?$"):
        find(client, "clam-otter")
    with pytest.raises(NotFound, match=r"^flow run 'nothing' not found; see: runyard flow-run ls$"):
        find(client, "nothing")
    with pytest.raises(Conflict) as error:
        find(client, "two")
    assert str(error.value) == (
        f"2 flow runs are named 'two'; give the id of one, the newest first: {made[2].id}, {made[1].id}"
    )
    with pytest.raises(Conflict, match=rf"^the ids of 3 flow runs begin with '{made[0].id[:6]}'"):
        find(client, made[0].id[:6])


def test_the_last_run_is_not_a_subflow(client, flow):
    run = client.call(flow_runs.create_flow_run, FlowRunCreate(flow_id=flow.id, name="outer"))
    task = task_runs.TaskRunCreate(task_key="sub", dynamic_key="0", flow_run_id=run.id)
    caller = client.call(task_runs.create_task_run, task).id
    client.call(flow_runs.create_flow_run, FlowRunCreate(flow_id=flow.id, parent_task_run_id=caller))
    assert find(client, "-").name == "outer"
