"""Ctrl-C, SIGTERM and SIGHUP at any instant: runs end in a final state, with their hooks called."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter

import pytest
from _scripts import started

DEADLINE_SECONDS = 60.0

# The script says `ready` where the signal is to come; without it (`any`) it comes at some time.
SCRIPT = """
import asyncio, os, signal, sys, threading, time
from runyard import flow, task

def ready():
    print("ready", flush=True)

def sleep():
    # In slices: Python does not notice a signal that comes just before a call that waits.
    for _ in range(600):
        time.sleep(0.1)

def hook(flow, run, state):
    # In one write: an interrupt between two pieces would leave half a line.
    os.write(1, f"hook {run.name} {state.name}\\n".encode())

HOOKS = dict(on_crashed=[hook], on_completion=[hook], on_failure=[hook], on_cancellation=[hook])

@task
def slow():
    ready()
    sleep()

@task
def quick(number):
    return number

@task(retries=1, retry_delay_seconds=60)
def flaky():
    threading.Timer(0.2, ready).start()
    raise ValueError("again")

@flow(flow_run_name="root", **HOOKS)
def left():
    slow.submit()

@flow(flow_run_name="child", **HOOKS)
def child():
    return slow.submit()

@flow(flow_run_name="root", **HOOKS)
def sub():
    return child()

@task
def calls_child():
    child()

# In a thread of its own, which no signal reaches.
@flow(flow_run_name="root", **HOOKS)
def sub_in_task():
    calls_child.submit()

@flow(flow_run_name="root", **HOOKS)
def retried():
    flaky()

@flow(flow_run_name="root", **HOOKS)
async def async_left():
    slow.submit()

def slow_hook(flow, run, state):
    ready()
    sleep()

@flow(flow_run_name="root", on_completion=[slow_hook, hook])
def in_hook():
    return 1

def task_hook(task, run, state):
    ready()
    time.sleep(1)
    os.write(1, f"hook {task.name} {state.name}\\n".encode())

@task(on_completion=[task_hook])
def hooked():
    return 1

@flow(flow_run_name="root", **HOOKS)
def in_task_hook():
    hooked.submit()
    sleep()

@flow(flow_run_name="root", **HOOKS)
def catches():
    try:
        slow()
    except KeyboardInterrupt:
        return "fine"

@flow(flow_run_name="root", **HOOKS)
def any():
    ready()
    for number in range(400):
        quick(number)
    [future.result() for future in quick.map(range(100))]
    for _ in range(5):
        many()

@flow(flow_run_name="child", **HOOKS)
def many():
    quick(1)
    quick.submit(2)

going = []

@flow(flow_run_name="brief")
async def brief():
    while len(going) < 3:
        await asyncio.sleep(0.01)

@flow(**HOOKS)
async def long():
    going.append(1)
    await asyncio.sleep(60)

@flow(**HOOKS)
async def stream():
    going.append(1)
    yield 1
    await asyncio.sleep(60)

async def read():
    async for _ in stream():
        pass

async def first():
    await brief()
    ready()

async def many_roots():
    # The one that ends first begins first: its guard must not be what handles signals afterwards.
    await asyncio.gather(first(), long(), long(), read())

@flow(flow_run_name="root", **HOOKS)
async def blocks():
    ready()
    sleep()

@flow(flow_run_name="root", **HOOKS)
async def counts():
    ready()
    while True:
        pass

@flow(flow_run_name="child", **HOOKS)
async def blocking_child():
    ready()
    sleep()

@flow(flow_run_name="root", **HOOKS)
async def blocks_in_subflow():
    await blocking_child()

@flow(flow_run_name="root", **HOOKS)
async def blocks_in_sync_subflow():
    def called():
        ready()
        sleep()
    flow(called, flow_run_name="child", **HOOKS)()

@flow(flow_run_name="root", **HOOKS)
async def blocks_in_task():
    slow()

@task
async def async_slow():
    ready()
    sleep()

@flow(flow_run_name="root", **HOOKS)
async def blocks_in_tasks():
    await asyncio.gather(async_slow(), async_slow())

@flow(flow_run_name="root", **HOOKS)
async def blocking_stream():
    yield 1
    ready()
    sleep()

async def blocks_in_stream():
    async for _ in blocking_stream():
        pass

async def lasting_hook(flow, run, state):
    for _ in range(15):
        time.sleep(0.1)
    await asyncio.sleep(0.1)
    hook(flow, run, state)

@flow(flow_run_name="root", on_crashed=[lasting_hook])
async def blocks_and_lasts():
    ready()
    sleep()

@flow(flow_run_name="second", on_crashed=[lasting_hook])
async def blocks_later():
    await asyncio.sleep(0.1)
    blocks_too()

@task
def blocks_too():
    ready()
    sleep()

async def beside_blocking():
    # Both are told of the signal; only the one that blocks is left by an exception, and no hook is.
    await asyncio.gather(long(), blocks_later(), return_exceptions=True)

@flow(flow_run_name="root", on_crashed=[hook])
async def awaits():
    await asyncio.sleep(60)

async def other_code_blocks():
    waits = asyncio.ensure_future(awaits())
    await asyncio.sleep(1)
    ready()
    for _ in range(15):
        time.sleep(0.1)
    os.write(1, b"went on\\n")
    await waits

def closed_loop():
    # A coroutine that will never go on: its loop is closed, and it is held.
    loop = asyncio.new_event_loop()
    held = loop.create_task(long())
    loop.run_until_complete(asyncio.sleep(0.5))
    loop.close()
    ready()
    sleep()

@flow
def nothing():
    return signal.getsignal(signal.SIGTERM)

def put_back():
    # A library that saves and restores handlers may be late.
    signal.signal(signal.SIGTERM, nothing())
    ready()
    sleep()

made = globals()[sys.argv[1]]()
if asyncio.iscoroutine(made):
    asyncio.run(made)
"""


def _signalled(home, tmp_path, name, number, wait_seconds=0.0):
    """The output of the script, which got a signal; the states of its runs by name."""
    process = started(tmp_path, SCRIPT, name)
    if wait_seconds:
        try:
            process.wait(wait_seconds)
        except subprocess.TimeoutExpired:
            pass
    process.send_signal(number)
    said, error = (text.decode() for text in process.communicate(timeout=DEADLINE_SECONDS))
    with sqlite3.connect(home / "runyard.db") as database:
        runs = database.execute("SELECT name, state_type FROM flow_runs").fetchall()
        tasks = database.execute("SELECT state_type FROM task_runs").fetchall()
    return process.returncode, said.splitlines(), error, runs, [state for (state,) in tasks]


_SIGNALS = [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


@pytest.mark.parametrize("number", _SIGNALS, ids=lambda number: number.name)
@pytest.mark.parametrize("name", ["left", "sub", "sub_in_task", "retried", "async_left"])
def test_where_the_engine_waits(home, tmp_path, name, number):
    code, said, error, runs, tasks = _signalled(home, tmp_path, name, number)
    assert code == (-signal.SIGINT if number == signal.SIGINT else 143), error
    assert said == [f"hook {run} Crashed" for run, _ in reversed(runs)]
    assert {state for _, state in runs} == {"CRASHED"}
    assert set(tasks) == {"CRASHED"}


@pytest.mark.parametrize("number", _SIGNALS, ids=lambda number: number.name)
def test_flows_beside_one_another_on_an_event_loop_all_come_to_their_end(home, tmp_path, number):
    code, said, error, runs, _ = _signalled(home, tmp_path, "many_roots", number)
    assert code == (-signal.SIGINT if number == signal.SIGINT else 143), error
    states = dict(runs)
    assert states.pop("brief") == "COMPLETED"
    assert len(states) == 3
    assert set(states.values()) == {"CRASHED"}
    assert Counter(said) == Counter(f"hook {run} Crashed" for run in states), error
    assert "never retrieved" not in error
    assert "was destroyed" not in error


@pytest.mark.parametrize("number", _SIGNALS[1:], ids=lambda number: number.name)
@pytest.mark.parametrize(
    "name",
    [
        "blocks",
        "counts",
        "blocks_in_subflow",
        "blocks_in_sync_subflow",
        "blocks_in_task",
        "blocks_in_tasks",
        "blocks_in_stream",
        "blocks_and_lasts",
    ],
)
def test_code_that_blocks_its_event_loop_is_left(home, tmp_path, name, number):
    code, said, error, runs, tasks = _signalled(home, tmp_path, name, number)
    assert code == 143, error
    hooks = [line for line in said if line != "ready"]
    assert hooks == [f"hook {run} Crashed" for run, _ in reversed(runs)], error
    assert {state for _, state in runs} == {"CRASHED"}
    assert set(tasks) <= {"CRASHED"}


def test_hooks_of_flows_beside_one_that_blocks_their_loop_are_called_to_their_end(home, tmp_path):
    code, said, error, runs, _ = _signalled(home, tmp_path, "beside_blocking", signal.SIGTERM)
    assert code == 143, error
    assert Counter(said) == Counter(f"hook {run} Crashed" for run, _ in runs), error
    assert len(runs) == 2


def test_other_code_that_blocks_the_loop_of_a_flow_goes_on(home, tmp_path):
    code, said, error, runs, _ = _signalled(home, tmp_path, "other_code_blocks", signal.SIGTERM)
    assert code == 143, error
    assert said == ["went on", "hook root Crashed"], error
    assert runs == [("root", "CRASHED")]


def test_a_signal_is_not_taken_by_a_flow_that_will_never_go_on(home, tmp_path):
    code, _, error, _, _ = _signalled(home, tmp_path, "closed_loop", signal.SIGTERM)
    assert code == -signal.SIGTERM, error


def test_a_handler_that_is_put_back_after_its_flow_ends_the_process(home, tmp_path):
    code, _, error, _, _ = _signalled(home, tmp_path, "put_back", signal.SIGTERM)
    assert code == -signal.SIGTERM, error


# The signal comes as the main thread leaves one of Python's own functions, called by a file of the engine
# after the flow began: a lock was just taken, or is about to be given back.
TRACED = """
import signal, sys

def files(frame):
    while frame is not None:
        yield frame.f_code.co_filename
        frame = frame.f_back

def trace(frame, event, arg):
    if began and event == "return" and frame.f_code.co_name == sys.argv[2]:
        if [file for file in files(frame) if file.endswith(sys.argv[3])]:
            sys.settrace(None)
            print("sent", file=sys.stderr)
            signal.getsignal(signal.SIGTERM)(signal.SIGTERM, frame)
    return trace

began = []
"""


@pytest.mark.parametrize("file", ["futures.py", "threads.py"])
@pytest.mark.parametrize("function", ["__enter__", "__exit__", "_release_save"])
def test_in_the_midst_of_a_lock(home, tmp_path, function, file):
    script = tmp_path / "script.py"
    script.write_text(
        TRACED
        + SCRIPT.replace("    return slow.submit()", "    began.append(1)\n    return slow.submit()").replace(
            "made =", "sys.settrace(trace)\nmade ="
        )
    )
    done = subprocess.run(
        [sys.executable, str(script), "sub", function, file],
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    said = [line for line in done.stdout.splitlines() if line != "ready"]
    assert (done.returncode, said) == (143, ["hook child Crashed", "hook root Crashed"]), done.stderr
    assert "sent" in done.stderr


def test_a_hook_that_is_interrupted_keeps_no_other_from_being_called(home, tmp_path):
    _, said, _, runs, _ = _signalled(home, tmp_path, "in_hook", signal.SIGINT)
    assert said == ["hook root Completed"]
    assert runs == [("root", "COMPLETED")]


def test_a_hook_in_another_thread_is_called_to_its_end(home, tmp_path):
    _, said, error, runs, tasks = _signalled(home, tmp_path, "in_task_hook", signal.SIGTERM)
    assert said == ["hook hooked Completed", "hook root Crashed"], error
    assert (runs, tasks) == ([("root", "CRASHED")], ["COMPLETED"])


def test_an_interrupt_that_the_flow_catches_ends_it_not(home, tmp_path):
    code, said, error, runs, tasks = _signalled(home, tmp_path, "catches", signal.SIGINT)
    assert (code, said, runs, tasks) == (0, ["hook root Completed"], [("root", "COMPLETED")], ["CRASHED"]), (
        error
    )


@pytest.mark.parametrize("number", _SIGNALS[:2], ids=lambda number: number.name)
@pytest.mark.parametrize("seed", range(4))
def test_at_any_instant(home, tmp_path, number, seed):
    wait = random.Random(f"{seed} {number}").uniform(0.0, 0.15)
    _, said, error, runs, tasks = _signalled(home, tmp_path, "any", number, wait)
    assert {state for _, state in runs} <= {"CRASHED", "COMPLETED"}, error
    assert set(tasks) <= {"CRASHED", "COMPLETED"}, error
    ends = Counter(f"hook {run} {state.title()}" for run, state in runs)
    assert not Counter(said) - ends, error
    # One that was being called may have been interrupted before it said so.
    assert (ends - Counter(said)).total() <= error.count("Hook 'hook' was interrupted"), error
