"""Job variables and base job templates as a user meets them: files, blocks, mistakes, previews."""

from __future__ import annotations

import json

import pytest
from runyard.blocks.docker import DockerRegistryCredentials

FLOW = "from runyard import flow\n\n@flow\ndef hello():\n    pass\n"
LOOSE = {
    "job_configuration": {"env": "{{ any }}", "stop_grace_seconds": "{{ grace }}"},
    "variables": {"type": "object", "properties": {"any": {}, "grace": {}}},
}
ECS = {
    "job_configuration": {"task": {"cpu": "{{ cpu }}", "image": "{{ image }}"}, "name": "run-{{ image }}"},
    "variables": {
        "type": "object",
        "properties": {"cpu": {"type": "integer", "default": 512}, "image": {"type": "string"}},
    },
}


@pytest.fixture
def folder(tmp_path, monkeypatch, home):
    (tmp_path / "flow.py").write_text(FLOW)
    (tmp_path / "loose.json").write_text(json.dumps(LOOSE))
    (tmp_path / "ecs.json").write_text(json.dumps(ECS))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def jobs(runyard, pool):
    return [run["job"] for run in runyard("work-pool", "preview", pool, "--jobs", "-o", "json").json]


@pytest.mark.parametrize(("name", "value"), [("any", "text"), ("any", ["A"]), ("grace", "soon")])
def test_a_run_whose_variables_mean_nothing_ends_and_its_worker_goes_on(runyard, folder, name, value):
    runyard("work-pool", "create", "loose", "-t", "process", "--base-job-template", "loose.json")
    runyard("deploy", "flow.py:hello", "-n", "d", "-p", "loose")
    runyard("deployment", "run", "hello/d", "--job-variable", f"{name}={json.dumps(value)}")
    runyard("deployment", "run", "hello/d")
    runyard("worker", "start", "--pool", "loose", "--run-once")
    runs = runyard("flow-run", "ls", "-o", "json").json
    assert sorted(run["state_type"] for run in runs) == ["COMPLETED", "CRASHED"]
    (crashed,) = [run for run in runs if run["state_type"] == "CRASHED"]
    assert "job configuration: " in crashed["state"]["message"]


def test_a_block_is_named_by_its_id_as_templates_of_prefect_do(runyard, folder):
    credentials = DockerRegistryCredentials(username="u", password="pw-of-registry", registry_url="r.example")
    reference = {"$ref": {"block_document_id": str(credentials.save("reg"))}}
    template = runyard("work-pool", "get-default-base-job-template", "-t", "docker").json
    template["variables"]["properties"]["registry_credentials"]["default"] = reference
    (folder / "docker.json").write_text(json.dumps(template))
    runyard("work-pool", "create", "by-default", "-t", "docker", "--base-job-template", "docker.json")
    runyard("work-pool", "create", "given", "-t", "docker")
    runyard("deploy", "flow.py:hello", "-n", "a", "-p", "by-default", "-jv", "image=x")
    given = f"registry_credentials={json.dumps(reference)}"
    runyard("deploy", "flow.py:hello", "-n", "b", "-p", "given", "-jv", "image=x", "-jv", given)
    for name, pool in (("a", "by-default"), ("b", "given")):
        runyard("deployment", "run", f"hello/{name}")
        (job,) = jobs(runyard, pool)
        assert job["registry_credentials"] == {
            **{"username": "u", "password": "********", "registry_url": "r.example"},
            "reauth": True,
        }
    runyard("block", "delete", "docker-registry-credentials/reg", "--yes")
    assert "no saved block with the id" in runyard("work-pool", "preview", "given", "--jobs").out


def test_a_variable_that_nothing_reads_is_told_at_the_deploy(runyard, folder):
    runyard("work-pool", "create", "boxes", "-t", "docker")
    told = runyard(
        "deploy", "flow.py:hello", "-n", "d", "-p", "boxes", "-jv", "imagee=x", "-jv", "env.A=1"
    ).err
    assert (
        "work pool 'boxes' has no job variable 'imagee', so it has no effect; did you mean 'image'?" in told
    )
    assert "env" not in told


def test_a_required_variable_is_asked_for(runyard, folder):
    template = {**ECS, "variables": {**ECS["variables"], "required": ["image"]}}
    (folder / "needs.json").write_text(json.dumps(template))
    runyard("work-pool", "create", "needs", "-t", "process", "--base-job-template", "needs.json")
    runyard("deploy", "flow.py:hello", "-n", "d", "-p", "needs")
    runyard("deployment", "run", "hello/d")
    assert (
        "required job variable 'image' has no value" in runyard("work-pool", "preview", "needs", "--jobs").out
    )


def test_the_jobs_of_a_pool_for_workers_of_others(runyard, folder):
    runyard("work-pool", "create", "far", "-t", "ecs")
    runyard("deploy", "flow.py:hello", "-n", "d", "-p", "far", "-jv", "cpu=256", "-jv", "image=x")
    runyard("deployment", "run", "hello/d")
    told = runyard("work-pool", "preview", "far", "--jobs").err
    assert "has no base job template yet" in told
    assert "runyard work-pool update far --base-job-template FILE" in told
    runyard("work-pool", "update", "far", "--base-job-template", "ecs.json")
    assert jobs(runyard, "far") == [{"task": {"cpu": 256, "image": "x"}, "name": "run-x"}]
