"""How the end of a Job is told, whatever is seen first of it and its pods."""

from __future__ import annotations

from runyard.workers.infrastructure import kubernetes_judge
from runyard.workers.infrastructure.kubernetes_judge import Judge
from runyard.workers.infrastructure.kubernetes_watch import View

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
    assert 0 < judge.seconds_until_next_look() <= kubernetes_judge._POD_TELLS_SECONDS
    view.pods["job-1"] = POD
    assert "ran out of memory" in judge.end().reason


def test_a_job_that_failed_without_a_pod_is_told_as_it_tells_itself(monkeypatch):
    monkeypatch.setattr(kubernetes_judge, "_POD_TELLS_SECONDS", 0.0)
    view = View("default", "job")
    view.job = JOB
    assert "BackoffLimitExceeded: the limit" in Judge(view, 60.0).end().reason
