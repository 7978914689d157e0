"""Pausing as flows do it: in their process, across processes, when killed, with typed input."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest
from _yard import LEASE_SECONDS, a_yard, is_gone, until
from pydantic import BaseModel
from runyard import flow, task
from runyard.base.errors import RunAborted
from runyard.base.exceptions import (
    FlowPauseTimeout,
    FlowRunWaitTimeout,
    NotFound,
    NotPausedError,
)
from runyard.client import LocalClient
from runyard.domain.states import Cancelled, Cancelling
from runyard.engine.runtime import flow_run
from runyard.operations.flow_runs.flow_runs import (
    SetState,
    filter_flow_runs,
    read_flow_run,
    set_flow_run_state,
)
from runyard.operations.schemas import Listing, StateCreate
from runyard.sdk.input import RunInput, receive_input, send_input
from runyard.sdk.pausing import (
    aresume_flow_run,
    pause_flow_run,
    resume_flow_run,
    suspend_flow_run,
    wait_for_flow_run,
)

# Every step notes that it ran; then the run asks, twice, whether it may go on.
FLOWS = """
import os, time
from runyard import flow, task
from runyard.input import RunInput
from runyard.pausing import pause_flow_run, suspend_flow_run

class Approval(RunInput):
    approved: bool
    by: str = "nobody"

def note(text):
    with open("notes", "a") as file:
        file.write(f"{text} {os.environ.get('RUNYARD__ATTEMPT', 0)} {os.getpid()}\\n")

@task
def step(name):
    note(name)
    return name

@flow(name="work", persist_result=True)
def suspends():
    note("start")
    values = [step("one"), step.submit("two").result()]
    approval = suspend_flow_run(wait_for_input=Approval)
    values += [step("three"), approval.by]
    suspend_flow_run()
    note("end")
    return values

@flow(name="work", persist_result=True)
def pauses():
    note("start")
    step("one")
    pause_flow_run(key="first")
    step("two")
    note("paused")
    pause_flow_run(key="second")
    note("end")

@flow(name="work", persist_result=True)
def waits():
    note("start")
    step("one")
    while not os.path.exists("release"):
        time.sleep(0.01)
    note("end")

if __name__ == "__main__":
    suspends()
"""


class Approval(RunInput):
    approved: bool
    by: str = "nobody"


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "flows.py").write_text(FLOWS)
        yield yard


def paused(client, run_id, name="Paused"):
    """The state of a run, once it is paused."""

    def state():
        try:
            found = client.call(read_flow_run, run_id).state
        except NotFound:
            return None  # a subflow that is not written yet
        return found if found is not None and found.name == name else None

    return until(state, f"the state {name}")


def meanwhile(action):
    """Does something to this flow run, in another thread, as soon as it is paused."""
    run_id = flow_run.id

    def act():
        client = LocalClient()
        paused(client, run_id)
        action(client, run_id)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    return thread


def resuming(run_input=None):
    return meanwhile(lambda _client, run_id: resume_flow_run(run_id, run_input, _sync=True))


def test_a_pause_ends_by_the_resume(recorded):
    @flow
    def asks():
        thread = resuming()
        pause_flow_run(timeout=60)
        thread.join()
        return "went on"

    assert asks() == "went on"
    (run,) = recorded.flow_runs()
    assert run["run_count"] == 1


def test_an_async_pause_leaves_the_loop_free(recorded):
    @flow
    async def asks():
        run_id = flow_run.id
        pausing = asyncio.create_task(_paused_for(5))
        await asyncio.to_thread(paused, LocalClient(), run_id)
        await aresume_flow_run(run_id, {"value": 5})
        return await pausing

    async def _paused_for(_number):
        return await pause_flow_run(wait_for_input=int)

    assert asyncio.run(asks()) == 5


@pytest.mark.parametrize(
    ("wanted", "given", "answer"),
    [
        (Approval, {"approved": True}, Approval(approved=True)),
        (
            Approval.with_initial_data("Well?", by="me"),
            {"approved": False},
            Approval(approved=False, by="me"),
        ),
        (str, {"value": "yes"}, "yes"),
        (list[int], {"value": [1, 2]}, [1, 2]),
    ],
)
def test_a_pause_returns_what_it_asked_for(recorded, wanted, given, answer):
    @flow
    def asks():
        resuming(given)
        return pause_flow_run(wait_for_input=wanted, timeout=60)

    result = asks()
    assert (result.model_dump() if isinstance(result, BaseModel) else result) == (
        answer.model_dump() if isinstance(answer, BaseModel) else answer
    )


def test_a_wrong_answer_is_refused_and_asked_again(recorded):
    refusals = []

    def answer(client, run_id):
        with pytest.raises(RuntimeError, match=r"input\.approved must be true or false") as refused:
            resume_flow_run(run_id, {"approved": "perhaps"}, _sync=True)
        refusals.append(str(refused.value))
        assert client.call(read_flow_run, run_id).state_type == "PAUSED"
        resume_flow_run(run_id, {"approved": True}, _sync=True)

    @flow
    def asks():
        meanwhile(answer)
        return pause_flow_run(wait_for_input=Approval, timeout=60).approved

    assert asks() is True
    assert len(refusals) == 1


def test_a_pause_that_nobody_ends_fails_the_run(recorded):
    @flow
    def asks():
        pause_flow_run(timeout=0.05)

    with pytest.raises(FlowPauseTimeout, match="never resumed"):
        asks()
    assert asks(return_state=True).is_failed()


def test_a_failed_pause_may_be_retried(recorded):
    tries = []

    @flow(retries=1)
    def asks():
        tries.append(flow_run.id)
        if len(tries) == 2:
            resuming()
        pause_flow_run(timeout=0.05 if len(tries) == 1 else 60)
        return len(tries)

    assert asks() == 2


def test_a_subflow_pauses_alone(recorded):
    @flow
    def child():
        resuming()
        pause_flow_run(timeout=60)
        return 1

    @flow
    def parent():
        return child() + 1

    assert parent() == 2
    assert {run["state_name"] for run in recorded.flow_runs()} == {"Completed"}


def test_a_paused_run_that_is_ended_by_hand_does_not_go_on(recorded):
    def end(client, run_id):
        client.call(set_flow_run_state, run_id, SetState(state=StateCreate.of(Cancelled())))

    @flow
    def asks():
        meanwhile(end)
        pause_flow_run(timeout=60)
        pytest.fail("it went on")

    with pytest.raises(RunAborted, match="Cancelled"):
        asks()


def test_where_pauses_make_no_sense(recorded):
    with pytest.raises(RuntimeError, match="within a flow run"):
        pause_flow_run()
    with pytest.raises(RuntimeError, match="within a flow run"):
        suspend_flow_run()
    with pytest.raises(NotFound):
        resume_flow_run("00000000-0000-0000-0000-000000000000")

    @task
    def suspends():
        suspend_flow_run()

    @flow
    def child():
        suspend_flow_run()

    @flow
    def parent(what):
        (child if what == "child" else suspends)()

    with pytest.raises(RuntimeError, match="subflow"):
        parent("child")
    with pytest.raises(RuntimeError, match="Cannot suspend task runs"):
        parent("task")
    done = recorded.flow_runs()[0]["id"]
    with pytest.raises(NotPausedError, match="not paused"):
        resume_flow_run(done)


def test_waiting_for_a_run(recorded):
    @flow
    def quick():
        return flow_run.id

    run_id = quick()
    assert wait_for_flow_run(run_id, timeout=10).state_type == "COMPLETED"

    @flow
    def slow():
        with pytest.raises(FlowRunWaitTimeout, match="exceeded"):
            wait_for_flow_run(flow_run.id, timeout=0.01)

    slow()


def test_runs_send_each_other_values(recorded):
    class Greeting(RunInput):
        text: str

    @flow
    def host():
        send_input(1, flow_run.id)
        send_input(2, flow_run.id)
        Greeting(text="hello").send_to(flow_run.id)
        numbers = list(receive_input(int, timeout=0))
        (greeting,) = list(Greeting.receive(timeout=0))
        greeting.respond(Greeting(text=f"{greeting.text} back"), key_prefix="answers")
        (answer,) = Greeting.receive(timeout=0, key_prefix="answers")
        with pytest.raises(TimeoutError):
            next(receive_input(str, timeout=0, raise_timeout_error=True))
        return numbers, answer.text, greeting.metadata.sender == f"prefect.flow-run.{flow_run.id}"

    assert host() == ([1, 2], "hello back", True)


def test_who_waits_for_a_value_is_woken_by_it(recorded):
    @flow
    async def host():
        run_id = flow_run.id
        sending = asyncio.get_running_loop().run_in_executor(
            None, lambda: send_input({"n": 1}, run_id, _sync=True)
        )
        async for value in receive_input(dict, timeout=60, with_metadata=True):
            await sending
            return value.value
        return None

    assert asyncio.run(host()) == {"n": 1}


def test_a_suspended_run_goes_on_in_another_process_without_repeating_itself(yard):
    yard.worker()
    run = yard.run(entrypoint="flows.py:suspends")
    paused(yard.client, run, "Suspended")
    until(lambda: not yard.leases(), "the end of the lease")
    until(lambda: is_gone(yard.notes("start")[0][1]), "the end of the process")
    resume_flow_run(run, {"approved": True, "by": "me"})
    until(lambda: yard.notes("three"), "the third step")
    paused(yard.client, run, "Suspended")
    resume_flow_run(run)
    yard.ended(run, "COMPLETED")
    assert [len(yard.notes(name)) for name in ("start", "one", "two", "three", "end")] == [3, 1, 1, 1, 1]
    assert len({pid for _, pid in yard.notes("start")}) == 3
    final = yard.client.call(read_flow_run, run)
    assert (final.run_count, final.attempt) == (1, 3)


def test_a_run_killed_while_it_is_paused_asks_again_only_what_was_not_answered(yard):
    yard.worker()
    run = yard.run(crash_retries=1, entrypoint="flows.py:pauses")
    paused(yard.client, run)
    resume_flow_run(run)
    until(lambda: yard.notes("paused"), "the second pause")
    paused(yard.client, run)
    os.kill(yard.notes("paused")[0][1], signal.SIGKILL)
    until(lambda: len(yard.notes("paused")) == 2, "the second attempt")
    paused(yard.client, run)
    assert not yard.notes("end")
    resume_flow_run(run)
    yard.ended(run, "COMPLETED")
    assert [len(yard.notes(name)) for name in ("start", "one", "two", "end")] == [2, 1, 1, 1]


def test_a_paused_run_keeps_its_lease_and_is_cancelled(yard):
    yard.worker()
    run = yard.run(entrypoint="flows.py:pauses")
    paused(yard.client, run)
    (before,) = yard.leases()
    until(lambda: yard.leases()[0]["expires"] > before["expires"], "a renewal")
    assert yard.leases()[0]["expires"] - before["expires"] <= 2 * LEASE_SECONDS * 1e6
    yard.client.call(set_flow_run_state, run, SetState(state=StateCreate.of(Cancelling())))
    yard.ended(run, "CANCELLED")
    assert not yard.notes("two")


def test_a_script_that_suspends_says_how_it_goes_on(yard):
    def start(*arguments):
        return subprocess.run(
            [sys.executable, *arguments], cwd=yard.folder, capture_output=True, text=True, check=False
        )

    done = start("flows.py")
    assert done.returncode == 0, done.stderr
    (run,) = yard.client.call(filter_flow_runs, Listing())
    assert done.stderr.splitlines()[-1].endswith(
        f"runyard flow-run resume {run.id} --entrypoint FILE.py:FLOW"
    )
    resume = ("-m", "runyard_cli.main", "flow-run", "resume", run.id)
    assert "--entrypoint" in start(*resume).stderr
    code = (*resume, "--entrypoint", "flows.py:suspends")
    refused = start(*code, "--input", "{}")
    assert refused.returncode == 1
    assert "input.approved is required" in refused.stderr
    again = start(*code, "--input", '{"approved": true}')
    assert again.returncode == 0, again.stderr
    assert "suspended again" in again.stdout + again.stderr
    assert start(*code).returncode == 0
    assert yard.state(run.id).type == "COMPLETED"
    assert [len(yard.notes(name)) for name in ("start", "one", "three", "end")] == [3, 1, 1, 1]


def test_a_run_is_suspended_from_outside(yard):
    yard.worker()
    run = yard.run(entrypoint="flows.py:waits")
    until(lambda: yard.notes("one"), "the first step")
    suspend_flow_run(flow_run_id=run)
    paused(yard.client, run, "Suspended")
    until(lambda: is_gone(yard.notes("start")[0][1]), "the end of the process")
    assert yard.state(run).name == "Suspended"
    yard.release()
    resume_flow_run(run)
    yard.ended(run, "COMPLETED")
    assert [len(yard.notes(name)) for name in ("start", "one", "end")] == [2, 1, 1]
