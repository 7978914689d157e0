"""The kubernetes worker, on a cluster whose pods are real processes: whole lives of runs."""

from __future__ import annotations

import pytest
from _kubernetes_yard import GIVEN_UP_SOON, KubernetesYard, printed
from _yard import a_yard, until


@pytest.fixture
def yard(home, tmp_path):
    with a_yard(tmp_path, KubernetesYard) as yard:
        yield yard


def test_runs_are_executed_with_all_that_they_record(yard):
    bad = yard.run(entrypoint="more.py:fails")
    assert yard.worker("other", run_once=True).wait(60) == 0
    good = yard.run(entrypoint="more.py:tasks", job_variables={"auto_remove": True})
    assert yard.worker(run_once=True).wait(60) == 0
    assert yard.state(good).type == "COMPLETED", yard.said()
    assert yard.state(bad).type == "FAILED"
    assert "on purpose" in yard.state(bad).message
    messages = printed(yard, good)
    assert messages.count("a record") == messages.count("by another program") == 1
    assert any("Successfully assigned" in message for message in messages)
    with yard.client.database.transaction(write=False) as tx:
        assert tx.value("SELECT count(*) FROM task_runs WHERE state_type = 'COMPLETED'") == 3
    kept = [job["metadata"]["annotations"]["runyard.io/labels"] for job in yard.jobs()]
    assert len(kept) == 1
    assert bad in kept[0]


CANNOT_START = [
    ({"image": "missing:1"}, "the image 'missing:1' could not be pulled: failed to pull image"),
    (
        {"image": "missing:1", "image_pull_policy": "Never"},
        "is not on its node, and image_pull_policy is Never",
    ),
    ({"command": "/no/such/program"}, "its container could not start: exec: "),
    ({"service_account_name": "none"}, "its Job has no pod after 2 s"),
    ({"namespace": "no-such"}, 'namespaces "no-such" not found'),
    ({"cluster_config": {"context_name": "other"}}, "cluster_config differs from the one"),
]


def test_what_cannot_start_is_crashed_with_the_reason(yard):
    runs = [yard.run(job_variables={**GIVEN_UP_SOON, **variables}) for variables, _ in CANNOT_START]
    assert yard.worker(limit=None, run_once=True).wait(60) == 0
    for run, (_, reason) in zip(runs, CANNOT_START, strict=True):
        assert reason in yard.ended(run, "CRASHED").message
    assert 'serviceaccount "none" not found' in " ".join(printed(yard, runs[3]))
    # None was made for the hooks of such a run.
    assert len([found for found in yard.cluster.created if found["kind"] == "Job"]) == 4


def test_a_pod_that_gets_no_node_is_given_up_with_the_words_of_the_scheduler(yard):
    template = yard.pool_template()
    spec = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    spec["nodeSelector"] = {"gpu": "yes"}
    yard.change_pool(template)
    run = yard.run(job_variables=GIVEN_UP_SOON)
    yard.worker()
    message = yard.ended(run, "CRASHED").message
    assert "its pod got no node within 2 s (pending_timeout_seconds): 0/1 nodes are available" in message
    until(lambda: any("FailedScheduling" in text for text in printed(yard, run)), "the event")
    until(lambda: not yard.jobs(), "the removal of the Job")


# What others do to a pod, and how the end of its run is told.
ENDS = [
    (lambda cluster, pod: cluster.kubelet.kill(pod, container="OOMKilled"), "ran out of memory"),
    (lambda cluster, pod: cluster.kubelet.kill(pod), "its container was killed"),
    (
        lambda cluster, pod: cluster.kubelet.kill(pod, reason="Evicted", message="The node was low on disk."),
        "its pod was evicted: The node was low on disk",
    ),
    (
        lambda cluster, pod: cluster.disrupt(pod, "PreemptionByScheduler"),
        "its pod was preempted to make room for a pod of higher priority",
    ),
    (
        lambda cluster, pod: cluster.delete("jobs", pod[0], pod[1].rpartition("-")[0], {}),
        "its Job was deleted while it ran",
    ),
    (lambda cluster, pod: cluster.delete("pods", *pod, {}), "its pod was deleted while it ran"),
    (
        lambda cluster, pod: cluster.delete("pods", *pod, {"gracePeriodSeconds": 0}),
        "its pod was deleted while it ran",
    ),
]


def test_a_pod_that_others_end_is_told(yard):
    runs = [yard.run(stubborn=True) for _ in ENDS]
    yard.worker(limit=None)
    until(lambda: all(yard.state(run).type == "RUNNING" for run in runs), "the start of all")
    for run, (end, _) in zip(runs, ENDS, strict=True):
        end(yard.cluster, yard.pod(run))
    for run, (_, reason) in zip(runs, ENDS, strict=True):
        assert reason in yard.ended(run, "CRASHED").message


def test_a_node_that_is_lost(yard):
    yard.environment["RUNYARD_TAKEOVER_AFTER_SECONDS"] = "2"
    run = yard.run(crash_retries=1)
    yard.worker()
    until(lambda: yard.is_running(run), "the start")
    yard.cluster.kubelet.node_is_lost = True
    yard.cluster.delete("pods", *yard.pod(run), {})
    until(lambda: "its node 'node-1' does not answer" in yard.said(), "the loss")
    yard.cluster.kubelet.node_is_lost = False
    until(lambda: len(yard.notes()) == 2, "the second attempt")
    yard.release()
    yard.ended(run, "COMPLETED")


def test_a_run_that_takes_too_long_for_its_job(yard):
    run = yard.run(job_variables={"job_watch_timeout_seconds": 3, "stop_grace_seconds": 1}, stubborn=True)
    yard.worker()
    assert "it ran for longer than its Job may" in yard.ended(run, "CRASHED").message


def test_cancelling_ends_the_pods_and_removes_all(yard):
    runs = [yard.run(stubborn=stubborn) for stubborn in (False, True)]
    never = yard.run(job_variables={"image": "missing:1", "pod_watch_timeout_seconds": 600})
    yard.worker(limit=None)
    until(
        lambda: all(yard.state(run).type == "RUNNING" for run in runs) and len(yard.jobs()) == 3, "the start"
    )
    for run in (*runs, never):
        yard.cancel(run)
    for run in (*runs, never):
        yard.ended(run, "CANCELLED")
    until(lambda: not (yard.jobs() or yard.cluster.pods() or yard.secrets()), "the removal of the rest")
    assert yard.notes("end") == []


def test_a_pod_that_ended_while_no_worker_was_there(yard):
    yard.environment["RUNYARD_TAKEOVER_AFTER_SECONDS"] = "60"  # what happened is proved before
    run = yard.run(crash_retries=1)
    first = yard.worker("first")
    until(lambda: yard.is_running(run), "the start")
    first.kill()
    first.wait()
    yard.cluster.kubelet.kill(yard.pod(run), container="OOMKilled")
    yard.worker("second")
    until(lambda: len(yard.notes()) == 2, "the second attempt")
    assert "ran out of memory" in yard.said("second")
    yard.release()
    yard.ended(run, "COMPLETED")


def test_a_finished_job_is_removed_by_the_cluster_with_all_that_is_its_own(yard):
    run = yard.run(job_variables={"finished_job_ttl": 0})
    yard.release()
    assert yard.worker(run_once=True).wait(60) == 0
    assert yard.state(run).type == "COMPLETED"
    until(
        lambda: not (yard.jobs() or yard.cluster.pods() or yard.cluster.store.list("secrets")[0]), "the rest"
    )


def test_secrets_are_in_no_manifest(yard):
    from runyard.blocks.system import Secret

    Secret(value="quite-a-secret").save("word")
    variables = {
        "env": {
            "DB": "postgresql://me:hush-hush@db/x",
            "WORD": "{{ prefect.blocks.secret.word }}",
            "PLAIN": "p",
        },
        "command": "python -c \"import os, sys; print(sys.argv[1] == os.environ['WORD'])\" "
        "{{ prefect.blocks.secret.word }}",
    }
    run = yard.run(job_variables=variables)
    tells = yard.run(
        job_variables={"command": "sh -c 'echo $RUNYARD_API_AUTH_STRING ${PREFECT_API_AUTH_STRING#*:}'"}
    )
    assert yard.worker(run_once=True).wait(60) == 0
    assert "True" in printed(yard, run), printed(yard, run)
    assert "******** ********" in printed(yard, tells), printed(yard, tells)
    its = [found for found in yard.cluster.created if run in str(found)]
    made = {found["kind"]: found for found in its if found["kind"] in ("Job", "Secret")}
    manifest = str(made["Job"])
    for secret in ("quite-a-secret", "hush-hush", f"{run}.1:"):
        assert secret not in manifest
        assert secret not in yard.said()
    assert "'value': 'p'" in manifest
    assert set(made["Secret"]["data"]) >= {"DB", "WORD", "RUNYARD_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"}
    owner = made["Secret"]["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["uid"]) == ("Job", made["Job"]["metadata"]["uid"])
