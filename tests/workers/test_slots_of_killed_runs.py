"""Whoever sees that a run was killed sees its slots free: those of pool and deployment, and of its tags."""

from __future__ import annotations

import os
import signal

import pytest
from _yard import a_yard, until
from runyard.operations.limits.tag_limits import TagLimitCreate, create_tag_limit

TAGGED = """
import os, time
from runyard import flow, task

@task(tags=["db"])
def hold():
    with open("notes", "a") as file:
        file.write(f"start {os.environ['RUNYARD__ATTEMPT']} {os.getpid()}\\n")
    while not os.path.exists("release"):
        time.sleep(0.01)

@flow
def work():
    hold()
"""
# In one statement, so that all is of one moment.
MOMENT = """SELECT (SELECT state_type FROM flow_runs WHERE id = :id) AS state,
    (SELECT count(*) FROM leases) AS leases, (SELECT count(*) FROM limit_slots) AS tags"""


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path) as yard:
        (yard.folder / "tagged.py").write_text(TAGGED)
        yield yard


def test_the_slots_come_back_in_the_transaction_that_ends_the_run(yard):
    yard.client.call(create_tag_limit, TagLimitCreate(tag="db", concurrency_limit=1))
    run = yard.run(entrypoint="tagged.py:work")
    yard.worker()
    pid = yard.started()

    def moment():
        with yard.client.database.transaction(write=False) as tx:
            return tx.one(MOMENT, {"id": run})

    assert moment() == {"state": "RUNNING", "leases": 1, "tags": 1}
    os.kill(pid, signal.SIGKILL)
    seen = until(lambda: (now := moment())["state"] != "RUNNING" and now, "the end")
    assert seen == {"state": "CRASHED", "leases": 0, "tags": 0}
