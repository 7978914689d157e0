"""What the objects of a cluster say about the end of a run, case by case."""

from __future__ import annotations

import pytest
from runyard.workers.infrastructure import kubernetes_reasons as words
from runyard.workers.infrastructure.kubernetes_logs import _order
from runyard.workers.infrastructure.kubernetes_outcome import Judge
from runyard.workers.infrastructure.kubernetes_watch import View

JOB = {"metadata": {"name": "j"}, "spec": {"backoffLimit": 0}, "status": {}}


def pod(phase="Running", state=None, **status):
    containers = [{"name": "main", "image": "x:1", "state": state}] if state else []
    return {
        "metadata": {"name": "p", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "main"}], "nodeName": "n1"},
        "status": {"phase": phase, "containerStatuses": containers, **status},
    }


def ended(code, reason="Error", **more):
    return {"terminated": {"exitCode": code, "reason": reason, **more}}


def judged(found, job=JOB, gone=False):
    view = View("default", "j")
    view.job = job
    if found is not None:
        view.pods["p"] = found
    if gone:
        view.gone.add("p")
    judge = Judge(view, 1.0)
    return judge.end(), judge


def condition(kind, reason, message=""):
    return [{"type": kind, "status": "True", "reason": reason, "message": message}]


@pytest.mark.parametrize(
    ("found", "code", "reason"),
    [
        (pod("Succeeded", ended(0, "Completed")), 0, None),
        (pod("Succeeded"), 0, None),
        (pod("Failed", ended(1)), 1, None),
        (pod("Failed", ended(137)), 137, "its container was killed"),
        (pod("Failed", ended(137, "OOMKilled")), 137, "ran out of memory"),
        (
            pod("Failed", reason="Evicted", message="low on memory. "),
            None,
            "its pod was evicted: low on memory",
        ),
        (pod("Failed", ended(137), reason="NodeLost"), 137, "its node 'n1' was lost"),
        (pod("Failed", ended(143), reason="Terminated"), 143, "its node 'n1' was shut down"),
        (
            pod("Failed", reason="OutOfcpu", message="Node didn't have enough resource"),
            None,
            "its pod failed: OutOfcpu: Node didn't have enough",
        ),
        (
            pod("Failed", ended(143), conditions=condition("DisruptionTarget", "DeletionByTaintManager")),
            143,
            "its node got a taint",
        ),
        (
            pod("Failed", ended(143), conditions=condition("DisruptionTarget", "EvictionByEvictionAPI")),
            143,
            "was evicted, as by a drain",
        ),
        (
            pod("Failed", ended(143), conditions=condition("DisruptionTarget", "SomethingNew", "why")),
            143,
            "was ended by its cluster: SomethingNew: why",
        ),
        (
            pod("Failed", initContainerStatuses=[{"name": "setup", "state": ended(3)}]),
            None,
            "its container 'setup' ended with exit code 3",
        ),
        # The run is over when its own container is, whatever stands beside it.
        (pod("Running", ended(0, "Completed")), 0, None),
    ],
)
def test_ends(found, code, reason):
    end, _ = judged(found)
    assert end.code == code
    assert (end.reason or "") == "" if reason is None else reason in end.reason


@pytest.mark.parametrize(
    ("found", "job", "reason"),
    [
        (None, None, "its Job was deleted while it ran"),
        (pod("Failed", ended(143)), {**JOB, "metadata": {"deletionTimestamp": "x"}}, "its Job was deleted"),
        (pod("Failed", ended(143)), {**JOB, "spec": {"suspend": True}}, "its Job was suspended while it ran"),
        (
            pod("Failed", ended(143)),
            {**JOB, "status": {"conditions": condition("Failed", "BackoffLimitExceeded")}},
            "its pod was deleted while it ran",
        ),
        (
            pod("Failed", ended(143)),
            {**JOB, "status": {"conditions": condition("FailureTarget", "DeadlineExceeded")}},
            "it ran for longer than its Job may",
        ),
    ],
)
def test_what_others_remove(found, job, reason):
    end, _ = judged(found, job, gone=True)
    assert reason in end.reason


def test_what_goes_on():
    orphan = pod("Running", {"running": {}})
    for found, job in [
        (pod("Running", {"running": {}}), JOB),
        (pod("Pending"), JOB),
        (None, JOB),
        (None, {**JOB, "spec": {"suspend": True}}),
        # Its Job was deleted without its pod.
        (orphan, None),
        # Its Job will make another.
        (pod("Failed", ended(1)), {**JOB, "spec": {"backoffLimit": 2}, "status": {"failed": 1}}),
    ]:
        assert judged(found, job)[0] is None


@pytest.mark.parametrize(
    ("waiting", "reason"),
    [
        ({"reason": "InvalidImageName", "message": "bad"}, "the image 'x:1' could not be pulled: bad"),
        ({"reason": "ErrImageNeverPull"}, "is not on its node"),
    ],
)
def test_what_never_comes_right_is_given_up_at_once(waiting, reason):
    end, judge = judged(pod("Pending", {"waiting": waiting}))
    assert judge.gave_up
    assert reason in end.reason
    assert not end.started


@pytest.mark.parametrize("why", ["ErrImagePull", "ImagePullBackOff", "CreateContainerConfigError"])
def test_what_may_come_right_is_waited_for(why):
    end, judge = judged(pod("Pending", {"waiting": {"reason": why, "message": "not yet"}}))
    assert end is None
    assert 0 < judge.seconds_until_next_look() <= 60


def test_moments_of_a_node_are_ordered_whatever_their_digits_and_zone():
    moments = [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.1Z",
        "2026-01-01T02:00:00.10000001+02:00",
        "2026-01-01T00:00:00.2Z",
        "2026-01-01T02:00:01+02:00",
    ]
    assert sorted(moments, key=_order) == moments


def test_usual_events_are_left_out_and_the_rest_is_in_order():
    def event(reason, moment, kind="Normal"):
        about = {"kind": "Pod", "name": "p"}
        return {
            "type": kind,
            "reason": reason,
            "message": "m",
            "lastTimestamp": moment,
            "involvedObject": about,
        }

    found = [
        event("BackOff", "2026-01-01T00:00:03Z", "Warning"),
        event("Started", "2026-01-01T00:00:02Z"),
        event("Pulling", "2026-01-01T00:00:01Z"),
    ]
    assert [(level, text) for _, level, text, _ in words.lines(found)] == [
        ("info", "Pod Pulling: m"),
        ("warning", "Pod BackOff: m"),
    ]
