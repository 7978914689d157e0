"""Several workers on one pool: no limit is ever exceeded, and runs start in the order of their queues.

The runs note on the monotonic clock from when until when they executed; the test counts the overlaps.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from _yard import DEADLINE_SECONDS, a_yard, is_gone, until
from runyard.domain.states import TERMINAL
from runyard.operations.deployments.deployments import (
    DeploymentApply,
    DeploymentFlowRunCreate,
    DeploymentsApply,
    apply_deployments,
)
from runyard.operations.flow_runs.create_deployment_run import create_flow_run_from_deployment
from runyard.operations.limits.concurrency_limits import ConcurrencyLimitCreate, create_concurrency_limit
from runyard.operations.limits.tag_limits import TagLimitCreate, create_tag_limit
from runyard.operations.work_pools.work_pools import WorkPoolUpdate, update_work_pool
from runyard.operations.work_pools.work_queues import WorkQueueCreate, create_work_queue

LIMIT, RUNS, WORKERS = 2, 12, 3
# A span is a file with a moment for each 10 ms of execution, so that the last one of a killed run is known.
FLOWS = """
import os, time
from runyard import flow, task
from runyard.engine.concurrency.sync import concurrency

def hold(kind, number):
    name = f"spans/{kind}.{os.environ['RUNYARD__WORKER_NAME']}.{number}.{os.getpid()}"
    with open(name, "w", buffering=1) as file:
        turns = 0
        while turns < 10 or not os.path.exists("go"):
            file.write(f"{time.monotonic()}\\n")
            time.sleep(0.01)
            turns += 1
        file.write(f"{time.monotonic()}\\n")

@flow
def plain(number: int):
    hold("plain", number)

@task(tags=["db"])
def query(number):
    hold("slot", number)

@flow
def tagged(number: int):
    query(number)

@flow
def named(number: int):
    with concurrency("db"):
        hold("slot", number)
"""
LEFT = "SELECT (SELECT count(*) FROM leases) AS leases, (SELECT count(*) FROM limit_slots) AS slots"


class Fleet:
    """A yard with deployments of its own and the spans that their runs noted."""

    def __init__(self, yard):
        self.yard = yard
        (yard.folder / "fleet.py").write_text(FLOWS)
        (yard.folder / "spans").mkdir()

    def deploy(self, flow="plain", name="its", queue=None, **fields):
        deployment = DeploymentApply(
            name=name,
            flow_name=flow,
            entrypoint=f"fleet.py:{flow}",
            path=str(self.yard.folder),
            work_pool_name="pool",
            work_queue_name=queue,
            crash_retries=5,
            **fields,
        )
        body = DeploymentsApply(deployments=[deployment], owner=name)
        return self.yard.client.call(apply_deployments, body)[0].deployment.id

    def ask(self, deployment, *numbers):
        for number in numbers:
            body = DeploymentFlowRunCreate(parameters={"number": number})
            self.yard.client.call(create_flow_run_from_deployment, deployment, body)

    def pool(self, **fields):
        self.yard.client.call(update_work_pool, "pool", WorkPoolUpdate(**fields))

    def spans(self):
        """(begin, end, kind, worker, number, process) of each, by their begin."""
        found = []
        for path in (self.yard.folder / "spans").iterdir():
            moments = path.read_text().split()
            if moments:
                kind, worker, number, pid = path.name.split(".")
                found.append((float(moments[0]), float(moments[-1]), kind, worker, int(number), int(pid)))
        return sorted(found)

    def workers(self, limit):
        return [self.yard.worker(f"worker-{index}", limit=limit) for index in range(WORKERS)]

    def one(self, sql):
        with self.yard.client.database.transaction(write=False) as tx:
            return tx.one(sql)

    def outcomes(self):
        """How many runs there are of each state, once all are over."""
        with self.yard.client.database.transaction(write=False) as tx:
            rows = tx.all("SELECT state_type, count(*) AS n FROM flow_runs GROUP BY state_type")
        states = {row["state_type"]: row["n"] for row in rows}
        return states if set(states) <= set(TERMINAL) else None

    def at_work(self):
        """The spans of the processes that execute now."""
        return [span for span in self.spans() if not is_gone(span[-1])]

    def at_work_are(self, count):
        """Once so many execute, and have noted that they do at one moment."""

        def noted():
            found = self.at_work()
            together = found and max(span[0] for span in found) < min(span[1] for span in found)
            return len(found) == count and together and found

        return until(noted, f"{count} runs at work")

    def kill_a_run_and_a_worker(self, workers, count):
        """Each in the midst of work, of which there is as much again soon."""
        os.kill(self.at_work_are(count)[0][-1], signal.SIGKILL)
        victim = workers[int(self.at_work_are(count)[-1][3].partition("-")[2])]
        victim.kill()
        victim.wait()

    def go_on(self):
        """What executes, and what will, ends."""
        (self.yard.folder / "go").touch()


def most_at_a_time(spans):
    changes = sorted([(span[0], 1) for span in spans] + [(span[1], -1) for span in spans])
    now = most = 0
    for _, change in changes:
        now += change
        most = max(most, now)
    return most


@pytest.fixture
def fleet(database_url, tmp_path):
    with a_yard(tmp_path) as yard:
        yield Fleet(yard)


KINDS = ("pool", "queue", "deployment", "worker", "tag", "name")
# Where the two lock in different ways.
ALSO = ("pool", "deployment", "tag")


@pytest.mark.parametrize(
    ("database_url", "kind"),
    [*(("sqlite", kind) for kind in KINDS), *(("postgres", kind) for kind in ALSO)],
    indirect=["database_url"],
)
def test_no_more_than_the_limit_execute_at_a_time_whatever_is_killed(fleet, kind):
    flow, fields, limit = "plain", {}, 4
    if kind == "pool":
        fleet.pool(concurrency_limit=LIMIT)
    elif kind == "queue":
        body = WorkQueueCreate(name="narrow", concurrency_limit=LIMIT)
        fleet.yard.client.call(create_work_queue, "pool", body)
        fields["queue"] = "narrow"
    elif kind == "deployment":
        fields["concurrency_limit"] = LIMIT
    elif kind == "worker":
        limit = LIMIT
    elif kind == "tag":
        flow = "tagged"
        fleet.yard.client.call(create_tag_limit, TagLimitCreate(tag="db", concurrency_limit=LIMIT))
    elif kind == "name":
        flow = "named"
        body = ConcurrencyLimitCreate(name="db", limit=LIMIT)
        fleet.yard.client.call(create_concurrency_limit, body)
    fleet.ask(fleet.deploy(flow, **fields), *range(RUNS))
    workers = fleet.workers(limit)
    most = LIMIT * (WORKERS if kind == "worker" else 1)
    fleet.kill_a_run_and_a_worker(workers, most)
    fleet.at_work_are(most - LIMIT if kind == "worker" else most)
    fleet.go_on()
    assert until(fleet.outcomes, "the end of all runs") == {"COMPLETED": RUNS}
    spans = fleet.spans()
    assert {span[4] for span in spans} == set(range(RUNS))
    if kind == "worker":
        each = [most_at_a_time([s for s in spans if s[3] == name]) for name in {s[3] for s in spans}]
        assert each == [LIMIT] * WORKERS
    else:
        assert most_at_a_time(spans) == LIMIT
    until(lambda: set(fleet.one(LEFT).values()) == {0}, "the return of all slots")


def test_runs_that_find_the_deployment_full_are_cancelled_whatever_is_killed(fleet):
    options = {"collision_strategy": "CANCEL_NEW"}
    its = fleet.deploy(concurrency_limit=LIMIT, concurrency_options=options)
    fleet.ask(its, *range(LIMIT))
    workers = fleet.workers(1)
    fleet.at_work_are(LIMIT)
    fleet.ask(its, *range(LIMIT, RUNS))
    cancelled = "SELECT count(*) AS n FROM flow_runs WHERE state_type = 'CANCELLED'"
    until(lambda: fleet.one(cancelled)["n"] == RUNS - LIMIT, "the cancellation")
    fleet.kill_a_run_and_a_worker(workers, LIMIT)
    fleet.at_work_are(LIMIT)
    fleet.go_on()
    assert until(fleet.outcomes, "the end of all runs") == {"COMPLETED": LIMIT, "CANCELLED": RUNS - LIMIT}
    spans = fleet.spans()
    assert most_at_a_time(spans) == LIMIT
    assert {span[4] for span in spans} == set(range(LIMIT))
    until(lambda: set(fleet.one(LEFT).values()) == {0}, "the return of all slots")


def test_runs_start_by_the_priority_of_their_queue_and_then_by_their_time(fleet):
    fleet.pool(is_paused=True, concurrency_limit=1)
    for name, priority in (("high", 1), ("low", 3)):
        body = WorkQueueCreate(name=name, priority=priority)
        fleet.yard.client.call(create_work_queue, "pool", body)
    low, high, other = (
        fleet.deploy(name=n, queue=q) for n, q in (("a", "low"), ("b", "high"), ("c", "high"))
    )
    for number in range(5):
        fleet.ask(low, 100 + number)
        fleet.ask(high, 2 * number)
        fleet.ask(other, 2 * number + 1)
    fleet.workers(4)
    fleet.go_on()
    fleet.pool(is_paused=False)
    assert until(fleet.outcomes, "the end of all runs") == {"COMPLETED": 15}
    assert [span[4] for span in fleet.spans()] == [*range(10), *range(100, 105)]


def test_a_run_that_a_limit_holds_back_becomes_late_and_says_why(fleet, monkeypatch):
    fleet.pool(concurrency_limit=0)
    fleet.ask(fleet.deploy(), 0)
    fleet.yard.worker(RUNYARD_SCHEDULER_LATE_SECONDS="0.1")
    run = until(lambda: fleet.one("SELECT id, name FROM flow_runs WHERE state_name = 'Late'"), "the mark")
    done = subprocess.run(
        [sys.executable, "-m", "runyard_cli.main", "flow-run", "why", run["id"]],
        capture_output=True, text=True, timeout=DEADLINE_SECONDS, env=fleet.yard.environment, check=True,
    )  # fmt: skip
    assert "concurrency limit of work pool 'pool' is 0" in done.stdout, done.stdout
    assert "It is late" in done.stdout, done.stdout
    fleet.go_on()
    fleet.pool(concurrency_limit=1)
    assert until(fleet.outcomes, "the end of the run") == {"COMPLETED": 1}
