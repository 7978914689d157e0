"""How the end of a Job is told, whatever is seen first of it and its pods."""

from __future__ import annotations

from runyard.workers.infrastructure import kubernetes_outcome
from runyard.workers.infrastructure.kubernetes_outcome import Judge
from runyard.workers.infrastructure.kubernetes_watch import View, Watcher

FAILED = {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "the limit"}
JOB = {"metadata": {"name": "job"}, "spec": {}, "status": {"conditions": [FAILED]}}
POD = {
    "metadata": {"name": "job-1"},
    "spec": {"containers": [{"name": "run"}]},
    "status": {
        "phase": "Failed",
        "containerStatuses": [
            {"name": "run", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
        ],
    },
}


def test_a_job_that_failed_before_its_pod_was_seen_waits_for_what_the_pod_tells():
    view = View("default", "job")
    view.job = JOB
    judge = Judge(view, 60.0)
    assert judge.end() is None
    assert 0 < judge.seconds_until_next_look() <= kubernetes_outcome._POD_TELLS_SECONDS
    view.pods["job-1"] = POD
    assert "ran out of memory" in judge.end().reason


def test_a_job_that_failed_without_a_pod_is_told_as_it_tells_itself(monkeypatch):
    monkeypatch.setattr(kubernetes_outcome, "_POD_TELLS_SECONDS", 0.0)
    view = View("default", "job")
    view.job = JOB
    assert "BackoffLimitExceeded: the limit" in Judge(view, 60.0).end().reason


def test_a_pod_that_an_older_list_did_not_have_yet_is_there_when_the_watch_tells_of_it():
    watcher = Watcher(None, None, "")
    job = {"metadata": {"name": "job", "namespace": "default"}, "spec": {}}
    view = watcher.expect(job)
    pod = {"metadata": {"name": "job-1", "namespace": "default", "labels": {"job-name": "job"}}}
    view.pods["job-1"] = pod
    view.gone.add("job-1")
    watcher._apply("pods", pod, False)
    assert view.lives(pod)
    watcher._apply("pods", pod, True)
    assert not view.lives(pod)
