"""What a flow returns decides its final state: futures, states, exceptions, lists of them."""

from __future__ import annotations

import asyncio
import json
import pickle
from datetime import UTC, datetime

import pytest
from runyard import flow, task
from runyard.base.errors import RunCancelled, RunFailed
from runyard.base.exceptions import UpstreamTaskError
from runyard.base.markers import quote
from runyard.domain.states import (
    Cancelled,
    Completed,
    Crashed,
    Failed,
    Running,
    Scheduled,
    State,
    StateType,
)


@task
def fine(x=1):
    return x


@task
def broken(x=1):
    raise ValueError("broken")


@flow
def fine_flow():
    return 1


@flow
def broken_flow():
    raise ValueError("broken flow")


FINE, ONE_OF_TWO = "All states completed.", "1/2 states failed."
CASES = {
    "nothing, with a failed future": (lambda: broken.submit() and None, "COMPLETED", None),
    "nothing, with a failed state": (lambda: broken(return_state=True) and None, "COMPLETED", None),
    "a value, with a failed future": (lambda: (broken.submit(), 5)[1], "COMPLETED", None),
    "a future": (lambda: fine.submit(), "COMPLETED", FINE),
    "a failed future": (lambda: broken.submit(), "FAILED", "1/1 states failed."),
    "a state": (lambda: fine(return_state=True), "COMPLETED", FINE),
    "a failed state": (lambda: broken(return_state=True), "FAILED", "1/1 states failed."),
    "a failed subflow's state": (lambda: broken_flow(return_state=True), "FAILED", "1/1 states failed."),
    "a list of futures": (lambda: [fine.submit(), broken.submit()], "FAILED", ONE_OF_TWO),
    "mapped futures": (lambda: fine.map([1, 2]), "COMPLETED", FINE),
    "a tuple of states": (
        lambda: (fine(return_state=True), broken(return_state=True)), "FAILED", ONE_OF_TWO,
    ),
    "a set of states": (lambda: {fine(return_state=True), broken(return_state=True)}, "FAILED", ONE_OF_TWO),
    "states of subflows": (
        lambda: [fine_flow(return_state=True), broken_flow(return_state=True)], "FAILED", ONE_OF_TWO,
    ),
    "states among values": (lambda: [broken(return_state=True), 3], "COMPLETED", None),
    "a dict of states": (lambda: {"a": broken(return_state=True)}, "COMPLETED", None),
    "nested lists": (lambda: [[broken.submit()], fine.submit()], "COMPLETED", None),
    "an empty list": (lambda: [], "COMPLETED", None),
    "an exception": (lambda: ValueError("returned"), "COMPLETED", None),
    "a state made by hand": (lambda: Completed(message="by hand", data=7), "COMPLETED", "by hand"),
    "a failed one made by hand": (lambda: Failed(message="no"), "FAILED", "no"),
    "a cancelled one made by hand": (lambda: Cancelled(message="stop"), "CANCELLED", "stop"),
    "a crashed one made by hand": (lambda: Crashed(message="lost"), "CRASHED", "lost"),
    "one cancelled": (lambda: [Completed(), Cancelled(), Failed()], "CANCELLED", "1/3 states cancelled."),
    "one crashed": (lambda: [Completed(), Crashed()], "FAILED", ONE_OF_TWO),
    "one that is not over": (lambda: [Completed(), Running()], "FAILED", "1/2 states are not final."),
    "a future that could not run": (
        lambda: fine.submit(broken.submit()), "FAILED", "1/1 states are not final.",
    ),
    "a quoted state": (lambda: quote(broken(return_state=True)), "COMPLETED", None),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_the_final_state(recorded, name, kind):
    returned, expected, message = CASES[name]
    if kind == "sync":
        state = flow(returned, name="it")(return_state=True)
    else:

        @flow(name="it")
        async def outer():
            return returned()

        state = asyncio.run(outer(return_state=True))
    assert (state.type, state.message) == (expected, message)
    run = recorded.flow_runs("it")[0]
    assert run["state_type"] == expected


def test_what_the_caller_gets(recorded):
    @flow
    def future():
        return fine.submit(3)

    @flow
    def futures():
        return fine.map([1, 2])

    @flow
    def by_hand():
        return Completed(data=7)

    @flow
    def nothing_by_hand():
        return Completed(name="Skipped")

    assert isinstance(future(), State)
    assert future().result() == 3
    assert fine(future()) == 3
    assert [state.result() for state in futures()] == [1, 2]
    assert by_hand() == 7
    assert nothing_by_hand() is None
    assert nothing_by_hand(return_state=True).name == "Skipped"


def test_what_the_caller_of_a_failure_gets(recorded):
    @flow
    def single():
        return broken.submit()

    @flow
    def several():
        return [fine.submit(), broken.submit()]

    @flow
    def by_hand():
        return Failed(message="no")

    @flow
    def cancelled():
        return [Completed(), Cancelled(message="stop")]

    @flow
    def not_ready():
        return fine.submit(broken.submit())

    for failing in (single, several):
        with pytest.raises(ValueError, match="broken"):
            failing()
    states = several(return_state=True).result(raise_on_failure=False)
    assert [state.type for state in states] == ["COMPLETED", "FAILED"]
    with pytest.raises(RunFailed, match="no"):
        by_hand()
    with pytest.raises(RunCancelled, match="stop"):
        cancelled()
    with pytest.raises(UpstreamTaskError):
        not_ready()


def test_what_tasks_return(recorded):
    @task
    def done():
        return Completed(message="by hand", data=5)

    @task
    def failed():
        return Failed(message="no", data=KeyError("why"))

    @task
    def returns_an_exception():
        return ValueError("returned")

    @task
    def submits():
        return [fine.submit(1), {"a": fine.submit(2)}]

    @flow
    def calls():
        assert done() == 5
        assert done(return_state=True).message == "by hand"
        with pytest.raises(KeyError):
            failed()
        assert isinstance(returns_an_exception(), ValueError)
        first, second = submits()
        return first.result(), second["a"].result()

    assert calls() == (1, 2)
    names = {run["name"]: run["state_name"] for run in recorded.task_runs()}
    assert names["failed-0"] == "Failed"


def test_a_failed_state_returned_by_a_task_is_retried(recorded):
    tries = []

    @task(retries=2)
    def again():
        tries.append(1)
        return Failed(message="no") if len(tries) < 3 else "done"

    @flow
    def calls():
        return again()

    assert calls() == "done"
    assert len(tries) == 3


def test_a_failed_state_returned_by_a_flow_is_retried(recorded):
    tries = []

    @flow(retries=2)
    def again():
        tries.append(1)
        return [Failed(message="no")] if len(tries) < 3 else "done"

    assert again() == "done"
    assert len(tries) == 3


def test_a_state_as_prefects_users_ask_it(recorded):
    @flow
    def works():
        return 1

    state = works(return_state=True)
    assert (state.type, state.type.value, state.type.name) == ("COMPLETED",) * 3
    assert state.type is StateType.COMPLETED
    assert {state.type: 1}["COMPLETED"] == 1
    assert (state.state_details.flow_run_id, state.state_details.cache_key) == (
        recorded.flow_runs()[0]["id"],
        None,
    )
    with pytest.raises(AttributeError, match="unknown state detail 'nonsense'"):
        _ = state.state_details.nonsense
    copy = state.model_copy(update={"name": "Fine", "message": "copied"})
    assert (copy.name, copy.message, copy.result(), copy.timestamp) == ("Fine", "copied", 1, state.timestamp)
    assert state.name == "Completed"
    assert state.model_dump()["timestamp"] == state.timestamp
    assert json.loads(state.model_dump_json()) == state.to_json()


def test_moments_among_the_details_are_datetimes():
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    for state in (Scheduled(moment), pickle.loads(pickle.dumps(Scheduled(moment)))):
        assert state.state_details.scheduled_time == moment
        assert state.state_details["scheduled_time"] == "2026-01-02T00:00:00.000000Z"
