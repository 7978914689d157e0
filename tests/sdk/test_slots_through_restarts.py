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
from runyard.operations.concurrency_limits import (
    ConcurrencyLimitCreate,
    create_concurrency_limit,
    read_concurrency_limit,
)
from runyard.operations.tag_limits import TagLimitCreate, create_tag_limit
from runyard.store.database import Database

SCRIPT = """
import os, sys, time
from runyard import flow, task
from runyard.concurrency.sync import concurrency

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

@flow
def by_name(name):
    note("asks-" + name)
    with concurrency("db"):
        hold(name)

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


@pytest.mark.parametrize("by", ["by_tag", "by_name"])
def test_who_waits_for_a_slot_gets_it_after_restarts(place, by, tmp_path):
    if by == "by_tag":
        place.client.call(create_tag_limit, TagLimitCreate(tag="db", concurrency_limit=1))
    else:
        place.client.call(create_concurrency_limit, ConcurrencyLimitCreate(name="db", limit=1))
    (tmp_path / "script.py").write_text(SCRIPT)

    def run(name):
        with open(tmp_path / f"{name}.out", "w") as out:
            return subprocess.Popen(
                [sys.executable, "script.py", by, name], cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT
            )

    first = run("first")
    runs = [first]
    try:
        until(lambda: os.path.exists(tmp_path / "first"), "the first run's slot")
        runs.append(run("second"))
        until(lambda: os.path.exists(tmp_path / "asks-second"), "the second run's question")
        place.restart(keeping=True)
        assert [each.poll() for each in runs] == [None, None]
        assert not os.path.exists(tmp_path / "second")
        (tmp_path / "release-first").write_text("")
        assert first.wait(60) == 0, (tmp_path / "first.out").read_text()
        until(lambda: os.path.exists(tmp_path / "second"), "the second run's slot")
        (tmp_path / "release-second").write_text("")
        assert runs[1].wait(60) == 0, (tmp_path / "second.out").read_text()
    finally:
        for each in runs:
            each.kill()
            each.wait(60)
    if by == "by_name":
        assert place.client.call(read_concurrency_limit, "db").active_slots == 0
