"""How often a run is executed: its retries and crash retries, whatever is killed when."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from runyard.base import ids
from runyard.base.errors import StaleAttempt
from runyard.client import LocalClient
from runyard.domain.states import Completed, Failed, Running, State
from runyard.operations.deployments import deployments
from runyard.operations.flow_runs import (
    claim_flow_runs,
    crash_flow_run,
    end_flow_run,
    flow_runs,
    report_exit,
    start_flow_run,
)
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.recovery import recover_flow_runs
from runyard.operations.schemas import StateCreate
from runyard.operations.work_pools import work_pools
from runyard.store.database import Database


class Field:
    """A deployment in a database of its own, and what happens to its one run."""

    def __init__(self, client, retries, crash_retries):
        self.client = client
        self.retries = retries
        client.call(work_pools.create_work_pool, work_pools.WorkPoolCreate(name="pool", type="process"))
        item = {"flow_name": "f", "name": "d", "work_pool_name": "pool", "crash_retries": crash_retries}
        body = deployments.DeploymentsApply.model_validate({"owner": "test", "deployments": [item]})
        its = client.call(deployments.apply_deployments, body)[0].deployment
        made = deployments.DeploymentFlowRunCreate()
        self.run_id = client.call(create_flow_run_from_deployment, its.id, made).id
        self.attempt = None
        self.executions = []

    @property
    def run(self):
        return self.client.call(flow_runs.read_flow_run, self.run_id)

    def claim(self):
        body = claim_flow_runs.ClaimRequest(worker_name="w", lease_seconds=60)
        for claimed in self.client.call(claim_flow_runs.claim_flow_runs, "pool", body):
            self.attempt = claimed.attempt

    def start(self):
        body = {
            "flow_run_id": self.run_id, "attempt": self.attempt, "flow_name": "f", "flow_version": None,
            "name": None, "parameters": "{}", "tags": [], "start_id": ids.new_id(),
            "empirical_policy": f'{{"retries": {self.retries}, "retry_delay": 0}}',
        }  # fmt: skip
        if self.attempt is None or self.run.state_type != "PENDING":
            return
        if self.client.call(start_flow_run.start_flow_run, body)["status"] == "ACCEPT":
            self.executions.append(self.attempt)
        # Its answer was lost: what is sent again changes nothing, and another process is refused.
        before = self.run.run_count
        assert self.client.call(start_flow_run.start_flow_run, body)["status"] == "ACCEPT"
        assert self.run.run_count == before
        with pytest.raises(StaleAttempt):
            self.client.call(start_flow_run.start_flow_run, {**body, "start_id": ids.new_id()})

    def report(self, state):
        if self.attempt is None:
            return None
        body = {"flow_run_id": self.run_id, "attempt": self.attempt, "state": state.to_json()}
        try:
            answer = self.client.call(end_flow_run.report_state, body)
            again = self.client.call(end_flow_run.report_state, body)
        except StaleAttempt:
            return None
        assert (again["state"]["type"], again["run_count"]) == (answer["state"]["type"], answer["run_count"])
        return answer

    def fail(self):
        if self.run.state_type == "RUNNING":
            self.report(Failed())

    def retry(self):
        state = self.run.state
        if state.type == "SCHEDULED" and state.state_details.get("in_process"):
            answer = self.report(State("RUNNING", state_details={"waited": True}))
            if answer is not None and answer["status"] == "ACCEPT":
                self.executions.append(self.attempt)

    def complete(self):
        if self.run.state_type == "RUNNING":
            self.report(Completed())

    def kill_worker(self):
        self.client.call(recover_flow_runs.recover, recover_flow_runs.RecoverRequest(now=_later()))

    def kill_run(self):
        self._exit(lost=False)

    def kill_launcher(self):
        self._exit(lost=True)

    def _exit(self, lost):
        if self.attempt is not None:
            body = report_exit.ExitReport(
                flow_run_id=self.run_id, attempt=self.attempt, exit_code=-9, lost=lost
            )
            self.client.call(report_exit.report_exit, body)


def _later():
    from datetime import timedelta

    from runyard.base import clock

    return clock.now() + timedelta(hours=1)


STEPS = ("claim", "start", "fail", "retry", "complete", "kill_worker", "kill_run", "kill_launcher")


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    retries=some.integers(0, 2),
    crash_retries=some.integers(0, 2),
    steps=some.lists(some.sampled_from(STEPS), max_size=25),
)
def test_a_run_is_executed_as_often_as_its_budgets_say(tmp_path, home, retries, crash_retries, steps):
    client = LocalClient(Database(f"sqlite:///{tmp_path}/{ids.new_id()}.db"))
    field = Field(client, retries, crash_retries)
    never_began = 0
    for step in steps:
        before = field.run
        getattr(field, step)()
        after = field.run
        lost = step in ("kill_worker", "kill_launcher") and before.state_type == "PENDING"
        never_began += lost
        if lost:
            assert (after.state_name, after.crash_count) == ("AwaitingRetry", before.crash_count)
    run = field.run
    assert run.run_count == len(field.executions)
    assert len(field.executions) <= retries + 1 + min(run.crash_count, crash_retries)
    assert run.crash_count <= crash_retries + 1
    # Each is a new attempt, or a retry within one.
    used = len(field.executions) - len(set(field.executions))
    assert used <= retries
    if run.state_type == "FAILED":
        assert used == retries, "a failure ends a run only when its retries are used up"
    if run.state_type == "CRASHED":
        assert run.crash_count == crash_retries + 1
    client.close()


def test_an_attempt_that_never_began_is_not_given_out_for_ever(home):
    field = Field(LocalClient(), 0, 0)
    losses = 0
    while field.run.state_type == "SCHEDULED":
        field.claim()
        field.kill_worker()
        losses += 1
        assert losses <= 100
    assert losses == crash_flow_run.MOST_UNBEGUN + 1
    assert "before it started" in field.run.state.message


def test_attempts_that_began_in_between_begin_the_count_anew(home):
    field = Field(LocalClient(), 0, 50)
    for _ in range(3):
        for _ in range(crash_flow_run.MOST_UNBEGUN):
            field.claim()
            field.kill_worker()
        field.claim()
        field.start()
        field.kill_run()
    assert field.run.state_name == "AwaitingRetry"


def test_a_run_that_crashes_while_it_is_loaded_keeps_its_retries(home):
    field = Field(LocalClient(), 1, 1)
    field.claim()
    field.kill_run()
    field.claim()
    field.start()
    field.fail()
    assert field.run.state_name == "AwaitingRetry"
    field.retry()
    field.fail()
    run = field.run
    assert (run.state_type, run.run_count, run.crash_count) == ("FAILED", 2, 1)


def test_a_crash_while_a_retry_waits_does_not_use_it_up(home):
    field = Field(LocalClient(), 1, 1)
    for step in ("claim", "start", "fail", "kill_run", "claim", "start", "fail", "retry", "complete"):
        getattr(field, step)()
    assert (field.run.state_type, field.executions) == ("COMPLETED", [1, 2, 2])


def test_a_proposal_of_the_api_counts_like_one_of_the_engine(home):
    field = Field(LocalClient(), 1, 0)
    field.claim()
    field.start()

    def propose(state):
        body = flow_runs.SetState(state=StateCreate.of(state), attempt=field.attempt)
        return field.client.call(flow_runs.set_flow_run_state, field.run_id, body)

    assert propose(Failed()).state.name == "AwaitingRetry"
    assert propose(Running()).status == "ACCEPT"
    assert propose(Failed()).state.type == "FAILED"
