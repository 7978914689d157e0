"""Which runs hold the slots of a limit, and which wait for them; `why` tells it of a running run."""

from __future__ import annotations

import pytest
from runyard.base.errors import NotFound
from runyard.domain.states import Completed, Crashed, Running
from runyard.operations.deployments import known_flows
from runyard.operations.flow_runs import explain, flow_runs
from runyard.operations.limits import concurrency_limits as limits
from runyard.operations.limits import limit_slots, slot_holders, slot_waits
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs import task_runs


@pytest.fixture
def run(client):
    """Create running flow runs by name."""
    flow = client.call(known_flows.create_flow, known_flows.FlowCreate(name="etl"))

    def make(name):
        body = flow_runs.FlowRunCreate(flow_id=flow.id, name=name, state=StateCreate.of(Running()))
        return client.call(flow_runs.create_flow_run, body)

    return make


def limit(client, name, slots=1):
    client.call(limits.create_concurrency_limit, limits.ConcurrencyLimitCreate(name=name, limit=slots))


def take(client, name, run, kind="flow_run", its=None):
    body = {"names": [name], "holder": {"type": kind, "id": (its or run).id}, "run_id": run.id}
    return client.call(limit_slots.increment_slots_with_lease, body)["lease_id"]


def wait(client, name, run, kind="flow_run", its=None, lease_id="l1"):
    body = {
        "names": [name, "unknown"], "slots": 2, "lease_id": lease_id, "run_id": run.id,
        "holder": {"type": kind, "id": (its or run).id},
    }  # fmt: skip
    client.call(slot_waits.note_slot_wait, body)


def uses(client, name="warehouse"):
    return client.call(slot_holders.read_limit_holders, name)


def why(client, run):
    told = client.call(explain.explain_flow_run, run.id)
    return told, {reason.code: reason for reason in told.reasons}


def test_holders_and_waiting_requests_of_a_limit(client, run):
    limit(client, "warehouse")
    holder, waiter = run("calm-otter"), run("keen-heron")
    lease = take(client, "warehouse", holder)
    for _ in range(2):
        wait(client, "warehouse", waiter)
    told = uses(client)
    (held,), (waiting,) = told.holders, told.waiting
    assert (held.name, held.flow_run_id, held.slots, held.type) == ("calm-otter", holder.id, 1, "flow_run")
    assert (waiting.name, waiting.flow_run_id, waiting.slots) == ("keen-heron", waiter.id, 2)
    assert client.call(limits.read_concurrency_limit, "warehouse").active_slots == 1
    client.call(limit_slots.decrement_slots_with_lease, {"lease_id": lease})
    client.call(limit_slots.decrement_slots_with_lease, {"lease_id": "wait:l1"})
    assert uses(client) == slot_holders.LimitUses()
    with pytest.raises(NotFound):
        uses(client, "nosuch")


def test_a_wait_ends_with_its_run(client, run):
    limit(client, "warehouse")
    for number, end in enumerate((Crashed(), Completed())):
        waiter = run(f"r{number}")
        wait(client, "warehouse", waiter, lease_id=f"l{number}")
        assert len(uses(client).waiting) == 1
        body = flow_runs.SetState(state=StateCreate.of(end), force=True)
        client.call(flow_runs.set_flow_run_state, waiter.id, body)
        assert uses(client).waiting == []


def test_why_names_the_limit_and_its_holders(client, run):
    limit(client, "warehouse")
    holder, waiter = run("calm-otter"), run("keen-heron")
    task = client.call(
        task_runs.create_task_run,
        task_runs.TaskRunCreate(task_key="load", dynamic_key="0", name="load-0", flow_run_id=holder.id),
    )
    take(client, "warehouse", holder, "task_run", task)
    wait(client, "warehouse", waiter)
    told, reasons = why(client, waiter)
    assert told.summary.startswith("Flow run 'keen-heron' waits for 2 slots of 'warehouse', for ")
    assert reasons["slot"].text.endswith(f"; held by load-0 of calm-otter ({holder.id}).")
    assert reasons["slot"].command == "runyard global-concurrency-limit inspect warehouse"
    assert "slot" not in why(client, holder)[1]


def test_why_names_the_task_that_waits_for_the_limit_of_its_tag(client, run):
    limit(client, "tag:api")
    waiter = run("keen-heron")
    body = task_runs.TaskRunCreate(task_key="load", dynamic_key="0", name="load-0", flow_run_id=waiter.id)
    task = client.call(task_runs.create_task_run, body)
    wait(client, "tag:api", waiter, "task_run", task)
    told, reasons = why(client, waiter)
    assert "is running" in told.summary
    assert reasons["slot"].text.startswith(
        "Task run 'load-0' waits for 2 slots of the limit of the tag 'api'"
    )
    assert reasons["slot"].text.endswith("held by nothing that is known.")
    assert reasons["slot"].command == "runyard concurrency-limit inspect api"
