"""Slots whose holder is done while the database is away come back as soon as it is there again."""

from __future__ import annotations

import subprocess
import sys

import pytest
from _yard import until
from runyard.client import LocalClient
from runyard.operations.limits.concurrency_limits import ConcurrencyLimitCreate, create_concurrency_limit
from runyard.operations.limits.tag_limits import TagLimitCreate, create_tag_limit
from runyard.store.database import Database

# It notes that it is done with its slot before the flow's end is to be recorded.
SCRIPT = """
import os, sys, time
from runyard import flow, task
from runyard.engine.concurrency.sync import concurrency

def note(name):
    open(name, "w").close()

def wait(name):
    while not os.path.exists(name):
        time.sleep(0.01)

def hold():
    note("holds")
    wait("release")

@task(tags=["db"])
def tagged():
    hold()

@flow
def by_tag():
    tagged()
    note("done")
    wait("end")

@flow
def by_name():
    with concurrency("db"):
        hold()
    note("done")
    wait("end")

{"by_tag": by_tag, "by_name": by_name}[sys.argv[1]]()
"""
COUNT = "SELECT count(*) FROM limit_slots"


@pytest.mark.parametrize("by", ["by_tag", "by_name"])
@pytest.mark.parametrize("ends", ["before", "after"])
def test_slots_come_back_when_the_database_is_there_again(home, tmp_path, monkeypatch, by, ends):
    database = Database(f"sqlite:///{home}/runyard.db")
    client = LocalClient(database)
    if by == "by_tag":
        client.call(create_tag_limit, TagLimitCreate(tag="db", concurrency_limit=1))
    else:
        client.call(create_concurrency_limit, ConcurrencyLimitCreate(name="db", limit=1))
    (tmp_path / "script.py").write_text(SCRIPT)
    monkeypatch.setenv("RUNYARD_DATABASE_TIMEOUT_SECONDS", "0.2")

    def taken():
        with database.transaction(write=False) as tx:
            return tx.value(COUNT)

    process = subprocess.Popen([sys.executable, "script.py", by], cwd=tmp_path)
    try:
        until(lambda: (tmp_path / "holds").exists(), "the hold")
        with database.transaction() as tx:
            (tmp_path / "release").touch()
            until(lambda: (tmp_path / "done").exists(), "the end of the hold")
            if ends == "before":
                (tmp_path / "end").touch()
            assert tx.value(COUNT) == 1
        if ends == "before":
            assert process.wait(60) == 0
            assert taken() == 0
        else:
            until(lambda: taken() == 0, "the return of the slot")
            (tmp_path / "end").touch()
            assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        database.close()
