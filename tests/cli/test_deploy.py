"""`runyard init`, `runyard deploy` and `runyard deployment`."""

from __future__ import annotations

import pytest

FLOW = '''
from prefect import flow

@flow
def my_etl_flow(date: str = None, size: int = 1):
    """Daily ETL flow"""
    print(f"Running ETL for {date}")
'''
PROJECT = """
name: my-project
prefect-version: 2.14.0

deployments:
  - name: daily-etl
    entrypoint: flows/etl.py:my_etl_flow
    work_pool:
      name: default-agent-pool
    schedule:
      cron: "0 6 * * *"
    parameters:
      date: null
    tags:
      - production
      - etl
"""


@pytest.fixture
def project(tmp_path, monkeypatch, home):
    folder = tmp_path / "project"
    (folder / "flows").mkdir(parents=True)
    (folder / "flows" / "etl.py").write_text(FLOW)
    (folder / "prefect.yaml").write_text(PROJECT)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def deployed(project, runyard):
    runyard("work-pool", "create", "default-agent-pool", "--type", "process")
    return runyard("deploy", "--name", "daily-etl")


def shown(runyard, reference="daily-etl"):
    return runyard("deployment", "inspect", reference, "-o", "json").json


def test_init_writes_a_project_once(runyard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "prefect.yaml" in runyard("init", "--recipe", "minimal", "--name", "mine").out
    before = (tmp_path / "prefect.yaml").read_text()
    assert "mine" in before
    runyard("init", "--recipe", "minimal", "--name", "other")
    assert (tmp_path / "prefect.yaml").read_text() == before


def test_init_with_an_unknown_recipe(runyard, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "recipe" in runyard("init", "--recipe", "locl", code=1).err
    assert "key=value" in runyard("init", "--recipe", "docker", "--field", "tag", code=1).err


def test_what_init_writes_deploys(runyard, tmp_path, monkeypatch):
    folder = tmp_path / "fresh"
    folder.mkdir()
    monkeypatch.chdir(folder)
    runyard("init", "--recipe", "local")
    runyard("work-pool", "create", "default-agent-pool", "--type", "process")
    assert "Created deployment" in runyard("deploy", "--all").out


def test_deploy_tells_what_to_do_next(deployed):
    assert "Created deployment 'my-etl-flow/daily-etl'" in deployed.out
    assert "runyard worker start --pool default-agent-pool" in deployed.out
    assert "runyard deployment run my-etl-flow/daily-etl" in deployed.out


def test_deploying_the_same_again_changes_nothing(runyard, deployed):
    answer = runyard("deploy", "--all", "-o", "json").json
    assert [each["action"] for each in answer] == ["unchanged"]
    assert "is unchanged" in runyard("deploy").out


def test_a_change_is_told(runyard, project, deployed):
    (project / "prefect.yaml").write_text(PROJECT.replace("- etl", "- nightly"))
    out = runyard("deploy", "-n", "daily-etl").out
    assert "Updated deployment" in out
    assert "tags" in out


def test_without_the_pool_nothing_is_deployed(runyard, project):
    error = runyard("deploy", "--all", code=1).err
    assert "runyard work-pool create default-agent-pool --type process" in error
    assert runyard("deployment", "ls", "-o", "json").json == []


def test_a_schedule_of_a_flag_that_the_file_declares_is_the_one_of_the_file(runyard, project, deployed):
    before = shown(runyard, "my-etl-flow/daily-etl")["schedules"]
    cron = before[0]["schedule"]["cron"]
    runyard("deploy", "-n", "daily-etl", "--cron", cron)
    assert shown(runyard, "my-etl-flow/daily-etl")["schedules"] == before
    runyard("deploy", "-n", "daily-etl", "--cron", cron, "--cron", "0 7 * * *")
    crons = [each["schedule"]["cron"] for each in shown(runyard, "my-etl-flow/daily-etl")["schedules"]]
    assert sorted(crons) == sorted([cron, "0 7 * * *"])


def test_an_entrypoint_with_flags(runyard, project):
    runyard("work-pool", "create", "mine", "--type", "process")
    runyard(
        "deploy", "flows/etl.py:my_etl_flow", "-n", "by-hand", "-p", "mine", "-q", "fast", "-t", "a",
        "-t", "b", "--cron", "0 6 * * *", "--interval", "600", "--timezone", "Europe/Berlin",
        "--param", "size=3", "-jv", "stream_output=false", "-cl", "2", "-d", "what for", "--version", "7",
    )  # fmt: skip
    made = shown(runyard, "my-etl-flow/by-hand")
    assert (made["work_pool_name"], made["work_queue_name"]) == ("mine", "fast")
    assert (made["tags"], made["parameters"]) == (["a", "b"], {"size": 3})
    assert made["job_variables"] == {"stream_output": False}
    assert (made["concurrency_limit"], made["description"], made["version"]) == (2, "what for", "7")
    assert {each["schedule"]["timezone"] for each in made["schedules"]} == {"Europe/Berlin"}
    listing = runyard("deployment", "schedule", "ls", "by-hand").out
    assert "every day at 06:00 (Europe/Berlin)" in listing
    assert "every 10 minutes" in listing


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("name: daily-etl", "name: [daily"), "prefect.yaml:"),
        (("schedule:", "shedule:"), "schedule"),
        (("0 6 * * *", "0 6 * *"), "cron"),
        (("flows/etl.py:", "flows/elt.py:"), "flows/elt.py"),
        ((":my_etl_flow", ":my_etl_flwo"), "my_etl_flow"),
        (("date: null", "date: [1]"), "date"),
    ],
)
def test_a_wrong_project_is_one_line_and_changes_nothing(runyard, project, change, words):
    runyard("work-pool", "create", "default-agent-pool", "--type", "process")
    (project / "prefect.yaml").write_text(PROJECT.replace(*change))
    error = runyard("deploy", "--all", code=1).err
    assert error.startswith("Error: ")
    assert words in error
    assert "Traceback" not in error
    assert "bug" not in error
    assert runyard("deployment", "ls", "-o", "json").json == []


def test_a_missing_file_and_contradicting_flags(runyard, project):
    assert "no.yaml" in runyard("deploy", "--prefect-file", "no.yaml", code=1).err
    assert "exclude" in runyard("deploy", "--all", "-n", "x", code=2).err


def test_a_deployment_is_found_by_every_reference(runyard, deployed):
    key = shown(runyard)["id"]
    for reference in ("my-etl-flow/daily-etl", key, key[:13], "daily-etl"):
        assert shown(runyard, reference)["id"] == key
    assert "nobody" in runyard("deployment", "inspect", "nobody", code=1).err


def test_deployments_are_listed(runyard, deployed):
    listing = runyard("deployment", "ls").out
    assert "my-etl-flow/daily-etl" in listing
    assert "default-agent-pool" in listing
    assert runyard("deployment", "ls", "other-flow", "-o", "json").json == []


def test_pause_and_resume(runyard, deployed):
    runyard("deployment", "pause", "daily-etl")
    assert shown(runyard)["paused"] is True
    assert "PAUSED" in runyard("deployment", "ls").out
    runyard("deployment", "resume", "daily-etl")
    assert shown(runyard)["paused"] is False


def test_a_paused_schedule_survives_a_redeploy(runyard, deployed):
    key = shown(runyard)["schedules"][0]["id"]
    runyard("deployment", "schedule", "pause", "daily-etl", key[:13])
    runyard("deploy", "--all")
    assert [each["active"] for each in shown(runyard)["schedules"]] == [False]
    assert "already" in runyard("deployment", "schedule", "pause", "daily-etl", "--all").out
    runyard("deployment", "schedule", "resume", "daily-etl", "--all")
    assert [each["active"] for each in shown(runyard)["schedules"]] == [True]
    assert "no schedule" in runyard("deployment", "schedule", "pause", "daily-etl", "nope", code=1).err
    runyard("deployment", "schedule", "create", "daily-etl", "--interval", "1h", "--slug", "hourly")
    refused = runyard("deployment", "schedule", "pause", "daily-etl", code=2).err
    assert "2 schedules" in refused
    assert "--all" in refused
    assert "--all" in runyard("deployment", "schedule", "pause", code=2).err


def test_delete(runyard, deployed):
    assert "--all" in runyard("deployment", "delete", code=2).err
    runyard("deployment", "delete", "daily-etl")
    assert runyard("deployment", "ls", "-o", "json").json == []


def test_a_deployment_without_a_pool_is_not_offered_to_be_run(runyard, project):
    told = runyard("deploy", "flows/etl.py:my_etl_flow", "--name", "alone")
    assert "has no work pool, so no worker starts its runs; give --pool" in told.err
    assert "Run it now" not in told.out + told.err
