"""What commands show of what is stored: without its passwords, and at a size that people read."""

from __future__ import annotations

import json

import pytest

FLOW = "from runyard import flow\n\n@flow\ndef my_flow(url: str = ''):\n    pass\n"
FILE = """\
pull:
- runyard.deployments.steps.git_clone:
    repository: https://me:geheim@git.example.com/a.git
    access_token: ghp-geheim
deployments:
- name: nightly
  entrypoint: a.py:my_flow
  parameters:
    url: postgresql://u:geheim@db/x
  work_pool:
    name: "a pool"
    job_variables:
      env:
        API_TOKEN: geheim
        OTHER_TOKEN: "{{ prefect.blocks.secret.token }}"
        DATABASE: mysql://u:geheim@db/x
"""


@pytest.fixture
def deployed(tmp_path, monkeypatch, runyard):
    (tmp_path / "a.py").write_text(FLOW)
    (tmp_path / "prefect.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    runyard("work-pool", "create", "a pool", "--type", "process")
    runyard("deploy", "--all")


def test_no_view_for_people_shows_passwords(runyard, deployed, tmp_path):
    seen = [runyard("deployment", "inspect", "nightly").out]
    assert "https://me:********@git.example.com/a.git" in seen[0]
    assert "{{ prefect.blocks.secret.token }}" in seen[0]
    run = json.loads(runyard("deployment", "run", "nightly", "-o", "json").out)["id"]
    seen.append(runyard("deployment", "run", "nightly").out)
    seen.append(runyard("flow-run", "inspect", run).out)
    seen.append(runyard("deployment", "versions", "nightly", "--number", "1").out)
    (tmp_path / "prefect.yaml").write_text(FILE.replace("geheim", "geheimer"))
    seen.append(runyard("deploy", "--all", "--plan", code=2).out)
    seen.append(runyard("deploy", "--all").out)
    seen.append(runyard("deployment", "versions", "nightly").out)
    seen.append(runyard("deployment", "rollback", "nightly", "--plan", code=2).out)
    assert all("geheim" not in text for text in seen)
    assert any("********" in text for text in seen[-2:])


def test_json_is_for_programs_and_exact(runyard, deployed):
    steps = runyard("deployment", "inspect", "nightly", "-o", "json").json["pull_steps"]
    [(_, fields)] = steps[0].items()
    assert fields["repository"] == "https://me:geheim@git.example.com/a.git"


def test_a_secret_that_is_a_url_is_shown_when_asked_for(runyard, monkeypatch):
    from runyard.blocks.system import Secret

    url = "https://me:geheim@git.example.com/a.git"
    Secret(value=url).save("clone")
    assert url in runyard("secret", "inspect", "clone", "--show").out
    assert "geheim" not in runyard("secret", "inspect", "clone").out


@pytest.mark.parametrize("text", ["x" * 60_000, "x " * 30_000])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("work-pool", "inspect"), 1),
        (("deployment", "inspect"), 1),
        (("deployment", "run"), 1),
        (("flow-run", "logs"), 1),
        (("block", "inspect"), 2),
        (("block", "type", "inspect"), 1),
        (("variable", "get"), 1),
        (("config", "set"), 2),
        (("profile", "use"), 1),
        (("run",), 1),
        (("work-pool",), 2),
        ((), 2),
    ],
)
def test_errors_repeat_a_part_of_what_is_very_long(runyard, command, code, text):
    told = runyard(*command, text, code=code).err
    assert 0 < len(told) < 6_000


def test_a_command_that_is_suggested_can_be_typed(runyard, home):
    told = runyard("work-pool", "inspect", "a b; rm -rf '$HOME'", code=1).err
    assert """create it: runyard work-pool create 'a b; rm -rf '"'"'$HOME'"'"'' --type process""" in told
