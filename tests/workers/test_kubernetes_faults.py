"""The kubernetes worker beside an API server that breaks off, forgets, is busy, refuses, or is away."""

from __future__ import annotations

import pytest
from _kubernetes_yard import KubernetesYard, printed
from _yard import a_yard, until

# Each line once, in this order, whatever breaks meanwhile: between two of them it waits for the test.
FLOWS = """
import os, time
from runyard import flow

@flow(name="work")
def counts():
    for number in range(40):
        print("line", number, flush=True)
        while number in (10, 20, 30) and not os.path.exists(f"go-{number}"):
            time.sleep(0.01)
"""


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path, KubernetesYard) as yard:
        (yard.folder / "counts.py").write_text(FLOWS)
        yield yard


def lines(yard, run):
    return [text for text in printed(yard, run) if text.startswith("line")]


def test_all_lines_are_kept_once_whatever_breaks(yard):
    run = yard.run(entrypoint="counts.py:counts")
    yard.worker()
    cluster = yard.cluster
    until(lambda: len(lines(yard, run)) == 11, "the first lines")

    # The connections break, and the first tries to come back find a server that is busy.
    faults = [
        cluster.fault(verb="watch", status=429, retry_after=0, times=2),
        cluster.fault(verb="watch", status=500, times=2),
        cluster.fault(resource="pods/log", status=503),
        cluster.fault(resource="pods/log"),
    ]
    # Of Jobs, of pods, and of the output.
    until(lambda: len(cluster.server.streams) == 3, "the streams")
    assert cluster.server.break_streams() == 3
    until(lambda: not any(fault.times for fault in faults), "the tries")
    (yard.folder / "go-10").touch()
    until(lambda: len(lines(yard, run)) == 21, "the lines after the break")

    # What happened meanwhile is no longer known to the server.
    cluster.store.forget_history()
    (yard.folder / "go-20").touch()
    until(lambda: len(lines(yard, run)) == 31, "the lines after 410")

    # The server is away for a while, and with it the end of the pod.
    cluster.stop_api()
    (yard.folder / "go-30").touch()
    process = next(iter(cluster.kubelet.pods.values()))
    until(lambda: process.poll() is not None, "the end of the pod")
    until(lambda: "No run is claimed for now" in yard.said(), "the word about it")
    cluster.start_api()
    yard.ended(run, "COMPLETED")
    until(lambda: len(lines(yard, run)) == 40, "the last lines")
    until(lambda: "Kubernetes answers again" in yard.said(), "the word about it")
    assert lines(yard, run) == [f"line {number}" for number in range(40)]


def test_what_a_pod_printed_is_kept_where_its_end_is_told_after_that_of_its_job(yard):
    run = yard.run(job_variables={"command": "sh -c 'sleep 1; echo printed'"})
    late = yard.cluster.fault(verb="watch", resource="pods", delay_seconds=4)
    assert yard.worker(run_once=True).wait(60) == 0
    assert late.seen == 1
    assert "printed" in printed(yard, run)


def test_a_job_whose_making_is_not_answered_is_made_once(yard):
    yard.release()
    made = yard.cluster.fault(verb="create", resource="jobs", after=True)
    busy = yard.cluster.fault(verb="create", resource="secrets", status=429, retry_after=0, times=2)
    slow = yard.cluster.fault(verb="list", resource="pods", delay_seconds=1)
    run = yard.run()
    yard.worker()
    yard.ended(run, "COMPLETED")
    assert [fault.times for fault in (made, busy, slow)] == [0, 0, 0]
    assert len([found for found in yard.cluster.created if found["kind"] == "Job"]) == 1
    assert len(yard.notes()) == 1


def test_a_cluster_that_makes_no_jobs_for_a_while_leaves_the_run_in_its_queue(yard):
    yard.release()
    yard.cluster.fault(verb="create", resource="jobs", status=503, retry_after=0, times=5)
    run = yard.run()
    yard.worker()
    yard.ended(run, "COMPLETED")
    assert "on purpose: 503" in yard.said()
    assert [attempt for attempt, _ in yard.notes()] == [2]


def test_a_secret_that_may_not_be_made_leaves_no_job(yard):
    words = 'secrets is forbidden: User "worker" cannot create resource "secrets"'
    yard.cluster.fault(verb="create", resource="secrets", status=403, message=words)
    run = yard.run()
    yard.worker()
    assert f"the Job could not be created: {words}; see docs/kubernetes" in yard.ended(run, "CRASHED").message
    until(lambda: not (yard.jobs() or yard.cluster.pods()), "the removal of the Job")


@pytest.mark.parametrize("ahead", [-300, 300])
def test_all_lines_are_kept_once_by_an_heir_whose_clock_is_not_that_of_the_node(yard, ahead):
    yard.cluster.kubelet.clock_ahead_seconds = ahead
    run = yard.run(entrypoint="counts.py:counts")
    first = yard.worker("first")
    until(lambda: len(lines(yard, run)) == 11, "the first lines")
    first.kill()
    first.wait()
    (yard.folder / "go-10").touch()
    yard.worker("second")
    until(lambda: len(lines(yard, run)) == 21, "the lines after the adoption")
    for number in (20, 30):
        (yard.folder / f"go-{number}").touch()
    yard.ended(run, "COMPLETED")
    until(lambda: not yard.leases() and len(lines(yard, run)) >= 40, "the last lines")
    assert lines(yard, run) == [f"line {number}" for number in range(40)]
