"""The manifests of runs: valid for the clusters of five versions, complete, and without secrets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runyard.base import redaction
from runyard.domain import job_templates
from runyard.workers.infrastructure.base import ATTEMPT_LABEL, POOL_LABEL, RUN_LABEL, CannotStart, JobRequest
from runyard.workers.infrastructure.kubernetes_manifest import label_key, label_value, manifests

VERSIONS = ("1.33", "1.34", "1.35", "1.36", "1.37")
LABELS = {RUN_LABEL: "01a2", ATTEMPT_LABEL: "1", POOL_LABEL: "a pool of ours"}
ENV = {"RUNYARD_API_URL": "http://127.0.0.1:4200/api", "RUNYARD_API_AUTH_STRING": "run:token", "PLAIN": "yes"}


def made(template=None, name="calm-otter", host="10.0.0.7", **variables):
    job = job_templates.resolve(template or job_templates.default("kubernetes"), variables)
    request = JobRequest(name, job, ["python", "-m", "x"], ENV, LABELS, print)
    return manifests(request, 10.0, host)


def container(job):
    return job["spec"]["template"]["spec"]["containers"][0]


def env_of(job):
    return {entry["name"]: entry.get("value") for entry in container(job)["env"]}


def changed(change):
    template = job_templates.default("kubernetes")
    change(template["job_configuration"]["job_manifest"])
    return template


ALL = {
    "name": "Nightly: sales & more",
    "env": {"A": "1", "TOKEN": "hidden", "GONE": None},
    "labels": {"team/x y": "Sales & Co", "ok": "fine"},
    "annotations": {"note": "any text: ä"},
    "command": "python -c 'print(1)'",
    "image": "registry.example.com/flows:1.4",
    "image_pull_policy": "Always",
    "service_account_name": "runs",
    "finished_job_ttl": 60,
    "job_watch_timeout_seconds": 3600,
    "stop_grace_seconds": 2.5,
    "cpu_request": "500m",
    "cpu_limit": "1",
    "memory_request": "256Mi",
    "memory_limit": "1Gi",
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("variables", [{}, ALL], ids=["defaults", "all"])
def test_manifests_are_valid_for_the_official_schemas(version, variables):
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    found = made(**variables)
    kubernetes_validate.validate(found.job, version, strict=True)
    job = {"metadata": {**found.job["metadata"], "uid": "u-1"}}
    kubernetes_validate.validate(found.secret_for(job), version, strict=True)


def test_variables_are_where_they_belong():
    job = made(**ALL).job
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert job["metadata"]["name"].startswith("nightly-sales-more-")
    assert spec["ttlSecondsAfterFinished"] == 60
    assert spec["activeDeadlineSeconds"] == 3600
    assert (spec["backoffLimit"], spec["parallelism"], spec["completions"]) == (0, 1, 1)
    assert pod["serviceAccountName"] == "runs"
    assert pod["restartPolicy"] == "Never"
    assert pod["terminationGracePeriodSeconds"] == 3
    main = container(job)
    assert main["args"] == ["python", "-c", "print(1)"]
    assert main["resources"] == {
        "limits": {"cpu": "1", "memory": "1Gi"},
        "requests": {"cpu": "500m", "memory": "256Mi"},
    }
    assert env_of(job) == {
        "RUNYARD_API_URL": "http://10.0.0.7:4200/api",
        "RUNYARD_API_AUTH_STRING": None,
        "PLAIN": "yes",
        "A": "1",
        "TOKEN": None,
    }
    for labels in (job["metadata"]["labels"], job["spec"]["template"]["metadata"]["labels"]):
        assert labels["team/x-y"] == "Sales-Co"
        assert labels["runyard.io/flow-run-id"] == "01a2"
        assert labels["runyard.io/work-pool"] == "a-pool-of-ours"
    assert json.loads(job["metadata"]["annotations"]["runyard.io/labels"]) == LABELS


def test_a_name_is_the_same_at_every_try_and_another_for_every_attempt():
    assert made().job["metadata"]["name"] == made().job["metadata"]["name"]
    request = JobRequest("x", made_job(), ["x"], {}, {**LABELS, ATTEMPT_LABEL: "2"}, print)
    assert manifests(request, 1.0, None).job["metadata"]["name"] != made(name="x").job["metadata"]["name"]


def made_job():
    return job_templates.resolve(job_templates.default("kubernetes"), {})


def test_any_further_part_comes_through_the_template():
    def change(manifest):
        pod = manifest["spec"]["template"]["spec"]
        pod["tolerations"] = [{"key": "gpu", "operator": "Exists"}]
        pod["affinity"] = {"nodeAffinity": {}}
        pod["volumes"] = [{"name": "data", "emptyDir": {}}]
        pod["terminationGracePeriodSeconds"] = 300
        pod["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        pod["containers"][0]["env"] = [
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "PLAIN", "value": "of the manifest"},
        ]
        pod["containers"].append({"name": "beside", "image": "proxy:1"})
        manifest["metadata"]["namespace"] = "jobs"

    job = made(changed(change), env={"A": "1"}).job
    pod = job["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert pod["terminationGracePeriodSeconds"] == 300
    assert job["metadata"]["namespace"] == "jobs"
    assert env_of(job)["A"] == "1"
    assert env_of(job)["PLAIN"] == "of the manifest"
    assert {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in container(job)["env"]
    assert [each["name"] for each in pod["containers"]] == ["runyard-job", "beside"]


def test_a_template_of_prefect_is_taken_as_it_is():
    """It has parallelism and completions among the fields of the pod, where no cluster knows them."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")

    def change(manifest):
        spec = manifest["spec"]
        spec["template"]["spec"] |= {name: spec.pop(name) for name in ("parallelism", "completions")}
        spec["template"]["spec"]["containers"][0]["name"] = "prefect-job"

    kubernetes_validate.validate(made(changed(change)).job, VERSIONS[-1], strict=True)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda manifest: manifest.update(kind="Deployment"), "kind must be 'Job', not 'Deployment'"),
        (lambda manifest: manifest["spec"].update(parallelism=2), "spec.parallelism must be 1, not 2"),
        (
            lambda manifest: manifest["spec"]["template"]["spec"].update(restartPolicy="OnFailure"),
            "restartPolicy must be 'Never'",
        ),
        (lambda manifest: manifest["spec"]["template"]["spec"].update(containers=[]), "has no container"),
        (lambda manifest: manifest["spec"].update(template=[1]), "spec.template must be a mapping"),
    ],
)
def test_a_manifest_of_something_else_is_refused(change, problem):
    with pytest.raises(CannotStart, match=problem):
        made(changed(change))


def test_a_pool_without_a_manifest_is_told_how_to_get_one():
    with pytest.raises(CannotStart, match="no job_manifest"):
        manifests(JobRequest("x", {}, ["x"], {}, LABELS, print), 1.0, None)


def test_secrets_are_known_by_name_and_by_value(home):
    redaction.register("known-secret")
    found = made(
        env={"URL": "postgres://me:hush@db/x", "WORD": "it is known-secret", "PLAIN": "open"},
        command="tool --word known-secret --other open",
    )
    text = json.dumps(found.job)
    for secret in ("known-secret", "hush", "run:token"):
        assert secret not in text
    assert found.secret["RUNYARD__SECRET_ARGUMENT_2"] == "known-secret"
    assert container(found.job)["args"] == [
        "tool",
        "--word",
        "$(RUNYARD__SECRET_ARGUMENT_2)",
        "--other",
        "open",
    ]
    assert env_of(found.job)["PLAIN"] == "open"


def test_the_address_of_the_api_is_one_that_pods_reach():
    assert env_of(made(host="fd00::7").job)["RUNYARD_API_URL"] == "http://[fd00::7]:4200/api"
    assert env_of(made(host=None).job)["RUNYARD_API_URL"] == ENV["RUNYARD_API_URL"]
    elsewhere = made(env={"RUNYARD_API_URL": "https://runyard.example.com/api"}).job
    assert env_of(elsewhere)["RUNYARD_API_URL"] == "https://runyard.example.com/api"


@given(st.text(max_size=200))
def test_labels_are_such_as_a_cluster_takes(text):
    from _kubernetes.store import LABEL_KEY, LABEL_VALUE

    value = label_value(text)
    assert LABEL_VALUE.match(value)
    assert label_value(value) == value
    key = label_key(text)
    assert not key or LABEL_KEY.match(key)


@given(st.text(max_size=200))
def test_names_are_such_as_a_cluster_takes(text):
    from _kubernetes.store import NAME

    name = made(name=text).job["metadata"]["name"]
    assert NAME.match(name)
    assert len(name) <= 57  # a pod has six characters more, and its label 63 at most
