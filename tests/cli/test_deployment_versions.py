"""`runyard deployment versions` and `rollback`, and where a version comes from."""

from __future__ import annotations

import subprocess

import pytest
import yaml

pytestmark = pytest.mark.usefixtures("git")

FLOW = "from prefect import flow\n\n@flow\ndef etl(n: int = 1):\n    print('n is', n)\n"


@pytest.fixture
def deploy(tmp_path, monkeypatch, runyard):
    """Deploy `etl/nightly` with some fields."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "etl.py").write_text(FLOW)
    monkeypatch.chdir(folder)
    runyard("work-pool", "create", "pool", "--type", "process")

    def run(**fields):
        entry = {"name": "nightly", "entrypoint": "etl.py:etl", "work_pool": {"name": "pool"}, **fields}
        (folder / "prefect.yaml").write_text(yaml.safe_dump({"name": "mine", "deployments": [entry]}))
        return runyard("deploy", "-o", "json").json[0]

    run.folder = folder
    return run


def versions(runyard):
    return runyard("deployment", "versions", "nightly", "-o", "json").json


def now(runyard):
    return runyard("deployment", "inspect", "nightly", "-o", "json").json


def test_every_change_makes_a_version_and_nothing_else_does(runyard, deploy):
    deploy(parameters={"n": 1})
    deploy(parameters={"n": 1})
    deploy(parameters={"n": 2}, tags=["a"])
    runyard("deployment", "pause", "nightly")
    runyard("deployment", "resume", "nightly")
    newest, first = versions(runyard)
    assert (newest["number"], first["number"]) == (2, 1)
    assert {change["field"] for change in newest["changes"]} == {"parameters", "tags"}
    assert newest["owner"] == "project mine"
    shown = runyard("deployment", "versions", "nightly").out
    assert "parameters, tags" in shown
    whole = runyard("deployment", "versions", "nightly", "--number", "1").out
    assert "  parameters:\n    'n': 1\n" in whole
    assert "rollback etl/nightly --to 1" in whole
    second = runyard("deployment", "versions", "nightly", "--number", "2").out
    assert 'parameters: {"n": 1} -> {"n": 2}' in second
    part = runyard("deployment", "versions", "nightly", "--limit", "1")
    assert part.out.startswith("2\t")
    assert "1 of 2 shown" in part.err
    assert "no version 9" in runyard("deployment", "versions", "nightly", "--number", "9", code=1).err


def test_a_rollback_brings_everything_back_and_can_be_rolled_back(runyard, deploy):
    deploy(parameters={"n": 1}, schedules=[{"cron": "0 1 * * *", "slug": "one"}], version="1")
    deploy(parameters={"n": 2}, schedules=[{"cron": "0 2 * * *", "slug": "two"}], version="2")
    runyard("deployment", "schedule", "create", "nightly", "--cron", "0 9 * * *", "--slug", "mine")
    plan = runyard("deployment", "rollback", "nightly", "--plan", code=2)
    assert 'parameters: {"n": 2} -> {"n": 1}' in plan.out
    assert "schedules: two: cron: 0 2 * * * -> none" in plan.out
    assert "schedules: none -> one: cron: 0 1 * * *" in plan.out
    assert "mine" not in plan.out
    assert "runyard deployment rollback etl/nightly --to 1" in plan.out
    assert runyard("deployment", "rollback", "nightly", "--dry-run", code=2).out == plan.out
    assert now(runyard)["parameters"] == {"n": 2}
    second = runyard("deployment", "versions", "nightly", "--number", "2").out
    assert "schedules: one: every day at 01:00 (UTC) -> none" in second
    assert "\nSchedules\n  two: every day at 02:00 (UTC)\n" in second
    assert "openapi" not in second
    assert "Undo it: " in runyard("deployment", "rollback", "nightly").out
    after = now(runyard)
    assert (after["parameters"], after["version"]) == ({"n": 1}, "1")
    assert {each["slug"] for each in after["schedules"]} == {"one", "mine"}
    assert len(versions(runyard)) == 3
    assert runyard("deployment", "rollback", "nightly", "--to", "3", "--plan").code == 0
    runyard("deployment", "rollback", "nightly", "--to", "2")
    assert {each["slug"] for each in now(runyard)["schedules"]} == {"two", "mine"}
    # The file still speaks for what it declared.
    deploy(parameters={"n": 2}, version="2")
    assert {each["slug"] for each in now(runyard)["schedules"]} == {"mine"}


def test_a_run_remembers_its_version_and_a_rollback_runs(runyard, deploy):
    deploy(parameters={"n": 5}, version="v5")
    deploy(parameters={"n": 6}, version="v6")
    runyard("deployment", "rollback", "nightly")
    run = runyard("deployment", "run", "nightly", "-o", "json").json
    runyard("worker", "start", "--pool", "pool", "--run-once")
    assert run["deployment_version"] == "v5"
    assert runyard("flow-run", "inspect", run["id"], "-o", "json").json["parameters"] == {"n": 5}


def test_what_cannot_be_gone_back_to_is_refused(runyard, deploy):
    deploy()
    assert "no earlier version" in runyard("deployment", "rollback", "nightly", code=1).err
    assert "kept are 1 to 1" in runyard("deployment", "rollback", "nightly", "--to", "7", code=1).err
    runyard("work-pool", "create", "other", "--type", "process")
    deploy(work_pool={"name": "other"})
    runyard("work-pool", "delete", "pool", "-y")
    assert "work-pool create pool" in runyard("deployment", "rollback", "nightly", code=1).err
    assert now(runyard)["work_pool_name"] == "other"


def test_the_newest_hundred_are_kept(runyard, deploy, store):
    from runyard.operations.deployments import deployments
    from runyard.operations.deployments.deployment_versions import read_deployment_versions

    found = deploy()["deployment"]
    for number in range(103):
        update = deployments.DeploymentUpdate(description=f"text {number}")
        store.call(deployments.update_deployment, found["id"], body=update)
    kept = store.call(read_deployment_versions, found["id"])
    assert [kept[0].number, kept[-1].number, len(kept)] == [104, 5, 100]


def test_versions_go_with_their_deployment(runyard, deploy, store):
    deploy()
    runyard("deployment", "delete", "nightly", "-y")
    deploy()
    assert [each["number"] for each in versions(runyard)] == [1]


def git(folder, *arguments):
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(folder), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def test_the_commit_is_remembered_and_is_the_version_on_demand(runyard, deploy, monkeypatch):
    for name in ("GITHUB_SHA", "CI_COMMIT_SHA", "BITBUCKET_COMMIT", "BUILD_SOURCEVERSION"):
        monkeypatch.delenv(name, raising=False)
    deploy()
    git(deploy.folder, "init", "-b", "main")
    git(deploy.folder, "remote", "add", "origin", "https://me:token@example.org/team/repo.git")
    git(deploy.folder, "add", ".")
    git(deploy.folder, "commit", "-m", "First words\n\nmore")
    answer = deploy()
    assert answer["action"] == "unchanged"
    info = now(runyard)["version_info"]
    assert (info["type"], info["branch"], info["repository"]) == ("vcs:git", "main", "repo")
    assert (info["url"], info["message"]) == ("https://example.org/team/repo.git", "First words")
    assert deploy(version_type="vcs:git")["deployment"]["version"] == info["commit_sha"][:8]
    assert deploy(version_type="vcs:git", version="1.0")["deployment"]["version"] == "1.0"
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef")
    monkeypatch.setenv("GITHUB_REF_NAME", "release")
    found = deploy(version_type="vcs:github")["deployment"]
    assert (found["version"], found["version_info"]["branch"]) == ("01234567", "release")
    error = runyard("deploy", "--version-type", "vcs:nonsense", code=2).err
    assert "vcs:nonsense" in error
