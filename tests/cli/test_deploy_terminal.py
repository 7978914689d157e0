"""`runyard deploy` on a terminal: what it asks, and what it saves."""

from __future__ import annotations

import json

import pytest
import yaml
from _terminal import Terminal

OTHER = """
from prefect import flow

@flow
def clean(days: int = 1):
    pass
"""


def test_on_a_terminal_it_asks_and_saves_the_answers(runyard, project):
    (project.folder / "prefect.yaml").write_text("# ours\nname: mine\n")
    terminal = Terminal("deploy")
    terminal.until("my-etl-flow  (flows/etl.py:my_etl_flow)")
    terminal.until("Which flow?")
    terminal.type("1")
    terminal.until("Name of the deployment")
    terminal.type("nightly")
    terminal.until("Which work pool?")
    terminal.type("1")
    terminal.until("cron expression")
    terminal.type("nonsense")
    terminal.until("cron expression")
    terminal.type("0 2 * * *")
    terminal.until("Created deployment")
    terminal.until("Save it")
    terminal.type("y")
    assert terminal.end() == 0
    text = (project.folder / "prefect.yaml").read_text()
    assert text.startswith("# ours\nname: mine\n")
    assert yaml.safe_load(text)["deployments"] == [
        {
            "name": "nightly",
            "entrypoint": "flows/etl.py:my_etl_flow",
            "work_pool": {"name": "pool"},
            "schedules": [{"cron": "0 2 * * *"}],
        }
    ]
    again = runyard("deploy", "--name", "nightly", "--plan", "-o", "json").json
    assert json.dumps(again[0]["action"]) == '"unchanged"'


def test_on_a_terminal_it_asks_which_of_several(runyard, project):
    project({"name": "a"}, {"name": "b"})
    terminal = Terminal("deploy")
    terminal.until("Which deployment?")
    terminal.type("2")
    terminal.until("Created deployment 'my-etl-flow/b'")
    assert terminal.end() == 0
    assert names(runyard) == ["b"]


def test_on_a_terminal_a_new_one_may_be_added_to_several(runyard, project):
    project({"name": "a"}, {"name": "b"})
    (project.folder / "flows" / "other.py").write_text(OTHER)
    terminal = Terminal("deploy")
    terminal.until("4  a new one")
    terminal.type("4")
    terminal.until("2  clean  (flows/other.py:clean)")
    terminal.type("2")
    terminal.until("Name of the deployment")
    terminal.type("")
    terminal.until("Which work pool?")
    terminal.type("")
    terminal.until("cron expression")
    terminal.type("")
    terminal.until("Created deployment 'clean/default'")
    terminal.until("Save it")
    terminal.type("y")
    assert terminal.end() == 0
    saved = yaml.safe_load((project.folder / "prefect.yaml").read_text())["deployments"]
    assert [each["name"] for each in saved] == ["a", "b", "default"]


@pytest.mark.parametrize("entrypoint", ["flows/other.py:clean", "./flows/../flows/other.py:clean"])
def test_on_a_terminal_another_flow_is_not_laid_over_the_only_deployment(runyard, project, entrypoint):
    project({"name": "a", "parameters": {"size": 3}})
    (project.folder / "flows" / "other.py").write_text(OTHER)
    terminal = Terminal("deploy", entrypoint, "-p", "pool", "--cron", "0 2 * * *")
    terminal.until("Name of the deployment")
    terminal.type("weekly")
    terminal.until("Created deployment 'clean/weekly'")
    terminal.until("Save it")
    terminal.type("n")
    assert terminal.end() == 0
    terminal = Terminal("deploy", "./flows/etl.py:my_etl_flow")
    terminal.until("Created deployment 'my-etl-flow/a'")
    assert terminal.end() == 0


def test_on_a_terminal_a_missing_pool_may_be_created(runyard, project):
    step = {"prefect.deployments.steps.run_shell_script": {"id": "sha", "script": "echo built"}}
    project(
        {"name": "a", "work_pool": {"name": "night"}},
        {"name": "b", "work_pool": {"name": "Pol"}},
        build=[step],
    )
    terminal = Terminal("deploy", "-n", "a")
    terminal.until("Work pool 'night' does not exist. Create it, of type process?")
    terminal.type("n")
    terminal.until("work pool 'night' not found")
    assert terminal.end() == 1
    terminal = Terminal("deploy", "-n", "a")
    terminal.until("Create it, of type process?")
    terminal.type("")
    terminal.until("Created work pool 'night'.")
    terminal.until("built")
    terminal.until("Created deployment 'my-etl-flow/a'")
    assert terminal.end() == 0
    terminal = Terminal("deploy", "-n", "b")
    terminal.until("work pool 'Pol' not found; did you mean 'pool'?")
    assert terminal.end() == 1


def test_whoever_leaves_before_the_last_answer_leaves_nothing(runyard, project):
    runyard("work-pool", "delete", "pool", "-y")
    terminal = Terminal("deploy", "flows/etl.py:my_etl_flow", "-n", "nightly")
    terminal.until("Name of the new work pool")
    terminal.type("mine")
    terminal.until("cron expression")
    assert terminal.interrupt() == 130
    assert runyard("work-pool", "ls", "-o", "json").json == []
    assert runyard("deployment", "ls", "-o", "json").json == []
    assert not (project.folder / "prefect.yaml").exists()


def test_an_entrypoint_chooses_among_several(runyard, project):
    other = {"entrypoint": "flows/other.py:clean"}
    (project.folder / "flows" / "other.py").write_text(OTHER)
    project({"name": "a"}, {"name": "b", **other})
    assert "Created deployment 'clean/b'" in runyard("deploy", "./flows/other.py:clean").out
    assert names(runyard) == ["b"]
    project({"name": "a"}, {"name": "b", **other}, {"name": "c", **other})
    told = runyard("deploy", "flows/other.py:clean", code=1).err
    assert "prefect.yaml has several deployments of flows/other.py:clean: b, c; use --name NAME" in told
    project({"name": "a"}, {"name": "b"})
    told = runyard("deploy", "flows/other.py:clean", code=1).err
    assert "has no deployment of flows/other.py:clean, but these: a, b; use --name NAME" in told
    assert (
        "Created deployment 'clean/d'"
        in runyard("deploy", "flows/other.py:clean", "-n", "d", "-p", "pool").out
    )


def names(runyard):
    return sorted(each["name"] for each in runyard("deployment", "ls", "-o", "json").json)
