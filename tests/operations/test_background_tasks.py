"""Background tasks: task runs that wait, are claimed once, renewed, given out again, and end."""

import pytest
from runyard.base import clock
from runyard.base.errors import NotFound, StaleAttempt
from runyard.domain.states import COMPLETED, RUNNING, Scheduled, State
from runyard.engine.run_objects import TaskRun
from runyard.operations.recovery.recover_flow_runs import RecoverRequest, recover
from runyard.operations.schemas import StateCreate
from runyard.operations.task_runs import background_tasks as operations
from runyard.operations.task_runs.task_runs import SetState, read_task_run, set_task_run_state

LEASE_SECONDS = 60.0


class Written:
    """Collects the rows that a journal would write."""

    def __init__(self):
        self.states = []

    def task_state(self, run, state):
        self.states.append(run.state_row(state))


def submit(client, *upstream, task="file:work"):
    run, rows = TaskRun("work", None, "work-1", "0"), Written()
    run.dynamic_key = run.id
    run.move(Scheduled(), rows)
    client.call(
        operations.submit_background_tasks,
        {
            "task_runs": [run.row(clock.now_us())],
            "task_run_states": rows.states,
            "tasks": [
                {
                    "task_run_id": run.id,
                    "created": run.created_us,
                    "task": task,
                    "payload": "payload",
                    "upstream": list(upstream),
                }
            ],
        },
    )
    return run


def claim(client, owner="one", limit=10, lease_seconds=LEASE_SECONDS, tasks=("file:work",)):
    body = {"tasks": list(tasks), "owner": owner, "limit": limit, "lease_seconds": lease_seconds}
    return client.call(operations.claim_background_tasks, body)


def report(client, claimed, state=None, **fields):
    rows = Written()
    run = TaskRun("work", None, claimed["task_key"], claimed["dynamic_key"])
    run.id, run.state = claimed["task_run_id"], None
    if state is not None:
        run.move(state, rows)
    body = {
        "task_run_id": claimed["task_run_id"],
        "attempt": claimed["attempt"],
        "journal": {
            "task_runs": [run.row(clock.now_us())] if state is not None else [],
            "task_run_states": rows.states,
        },
        **fields,
    }
    return client.call(operations.report_background_task, body)


def read(client, run):
    return client.call(operations.read_background_task, {"task_run_id": run.id})


def look(client, *tasks):
    return client.call(operations.look_for_background_tasks, {"tasks": list(tasks) or ["file:work"]})


def test_it_waits_scheduled_until_a_server_of_its_task_claims_it(client):
    run = submit(client)
    stored = client.call(read_task_run, run.id)
    assert stored.state_name == "Scheduled"
    assert stored.flow_run_id is None
    assert look(client, "file:other") == {"due": False, "seconds_to_expiry": None}
    assert claim(client, tasks=["file:other"]) == []
    assert look(client)["due"]
    (claimed,) = claim(client)
    assert claimed["task_run_id"] == run.id
    assert (claimed["attempt"], claimed["payload"], claimed["task"]) == (1, "payload", "file:work")
    assert client.call(read_task_run, run.id).state_name == "Pending"


def test_nobody_gets_what_another_one_holds(client):
    submit(client)
    assert len(claim(client, "one")) == 1
    assert claim(client, "two") == []
    found = look(client)
    assert not found["due"]
    assert found["seconds_to_expiry"] > 0


def test_the_oldest_come_first_and_no_more_than_asked_for(client):
    runs = [submit(client).id for _ in range(5)]
    assert [each["task_run_id"] for each in claim(client, limit=3)] == runs[:3]
    assert [each["task_run_id"] for each in claim(client, limit=3)] == runs[3:]


def test_an_expired_lease_gives_it_to_the_next_and_refuses_the_first(client):
    run = submit(client)
    (lost,) = claim(client, "one", lease_seconds=0.000001)
    report(client, lost, State(RUNNING))
    (again,) = claim(client, "two")
    assert (again["attempt"], again["run_count"]) == (2, 0)
    assert "lost" in client.call(read_task_run, run.id).state.message
    with pytest.raises(StaleAttempt):
        report(client, lost, State(COMPLETED), outcome="first")
    report(client, again, State(COMPLETED), outcome="second")
    answer = read(client, run)
    assert (answer["state"]["type"], answer["outcome"], answer["done"]) == ("COMPLETED", "second", True)


def test_renewing_keeps_it_and_tells_what_was_lost(client):
    submit(client)
    (claimed,) = claim(client, lease_seconds=0.000001)
    held = [claimed["task_run_id"], claimed["attempt"]]
    body = {"held": [held], "lease_seconds": LEASE_SECONDS}
    assert client.call(operations.renew_background_tasks, body) == {"lost": []}
    assert claim(client, "two") == []
    body = {"held": [[held[0], 7]], "lease_seconds": LEASE_SECONDS}
    assert client.call(operations.renew_background_tasks, body) == {"lost": [held[0]]}


def test_what_is_given_back_is_there_at_once(client):
    submit(client)
    (claimed,) = claim(client)
    body = {"held": [[claimed["task_run_id"], claimed["attempt"]]], "lease_seconds": 0}
    client.call(operations.renew_background_tasks, body)
    assert [each["attempt"] for each in claim(client, "two")] == [2]


def test_recovery_shows_a_lost_one_as_waiting(client):
    run = submit(client)
    (claimed,) = claim(client, lease_seconds=0.000001)
    report(client, claimed, State(RUNNING))
    client.call(recover, RecoverRequest())
    stored = client.call(read_task_run, run.id)
    assert (stored.state_name, stored.run_count) == ("Scheduled", 0)
    (again,) = claim(client, "two")
    assert (again["attempt"], again["run_count"]) == (2, 0)


def test_one_that_loses_every_server_crashes(client):
    run = submit(client)
    for _ in range(operations.MOST_LOSSES):
        assert len(claim(client, lease_seconds=0.000001)) == 1
    assert claim(client) == []
    answer = read(client, run)
    assert (answer["state"]["type"], answer["done"]) == ("CRASHED", True)
    assert not look(client)["due"]


def test_one_that_was_cancelled_is_never_given_out(client):
    run = submit(client)
    state = SetState(state=StateCreate(type="CANCELLED"), force=True)
    client.call(set_task_run_state, run.id, state)
    assert claim(client) == []
    assert read(client, run)["done"]
    assert not look(client)["due"]


def test_one_waits_for_the_end_of_those_it_needs(client):
    first = submit(client)
    second = submit(client, first.id)
    (claimed,) = claim(client)
    assert claimed["task_run_id"] == first.id
    assert not look(client)["due"]
    report(client, claimed, State(COMPLETED), outcome="one")
    assert [each["task_run_id"] for each in claim(client)] == [second.id]


def test_submitting_twice_is_submitting_once(client):
    run = submit(client)
    body = {
        "task_runs": [],
        "task_run_states": [],
        "tasks": [{"task_run_id": run.id, "created": 1, "task": "file:work", "payload": "other"}],
    }
    client.call(operations.submit_background_tasks, body)
    assert [each["payload"] for each in claim(client)] == ["payload"]


def test_an_unknown_run_is_not_found(client):
    with pytest.raises(NotFound):
        client.call(operations.read_background_task, {"task_run_id": "00000000-0000-0000-0000-000000000000"})
    with pytest.raises(NotFound):
        report(client, {"task_run_id": "gone", "attempt": 1, "task_key": "k", "dynamic_key": "d"})
