"""What a failed run was given is let go with its state: nothing waits for the collector of cycles."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
import weakref

import pytest
from runyard import flow, task
from runyard.engine.context import current_flow
from runyard.engine.flowless_journal import close_journal_without_flow


class Big:
    """Stands for a frame of many megabytes."""


def seen(*_given):
    """A hook."""


@task
def fine(big):
    return 1


@task
def bad(big):
    raise ValueError("it failed")


@task
def chained(big):
    try:
        raise ValueError("it failed")
    except ValueError as error:
        raise KeyError("for that") from error


@task
def late(big):
    yield 1
    raise ValueError("it failed")


@task
async def bad_async(big):
    raise ValueError("it failed")


@flow
def bad_flow(big):
    raise ValueError("it failed")


@flow
def calling(big):
    return bad(big)


@flow
async def bad_flow_async(big):
    raise ValueError("it failed")


WAYS = {
    "call": lambda runnable, big: runnable(big),
    "state": lambda runnable, big: runnable(big, return_state=True),
    "submit": lambda runnable, big: runnable.submit(big).wait(),
    "result": lambda runnable, big: runnable.submit(big).result(),
    "map": lambda runnable, big: runnable.map([big]).result(),
    "read": lambda runnable, big: list(runnable(big)),
}
TASKS = {
    "fine": fine,
    "bad": bad,
    "retried": bad.with_options(retries=1),
    "kept": bad.with_options(persist_result=True, cache_key_fn=lambda *_: "key"),
    "limited": bad.with_options(timeout_seconds=60),
    "with hooks": bad.with_options(on_failure=[seen]),
    "printing": bad.with_options(log_prints=True),
    "chained": chained,
}
CALLS = [(TASKS[name], way) for name in TASKS for way in ("call", "state", "submit", "result", "map")]
CALLS += [(late, "submit"), (late, "read"), (bad_async, "submit"), (bad_async, "result")]
SUBFLOWS = [(bad_flow, "call"), (bad_flow, "state"), (calling, "call"), (calling, "state")]


@pytest.fixture(autouse=True)
def without_collector(recorded):
    logging.disable()  # pytest keeps log records, with their exceptions
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    logging.disable(logging.NOTSET)


def is_kept(runnable, way):
    """Whether the argument of a call that is over is still there."""
    big = Big()
    found = weakref.ref(big)
    try:
        WAYS[way](runnable, big)
    except (ValueError, KeyError):
        pass
    del big
    written()
    return stays(found)


def stays(found):
    """Whether what is referred to is there for good: the thread of a task may still be about to leave it."""
    deadline = time.monotonic() + 60
    while found() is not None and time.monotonic() < deadline:
        time.sleep(0.001)
    return found() is not None


def written():
    """Wait for the journal, which holds the states until it has written them."""
    around = current_flow.get()
    if around is None:
        close_journal_without_flow()
    else:
        around.journal.flush()


def test_in_a_flow():
    @flow
    def main():
        return [(runnable.name, way) for runnable, way in CALLS + SUBFLOWS if is_kept(runnable, way)]

    assert main() == []


def test_on_an_event_loop():
    @flow
    async def main():
        kept = []
        for runnable in (bad_async, bad_flow_async):
            for return_state in (False, True):
                big = Big()
                found = weakref.ref(big)
                try:
                    await runnable(big, return_state=return_state)
                except ValueError:
                    pass
                del big
                written()
                kept += [(runnable.name, return_state)] * stays(found)
        return kept

    assert asyncio.run(main()) == []


def test_outside_of_flows():
    calls = [(bad, "call"), (bad, "state"), *SUBFLOWS]
    assert [(runnable.name, way) for runnable, way in calls if is_kept(runnable, way)] == []


def test_an_idle_thread_keeps_nothing_of_its_last_task():
    @flow
    def main():
        return [is_kept(fine, "submit") for _ in range(20)]

    assert main() == [False] * 20


def test_the_user_has_the_exception_with_its_frames():
    @flow
    def main():
        state = bad(Big(), return_state=True)
        future = bad.submit(Big())
        future.wait()
        errors = [of.result(raise_on_failure=False) for of in (state, future)]
        return [(str(error), error.__traceback__.tb_frame.f_code.co_name) for error in errors]

    assert main() == [("it failed", "bad")] * 2
