"""The kubernetes worker in situations that users of such workers met: quotas, sidecars, webhooks, tokens."""

from __future__ import annotations

import pytest
from _kubernetes_yard import KubernetesYard, printed
from _yard import a_yard, until

COUNTED_ANEW = 'Operation cannot be fulfilled on resourcequotas "team": the object has been modified'
EXCEEDED = 'jobs.batch "x" is forbidden: exceeded quota: team, requested: count/jobs.batch=1, limited: 3'
DENIED = 'admission webhook "policy.example.com" denied the request: no latest images'


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path, KubernetesYard) as yard:
        yield yard


def refuse_jobs(yard, status, message, times=10**6, resource="jobs", reason="Forbidden"):
    return yard.cluster.fault(
        verb="create", resource=resource, status=status, message=message, times=times, reason=reason
    )


@pytest.mark.parametrize("resource", ["jobs", "secrets"])
def test_a_quota_that_was_counted_anew_meanwhile_is_asked_again(yard, resource):
    yard.release()
    fault = refuse_jobs(yard, 409, COUNTED_ANEW, 2, resource, "Conflict")
    run = yard.run()
    yard.worker()
    yard.ended(run, "COMPLETED")
    assert fault.times == 0
    assert [attempt for attempt, _ in yard.notes()] == [1]


def test_a_quota_of_jobs_without_room_is_waited_for(yard):
    yard.release()
    fault = refuse_jobs(yard, 403, EXCEEDED, times=2)
    run = yard.run()
    yard.worker()
    yard.ended(run, "COMPLETED")
    assert fault.times == 0
    assert [attempt for attempt, _ in yard.notes()] == [1]
    assert f"Waiting for room: {EXCEEDED}" in printed(yard, run)


def test_a_quota_that_never_has_room_is_given_up_or_cancelled(yard):
    refuse_jobs(yard, 403, EXCEEDED)
    given_up = yard.run(job_variables={"pending_timeout_seconds": 2})
    cancelled = yard.run()
    yard.worker()
    message = yard.ended(given_up, "CRASHED").message
    assert f"there was no room for it within 2 s (pending_timeout_seconds): {EXCEEDED}" in message
    until(lambda: printed(yard, cancelled), "the word about it")
    yard.cancel(cancelled)
    yard.ended(cancelled, "CANCELLED")
    assert not yard.jobs()


def test_a_quota_of_pods_without_room_is_waited_for_as_a_node_is(yard):
    yard.cluster.most_pods = 0
    waits = yard.run(job_variables={"pod_watch_timeout_seconds": 2})
    given_up = yard.run(job_variables={"pending_timeout_seconds": 4, "pod_watch_timeout_seconds": 2})
    yard.worker()
    message = yard.ended(given_up, "CRASHED").message
    assert "there was no room for it within 4 s (pending_timeout_seconds): Job FailedCreate: Error" in message
    assert any("exceeded quota" in text for text in printed(yard, waits))
    yard.release()
    yard.cluster.most_pods = 1
    yard.ended(waits, "COMPLETED")


@pytest.mark.parametrize(
    ("status", "words"), [(403, DENIED), (400, DENIED), (500, "etcdserver: request is too large")]
)
def test_a_job_that_the_cluster_will_never_take_crashes_at_once_with_its_words(yard, status, words):
    refuse_jobs(yard, status, words)
    run = yard.run()
    yard.worker()
    message = yard.ended(run, "CRASHED").message
    assert message.endswith(f"the Job could not be created: {words}")
    assert "No run is claimed" not in yard.said()


def test_a_cluster_that_starts_nothing_for_a_while_is_left_alone_for_longer_and_longer(yard):
    fault = yard.cluster.fault(verb="create", resource="jobs", status=503, retry_after=0, times=10**6)
    yard.release()
    run = yard.run()
    yard.worker()
    until(lambda: fault.seen >= 15, "three attempts")
    seen = len(yard.heartbeats())
    until(lambda: len(yard.heartbeats()) >= seen + 2, "signs of life")
    # Without pauses an attempt takes a moment, and a run is lost after 25 of them.
    assert fault.seen < 40
    fault.times = 0
    yard.ended(run, "COMPLETED")


def test_a_token_that_is_not_taken_any_more_costs_no_run(yard):
    yard.worker()
    until(yard.heartbeats, "the worker")
    token, yard.cluster.token = yard.cluster.token, "another"
    yard.release()
    run = yard.run()
    until(lambda: "No run is claimed for now" in yard.said(), "the word about it")
    assert "the credentials of this worker are invalid or have expired" in yard.said()
    yard.cluster.token = token
    yard.ended(run, "COMPLETED")
    assert [attempt for attempt, _ in yard.notes()] == [2]


def test_a_container_beside_the_run_goes_when_the_run_has_ended(yard):
    template = yard.pool_template()
    spec = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    spec["containers"].append({"name": "proxy", "image": "proxy:1", "command": ["sleep", "600"]})
    yard.change_pool(template)
    run = yard.run()
    yard.release()
    yard.worker()
    yard.ended(run, "COMPLETED")
    until(lambda: not yard.leases() and not yard.cluster.pods() and not yard.secrets(), "the end of the pod")


def test_a_pod_that_began_and_was_made_again_is_told_by_its_own_end(yard):
    run = yard.run(job_variables={"backoff_limit": 2})
    yard.worker()
    until(lambda: yard.is_running(run), "the start")
    yard.cluster.kubelet.kill(yard.pod(run), reason="Evicted", message="The node was low on disk.")
    message = yard.ended(run, "CRASHED").message
    assert "its pod was evicted: The node was low on disk; the pods after it (backoff_limit)" in message
    assert len(yard.notes()) == 1


def test_many_at_once_on_a_busy_cluster_are_each_run_once_and_nothing_is_left(yard):
    cluster = yard.cluster
    yard.release()
    runs = [yard.run(job_variables={"auto_remove": True}) for _ in range(12)]
    for verb, resource in (("create", "jobs"), ("create", "secrets"), ("watch", None), ("list", "pods")):
        cluster.fault(verb=verb, resource=resource, status=429, retry_after=0, times=6)
    cluster.fault(verb="create", resource="jobs", after=True, times=3)
    cluster.fault(resource="pods/log", status=500, times=5)
    for name in ("one", "two"):
        yard.worker(name, limit=4)
    for run in runs:
        yard.ended(run, "COMPLETED")
    until(lambda: not (yard.leases() or yard.jobs() or cluster.pods() or yard.secrets()), "the removal")
    assert [printed(yard, run).count("working") for run in runs] == [1] * len(runs)
    assert len(yard.notes()) == len(runs)
