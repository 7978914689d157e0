"""Starting a project: every recipe writes files that deploy."""

from __future__ import annotations

import subprocess

import pytest
from runyard.base.errors import InvalidInput, NotFound, StoreError
from runyard.deployments.project import init, plan
from runyard.deployments.project.read_project import read_project

FIELDS = {
    "git": {"repository": "https://example.com/team/project.git"},
    "docker": {"image_name": "registry.example.com/team/project", "tag": "1.0"},
    "s3": {"bucket": "code"},
    "gcs": {"bucket": "code"},
    "azure": {"container": "code"},
}
FIELDS.update(
    {f"docker-{name}": {**FIELDS["docker"], **FIELDS[name]} for name in ("git", "s3", "gcs", "azure")}
)


@pytest.mark.parametrize("recipe", init.RECIPES)
def test_every_recipe_makes_a_project_that_deploys(project_folder, recipe):
    made = init.init_project(".", recipe, "my project", FIELDS.get(recipe))
    assert {"prefect.yaml", ".prefectignore", "flows/hello.py"} <= set(made)
    project = read_project()
    assert (project.name, project.warnings) == ("my-project", [])
    (deployment,) = plan.build(project, steps=False).body.deployments
    assert (deployment.flow_name, deployment.name) == ("hello", "hello")
    for path in made:
        assert "@NAME@" not in (project_folder / path).read_text()
    assert init.init_project(".", recipe, "my project", FIELDS.get(recipe)) == []


@pytest.mark.usefixtures("git")
def test_the_recipe_suits_the_folder(project_folder):
    assert init.choose_recipe(".") == "local"
    (project_folder / "Dockerfile").write_text("FROM scratch\n")
    assert init.choose_recipe(".") == "docker"
    subprocess.run(["git", "init", "-q", "-b", "trunk"], check=True)
    remote = "https://user:secret@example.com/x.git"
    subprocess.run(["git", "remote", "add", "origin", remote], check=True)
    assert init.choose_recipe(".") == "docker-git"
    (project_folder / "Dockerfile").unlink()
    assert init.choose_recipe(".") == "git"
    init.init_project(".")
    text = (project_folder / "prefect.yaml").read_text()
    assert "repository: https://example.com/x.git" in text
    assert "branch: trunk" in text


@pytest.mark.parametrize("recipe", ["local", "minimal", "docker"])
@pytest.mark.parametrize("pool", ["my-pool", "no", "007", "it's: a #pool", "\U0001f40e {x}"])
def test_the_pool_may_be_named(project_folder, recipe, pool):
    init.init_project(".", recipe, fields=FIELDS.get(recipe), pool=pool)
    (entry,) = read_project().entries
    assert entry.spec.work_pool.name == pool


def test_files_and_flows_of_any_name_deploy(project_folder, write):
    code = "from runyard import flow\n\n@flow\ndef f(a: int = 1): ...\n"
    for path in ("a #b.py", "x: y/- c.py", "\u00e9\U0001f40e'.py", "other/x.py", "x.py", "123.py"):
        write(path, code)
    write("odd.py", code.replace("@flow", "@flow(name='-- no --')"))
    init.init_project(".", "local")
    applied = plan.build(read_project(), steps=False, everything=True).body.deployments
    names = [each.name for each in applied]
    assert sorted(names) == sorted(["f-123", "f-a-b", "no", "f-x", "f-x-2", "f-c", "f"])
    assert {each.entrypoint for each in applied} >= {"a #b.py:f", "x: y/- c.py:f", "\u00e9\U0001f40e'.py:f"}


def test_a_pool_that_cannot_be_is_refused(project_folder):
    with pytest.raises(InvalidInput, match="work pool"):
        init.init_project(".", "local", pool="a/b\n")
    assert list(project_folder.iterdir()) == []


def test_nothing_that_exists_is_overwritten(project_folder):
    (project_folder / "prefect.yaml").write_text("name: mine\n")
    assert "prefect.yaml" not in init.init_project(".", "local")
    assert (project_folder / "prefect.yaml").read_text() == "name: mine\n"


@pytest.mark.parametrize(
    ("recipe", "fields", "error", "message"),
    [
        ("lokal", {}, NotFound, "did you mean 'local'"),
        ("docker", {"tag": "1"}, InvalidInput, "needs --field image_name=... "),
        ("local", {"tag": "1"}, InvalidInput, "no field 'tag'"),
        ("docker", {"image_name": "a b", "tag": "1"}, InvalidInput, "field image_name"),
    ],
)
def test_mistakes_write_nothing(project_folder, recipe, fields, error, message):
    with pytest.raises(error, match=message):
        init.init_project(".", recipe, fields=fields)
    assert list(project_folder.iterdir()) == []


def test_a_folder_that_cannot_be_written(project_folder):
    (project_folder / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        init.init_project("file/inside", "local")


def test_a_folder_with_flows_gets_a_deployment_of_each(project_folder, write):
    write("jobs/etl.py", "from prefect import flow\n\n@flow\ndef daily_etl():\n    pass\n")
    write("jobs/more.py", "from prefect import flow\n\n@flow(name='Second one')\ndef second():\n    pass\n")
    assert init.init_project(".", "local") == [".prefectignore", "prefect.yaml"]
    found = plan.build(read_project(), everything=True).body.deployments
    assert [(each.flow_name, each.name) for each in found] == [
        ("daily-etl", "daily-etl"),
        ("Second one", "Second-one"),
    ]
