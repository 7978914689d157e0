"""Workers that are pods of the cluster themselves: that one is gone, the others learn from the cluster."""

from __future__ import annotations

import json

import pytest
from _kubernetes.pods import Pods
from _kubernetes_yard import KubernetesYard
from _yard import a_yard, until
from runyard.workers.infrastructure import own_container
from runyard.workers.infrastructure.kubernetes_jobs import KubernetesInfrastructure


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path, KubernetesYard) as yard:
        pods = Pods(yard.cluster, tmp_path / "pods")
        yard.pods = pods
        # So long that nothing is taken over for its time.
        yard.environment["RUNYARD_TAKEOVER_AFTER_SECONDS"] = "600"
        yield yard
        pods.close()


def elsewhere(yard):
    """As if the holder of the only lease had run on another machine."""
    with yard.client.database.transaction() as tx:
        proof = json.loads(tx.value("SELECT proof FROM leases"))
        proof |= {"machine": "another", "boot": "another", "pids": "another"}
        tx.execute("UPDATE leases SET proof = :proof", {"proof": json.dumps(proof)})


def lost(yard, run):
    """The first worker, whose machine and process nobody can see, is gone; its pod is still there."""
    first = yard.worker("first", **yard.pods.environment("worker-1"))
    until(lambda: yard.is_running(run), "the start")
    first.kill()
    first.wait()
    elsewhere(yard)


def is_held_by(yard, name):
    return [lease["owner"] for lease in yard.leases()] == [name]


GONE = [
    lambda cluster: cluster.store.remove("pods", "default", "worker-1"),
    lambda cluster: cluster.store.update(
        "pods", "default", "worker-1", lambda pod: pod["status"].update(phase="Failed")
    ),
    # A StatefulSet makes another one with the same name.
    lambda cluster: cluster.store.update(
        "pods", "default", "worker-1", lambda pod: pod["metadata"].update(uid="another")
    ),
]


@pytest.mark.parametrize("end", GONE, ids=["deleted", "finished", "made anew"])
def test_the_runs_of_a_worker_whose_pod_is_gone_are_adopted_at_once(yard, end):
    run = yard.run()
    lost(yard, run)
    second = yard.worker("second", **yard.pods.environment("worker-2"))
    seen = len(yard.heartbeats())
    until(lambda: len(yard.heartbeats()) >= seen + 3, "signs of life")
    assert is_held_by(yard, "first")
    end(yard.cluster)
    until(lambda: is_held_by(yard, "second"), "the adoption")
    yard.release()
    yard.ended(run, "COMPLETED")
    assert len(yard.notes()) == 1
    assert second.poll() is None


def test_a_cluster_that_does_not_tell_leaves_the_runs_where_they_are(yard):
    run = yard.run()
    lost(yard, run)
    yard.cluster.store.remove("pods", "default", "worker-1")
    fault = yard.cluster.fault(verb="list", resource="pods", status=403, times=10**6)
    yard.worker("second", **yard.pods.environment("worker-2"))
    until(lambda: fault.seen, "the question")
    seen = len(yard.heartbeats())
    until(lambda: len(yard.heartbeats()) >= seen + 2, "signs of life")
    assert is_held_by(yard, "first")


MOUNTS = """
1443 1434 0:113 / / rw,relatime - overlay x rw
1450 1443 259:1 /var/lib/kubelet/pods/{uid}/etc-hosts /etc/hosts rw - xfs /dev/root rw
1451 1443 259:1 /var/lib/kubelet/pods/{uid}/containers/worker/1a2b3c4d /dev/termination-log rw - xfs x rw
"""
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def test_a_container_that_was_started_again_in_its_pod_knows_that_its_predecessor_is_gone(
    monkeypatch, tmp_path
):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(uid=UID))
    monkeypatch.setattr(own_container, "_MOUNTS", str(mounts))
    assert own_container.of_pod(UID) == "worker"
    assert own_container.of_pod("another") == ""
    worker = KubernetesInfrastructure()
    worker._here = ["default", "pod", UID, own_container.of_pod(UID)]
    worker._ask_again_at = float("inf")  # nothing is asked
    assert worker.is_gone(["default", "pod", UID, "worker"])
    assert not worker.is_gone(["default", "pod", UID, "another"])
    worker._here[3] = ""
    assert not worker.is_gone(["default", "pod", UID, ""])
