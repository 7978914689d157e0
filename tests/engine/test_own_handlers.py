"""A program with its own handler of SIGTERM: flows end first, then the handler is called, once."""

from __future__ import annotations

import signal
import sqlite3
import subprocess

import pytest
from _scripts import started

DEADLINE_SECONDS = 60.0

SCRIPT = """
import asyncio, os, signal, sys, time
from runyard import flow

def say(text):
    os.write(1, (text + "\\n").encode())

def hook(flow, run, state):
    say(f"hook {state.name}")

def stop():
    stopped.append(1)
    say("handler")

def leave(number, frame):
    say("handler")
    sys.exit(7)

stopped = []

@flow(on_crashed=[hook])
def waits():
    say("ready")
    for _ in range(600):
        time.sleep(0.1)

@flow(on_crashed=[hook])
async def awaits():
    await asyncio.sleep(60)

@flow(on_crashed=[hook])
async def streams():
    yield 1
    await asyncio.sleep(60)

async def read():
    async for _ in streams():
        pass

async def server(by_loop):
    if by_loop:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    else:
        signal.signal(signal.SIGTERM, lambda number, frame: stop())
    requests = [asyncio.ensure_future(made) for made in (awaits(), awaits(), read())]
    await asyncio.sleep(0.5)
    say("ready")
    while not stopped:
        await asyncio.sleep(0.01)
    ends = await asyncio.gather(*requests, return_exceptions=True)
    say(f"served {[type(end).__name__ for end in ends]}")

def returns():
    signal.signal(signal.SIGTERM, lambda number, frame: stop())
    waits()

def exits():
    signal.signal(signal.SIGTERM, leave)
    waits()

def caught():
    signal.signal(signal.SIGTERM, lambda number, frame: stop())
    try:
        waits()
    except SystemExit:
        say("caught")
    os.kill(os.getpid(), signal.SIGTERM)

def python_server():
    asyncio.run(server(False))

def loop_server():
    asyncio.run(server(True))

globals()[sys.argv[1]]()
"""


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("returns", 143, ["hook Crashed", "handler"]),
        ("exits", 7, ["hook Crashed", "handler"]),
        ("caught", 0, ["hook Crashed", "handler", "caught", "handler"]),
        ("python_server", 0, [*["hook Crashed"] * 3, "handler", f"served {['CancelledError'] * 3}"]),
    ],
)
def test_it_is_called_after_the_flows(home, tmp_path, name, code, said):
    done = _stopped(tmp_path, name)
    assert (done.returncode, done.stdout.splitlines()) == (code, ["ready", *said]), done.stderr
    assert _states(home) == {"CRASHED"}


def test_one_of_an_event_loop_is_called_once(home, tmp_path):
    done = _stopped(tmp_path, "loop_server")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert (said.count("handler"), said.count("hook Crashed")) == (1, 3)
    assert said[-1] == f"served {['CancelledError'] * 3}"
    assert _states(home) == {"CRASHED"}


def _stopped(tmp_path, name):
    process = started(tmp_path, SCRIPT, name)
    process.send_signal(signal.SIGTERM)
    said, error = (text.decode() for text in process.communicate(timeout=DEADLINE_SECONDS))
    return subprocess.CompletedProcess(process.args, process.returncode, "ready\n" + said, error)


def _states(home):
    with sqlite3.connect(home / "runyard.db") as database:
        return {state for (state,) in database.execute("SELECT state_type FROM flow_runs")}
