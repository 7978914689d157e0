"""A run that waits for a slot goes on waiting while the server or the database is ended and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from _ports import free_port
from _postgres import Cluster
from _tools import need
from _yard import until
from runyard.client import HttpClient, LocalClient
from runyard.operations.limits.concurrency_limits import (
    ConcurrencyLimitCreate,
    create_concurrency_limit,
    read_concurrency_limit,
)
from runyard.operations.limits.tag_limits import TagLimitCreate, create_tag_limit
from runyard.store.database import Database

SCRIPT = """
import os, sys, time
from runyard import flow, task
from runyard.engine.concurrency.sync import concurrency

def note(text):
    with open(text, "w"):
        pass

def hold(name):
    note(name)
    while not os.path.exists("release-" + name):
        time.sleep(0.01)

@task(tags=["db"])
def tagged(name):
    hold(name)

@flow
def by_tag(name):
    note("asks-" + name)
    tagged(name)
    note("left-" + name)

@flow
def by_name(name):
    note("asks-" + name)
    with concurrency("db"):
        hold(name)
    note("left-" + name)

{"by_tag": by_tag, "by_name": by_name}[sys.argv[1]](sys.argv[2])
"""
SERVE = """
import sys
from runyard.server.serve import serve
serve("127.0.0.1", int(sys.argv[1]), on_listening=lambda url: print(url, flush=True))
"""


class Server:
    """`runyard server` as a process, which can be killed and started again at the same address."""

    def __init__(self):
        self.port = free_port()
        self.start()
        self.client = HttpClient(self.url)

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.port)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        assert self.url

    def restart(self, keeping):
        self.stop()
        self.start()

    def pause(self):
        self.stop()

    def resume(self):
        self.start()

    def stop(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture(params=["server", "postgres"])
def place(request, home, monkeypatch):
    """What is restarted, and how runs reach it."""
    if request.param == "server":
        server = Server()
        monkeypatch.setenv("RUNYARD_API_URL", server.url)
        yield server
        server.client.close()
        server.stop()
        return
    need("postgresql")
    cluster = Cluster()
    cluster.start()
    monkeypatch.setenv("RUNYARD_DATABASE_URL", cluster.url)
    cluster.client = LocalClient(Database(cluster.url))
    yield cluster
    cluster.client.database.close()
    cluster.stop()


@pytest.fixture
def runs(place, tmp_path):
    """Start the script by a name: `runs(by, name)`; the limit is there already."""
    place.client.call(create_tag_limit, TagLimitCreate(tag="db", concurrency_limit=1))
    place.client.call(create_concurrency_limit, ConcurrencyLimitCreate(name="db", limit=1))
    (tmp_path / "script.py").write_text(SCRIPT)
    started = []

    def run(by, name):
        with open(tmp_path / f"{name}.out", "w") as out:
            command = [sys.executable, "script.py", by, name]
            started.append(subprocess.Popen(command, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT))
        return started[-1]

    yield run
    for each in started:
        each.kill()
        each.wait(60)


@pytest.mark.parametrize("by", ["by_tag", "by_name"])
def test_slots_that_were_given_back_meanwhile_come_back_at_once(place, runs, by, tmp_path):
    first = runs(by, "first")
    until(lambda: os.path.exists(tmp_path / "first"), "the first run's slot")
    place.pause()
    (tmp_path / "release-first").write_text("")
    until(lambda: os.path.exists(tmp_path / "left-first"), "the slot to be given back")
    place.resume()
    assert first.wait(60) == 0, (tmp_path / "first.out").read_text()
    limit = place.client.call(read_concurrency_limit, "tag:db" if by == "by_tag" else "db")
    assert limit.active_slots == 0


@pytest.mark.parametrize("by", ["by_tag", "by_name"])
def test_who_waits_for_a_slot_gets_it_after_restarts(place, runs, by, tmp_path):
    first = runs(by, "first")
    until(lambda: os.path.exists(tmp_path / "first"), "the first run's slot")
    second = runs(by, "second")
    until(lambda: os.path.exists(tmp_path / "asks-second"), "the second run's question")
    place.restart(keeping=True)
    assert [each.poll() for each in (first, second)] == [None, None]
    assert not os.path.exists(tmp_path / "second")
    (tmp_path / "release-first").write_text("")
    assert first.wait(60) == 0, (tmp_path / "first.out").read_text()
    until(lambda: os.path.exists(tmp_path / "second"), "the second run's slot")
    (tmp_path / "release-second").write_text("")
    assert second.wait(60) == 0, (tmp_path / "second.out").read_text()
    if by == "by_name":
        assert place.client.call(read_concurrency_limit, "db").active_slots == 0
